#include "lib/fleet/update.h"

#include "lib/base/time.h"
#include "lib/json/write.h"

static void separate(tti_buf *out, bool *more) {
  if (*more)
    tti_buf_append_char(out, ',');
  *more = true;
}

static void render_inside(tti_buf *out, const tti_item *item) {
  bool more = false, map = item->shape == TTI_SHAPE_NESTED;
  tti_buf_append_char(out, map ? '{' : '[');
  for (const tti_item *at = item->inner.first; at; at = at->after) {
    separate(out, &more);
    if (item->shape == TTI_SHAPE_UNIQUE) {
      tti_buf_append_text(out, "{\"value\":");
      tti_buf_append_slice(out, tti_item_key(at));
      tti_buf_append_text(out, ",\"count\":");
      tti_buf_append_i64(out, at->count);
      tti_buf_append_char(out, '}');
      continue;
    }
    if (map)
      tti_json_write_key(out, tti_item_key(at));
    tti_buf_append_slice(out, tti_item_value(at));
  }
  tti_buf_append_char(out, map ? '}' : ']');
}

static void render_item(tti_buf *out, const tti_item *item) {
  tti_json_write_key(out, tti_item_key(item));
  if (item->shape == TTI_SHAPE_VALUE)
    tti_buf_append_slice(out, tti_item_value(item));
  else if (item->shape == TTI_SHAPE_INT)
    tti_buf_append_i64(out, item->count);
  else
    render_inside(out, item);
}

void tti_update_render(tti_buf *out, const char *instance_id, int64_t unix_us,
                       const tti_snapshot *snapshot) {
  char timestamp[TTI_RFC3339_MAX];
  bool more = false;
  tti_rfc3339_format(unix_us, timestamp);
  tti_buf_append_text(out, "{\"instance_id\":");
  tti_json_write_text(out, instance_id);
  tti_buf_append_text(out, ",\"timestamp\":");
  tti_json_write_text(out, timestamp);
  if (snapshot->int_count || snapshot->items.count) {
    tti_buf_append_text(out, ",\"data\":{");
    for (size_t i = 0; i < snapshot->int_count; i++) {
      separate(out, &more);
      tti_json_write_key(out, tti_counter_key(snapshot->ints[i].counter));
      tti_buf_append_i64(out, snapshot->ints[i].value);
    }
    for (const tti_item *at = snapshot->items.first; at; at = at->after) {
      separate(out, &more);
      render_item(out, at);
    }
    tti_buf_append_char(out, '}');
  }
  tti_buf_append_char(out, '}');
}
