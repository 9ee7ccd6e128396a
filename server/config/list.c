#include "server/config/option.h"

#include <stdlib.h>

enum { TEXT_MAX = 1 << 17 };

#define LIST(key, example, table, check, max, type, entries, count)            \
  {                                                                            \
    key, example, table, check, max, sizeof(type), offsetof(config, entries),  \
        offsetof(config, count), offsetof(type, origin), offsetof(type, text)  \
  }

const config_list config_lists[] = {
    [CONFIG_LIST_SINKS] =
        LIST("sinks", "name: archive", &config_sink, config_sink_check, 64,
             sink_spec, sinks, sink_count),
    LIST("metrics", "type: statsd", &config_metrics, config_metrics_check, 16,
         metrics_spec, metrics, metrics_count),
    LIST("routes", "publish: alert.{channel}", &config_route,
         config_route_check, 100, outbox_rule_spec, routes, route_count),
};
const size_t config_list_count = sizeof(config_lists) / sizeof(config_lists[0]);

static size_t count_of(const config_list *list, const config *c) {
  size_t count;
  memcpy(&count, (const char *)c + list->count, sizeof(count));
  return count;
}

static char *entry_at(const config_list *list, const config *c, size_t i) {
  char *entries;
  memcpy(&entries, (const char *)c + list->entries, sizeof(entries));
  return entries + i * list->size;
}

static char **text_at(char *entry, size_t offset) {
  return (char **)(void *)(entry + offset);
}

/* Gives a new entry's fields their defaults. */
static tt_error set_defaults(const config_table *table, const char *where,
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

tt_error config_list_add(const config_list *list, config *c, const char *where,
                         void **out_entry) {
  size_t count = count_of(list, c);
  if (count == list->max)
    return TT_ETOOBIG;
  char *grown =
      realloc(count ? entry_at(list, c, 0) : NULL, (count + 1) * list->size);
  if (!grown)
    return TT_ENOMEM;
  char *entry = grown + count++ * list->size;
  memset(entry, 0, list->size);
  memcpy((char *)c + list->entries, &grown, sizeof(grown));
  memcpy((char *)c + list->count, &count, sizeof(count));
  if (!(*text_at(entry, list->origin) = strdup(where)))
    return TT_ENOMEM;
  *out_entry = entry;
  return set_defaults(list->table, where, entry);
}

bool config_list_same(const config_list *list, const config *a,
                      const config *b) {
  bool same = count_of(list, a) == count_of(list, b);
  for (size_t i = 0; same && i < count_of(list, a); i++)
    same = strcmp(*text_at(entry_at(list, a, i), list->text),
                  *text_at(entry_at(list, b, i), list->text)) == 0;
  return same;
}

void config_list_free(const config_list *list, config *c) {
  size_t count = count_of(list, c);
  for (size_t i = 0; i < count; i++) {
    char *entry = entry_at(list, c, i);
    config_fields_free(list->table, entry);
    free(*text_at(entry, list->origin));
    free(*text_at(entry, list->text));
  }
  if (count)
    free(entry_at(list, c, 0));
}
