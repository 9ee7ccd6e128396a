/* Any bytes as an update of a fleet client, or as the rules that steer them. Of
 * an update that is taken, items and fields keep to their ceilings, and what an
 * instance is known by comes back as it was written. */
#include "server/fleet/control.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
  if (!promise)
    abort();
}

static void look_at(const fleet_payload *payload) {
  must(payload->item_count <= FLEET_ITEMS_MAX);
  must(payload->counted <= FLEET_COUNTED_MAX);
  for (size_t i = 0; i < payload->item_count; i++) {
    const fleet_item *item = &payload->items[i];
    must(item->key.len <= FLEET_NAME_MAX && item->text.len <= FLEET_TEXT_MAX);
    must(isfinite(item->number));
  }
}

static void merge(fleet_payload *payload) {
  char text[8192];
  size_t len = 0;
  uint64_t dropped;
  fleet_fields fields, again;
  must(fleet_fields_merge(payload, text, &len, sizeof text, &fields,
                          &dropped) == TT_OK);
  must(fleet_fields_read((tti_slice){text, len}, &payload->arena, &again) ==
       TT_OK);
  must(again.count == fields.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fleet_refusal refusal = {.code = NULL};
  fleet_payload payload;
  fleet_control *control = NULL;
  tti_slice text = {(const char *)data, size};
  if (size && data[0] == '[') {
    must(!fleet_control_parse(text, &control, &refusal) == !refusal.code);
    fleet_control_unref(control);
    return 0;
  }
  static const tti_slice id = {"7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d", 36};
  tt_error error = fleet_payload_parse(&payload, id, text, &refusal);
  must(!error == !refusal.code);
  if (!error) {
    look_at(&payload);
    merge(&payload);
  }
  fleet_payload_free(&payload);
  return 0;
}
