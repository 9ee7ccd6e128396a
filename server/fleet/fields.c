#include "server/fleet/fields.h"

#include "lib/json/write.h"

enum { NAME_MAX_BYTES = 64, VALUE_MAX_BYTES = 128 };

const tti_slice *fleet_fields_get(const fleet_fields *fields, tti_slice name) {
  for (size_t i = 0; i < fields->count; i++)
    if (tti_slice_eq(fields->items[i].name, name))
      return &fields->items[i].value;
  return NULL;
}

static tti_slice decoded(tti_arena *arena, const tti_json_value *value) {
  char *text = tti_arena_new(arena, value->text.len);
  size_t len;
  if (!text || tti_json_decode(value->text, text, &len, NULL))
    return (tti_slice){"", 0};
  return (tti_slice){text, len};
}

tt_error fleet_fields_read(tti_slice json, tti_arena *arena,
                           fleet_fields *out_fields) {
  tti_json_scan scan;
  tti_json_value name, value;
  fleet_fields fields = {.count = 0};
  tti_json_scan_init(&scan, json);
  if (tti_json_scan_open_object(&scan))
    while (fields.count < FLEET_FIELDS_MAX &&
           tti_json_scan_member(&scan, &name) &&
           tti_json_scan_value(&scan, &value))
      fields.items[fields.count++] =
          (fleet_field){decoded(arena, &name), decoded(arena, &value)};
  *out_fields = fields;
  return arena->failed ? TT_ENOMEM : TT_OK;
}

/* False: there is no room. */
static bool put(fleet_fields *fields, tti_slice name, tti_slice value) {
  size_t i = 0;
  if (name.len > NAME_MAX_BYTES || value.len > VALUE_MAX_BYTES)
    return false;
  while (i < fields->count && !tti_slice_eq(fields->items[i].name, name))
    i++;
  if (i == FLEET_FIELDS_MAX)
    return false;
  fields->items[i] = (fleet_field){name, value};
  fields->count += i == fields->count;
  return true;
}

static void render(const fleet_fields *fields, tti_buf *out) {
  tti_buf_append_char(out, '{');
  for (size_t i = 0; i < fields->count; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    tti_json_write_key(out, fields->items[i].name);
    tti_json_write_string(out, fields->items[i].value);
  }
  tti_buf_append_char(out, '}');
}

tt_error fleet_fields_merge(fleet_payload *payload, char *fields, size_t *len,
                            size_t room, fleet_fields *out_fields,
                            uint64_t *out_dropped) {
  uint64_t dropped = 0;
  tt_error error =
      fleet_fields_read((tti_slice){fields, *len}, &payload->arena, out_fields);
  if (error)
    return error;
  for (size_t i = 0; i < payload->item_count; i++) {
    const fleet_item *item = &payload->items[i];
    if (item->shape == FLEET_STRING)
      dropped += !put(out_fields, item->key, item->text);
    else if (item->shape == FLEET_BOOL)
      dropped +=
          !put(out_fields, item->key,
               item->number > 0 ? TTI_SLICE("true") : TTI_SLICE("false"));
  }
  tti_buf text;
  tti_buf_init(&text, room);
  render(out_fields, &text);
  /* Escapes may be what is too much: the last ones go. */
  while (text.error == TT_ETOOBIG && out_fields->count) {
    out_fields->count--;
    dropped++;
    tti_buf_clear(&text);
    render(out_fields, &text);
  }
  error = text.error;
  if (!error) {
    memcpy(fields, text.data, text.len);
    *len = text.len;
    *out_dropped = dropped;
  }
  tti_buf_fini(&text);
  return error;
}
