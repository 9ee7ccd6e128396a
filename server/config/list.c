#include "server/config/option.h"

#include <stdlib.h>

enum { TEXT_MAX = 1 << 17 };

const config_list config_lists[] = {
    {"sinks", "name: archive", &config_sink, config_sink_add, config_sink_check,
     offsetof(config, sink_count)},
    {"metrics", "type: statsd", &config_metrics, config_metrics_add,
     config_metrics_check, offsetof(config, metrics_count)},
    {"routes", "publish: alert.{channel}", &config_route, config_route_add,
     config_route_check, offsetof(config, route_count)},
};
const size_t config_list_count = sizeof(config_lists) / sizeof(config_lists[0]);

tt_error config_entry_defaults(const config_table *table, const char *where,
                               void *entry) {
  for (size_t i = 0; i < table->count; i++) {
    const config_option *o = &table->options[i];
    tti_buf none;
    tti_buf_init(&none, 0);
    if (o->type == CONFIG_TYPE_STRING && !o->value[0]) {
      /* Empty is what the words of an option may not allow. */
      char **field = (char **)(void *)((char *)entry + o->offset);
      if (!(*field = strdup("")))
        return TT_ENOMEM;
      continue;
    }
    tt_error error =
        config_field_set(o, tti_slice_of(o->value), false, where, &none, entry);
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

char *config_entry_text(const config_table *table, const void *entry) {
  tti_buf text;
  tti_buf_init(&text, TEXT_MAX);
  for (size_t i = 0; i < table->count; i++) {
    tti_buf_append_text(&text, table->options[i].key);
    tti_buf_append_char(&text, '=');
    config_field_print(&table->options[i], entry, &text);
    tti_buf_append_char(&text, '\n');
  }
  char *taken = tti_buf_take(&text, NULL);
  tti_buf_fini(&text);
  return taken;
}
