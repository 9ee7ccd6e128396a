#include "server/config/option.h"

/* Exchanges the bytes of two objects that do not overlap. */
static void swap(void *a, void *b, size_t size) {
  unsigned char *x = a, *y = b;
  for (size_t i = 0; i < size; i++) {
    unsigned char kept = x[i];
    x[i] = y[i];
    y[i] = kept;
  }
}

static size_t size_of(config_type type) {
  switch (type) {
  case CONFIG_TYPE_STRING:
    return sizeof(config_STRING);
  case CONFIG_TYPE_BOOL:
    return sizeof(config_BOOL);
  case CONFIG_TYPE_LIST:
    return sizeof(config_LIST);
  default:
    return sizeof(uint64_t);
  }
}

static bool is_same(const config_option *option, const config *a,
                    const config *b) {
  tti_buf texts[2];
  for (size_t i = 0; i < 2; i++) {
    tti_buf_init(&texts[i], 1 << 17);
    config_field_print(option, i ? b : a, &texts[i]);
  }
  /* Out of memory: taken for changed, which harms nobody. */
  bool same = !texts[0].error && !texts[1].error &&
              tti_slice_eq(tti_buf_slice(&texts[0]), tti_buf_slice(&texts[1]));
  tti_buf_fini(&texts[0]);
  tti_buf_fini(&texts[1]);
  return same;
}

static void adopt_sinks(config *current, config *fresh) {
  swap(&current->sinks, &fresh->sinks, sizeof(current->sinks));
  swap(&current->sink_count, &fresh->sink_count, sizeof(current->sink_count));
}

void config_adopt(config *current, config *fresh, tti_buf *out_changed,
                  tti_buf *out_restart) {
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    if (!is_same(o, current, fresh)) {
      tti_buf *names = o->live ? out_changed : out_restart;
      tti_buf_printf(names, "%s%s", names->len ? ", " : "", o->key);
    }
    if (!o->live)
      continue;
    swap((char *)current + o->offset, (char *)fresh + o->offset,
         size_of(o->type));
    swap(&current->origins[i], &fresh->origins[i], sizeof(char *));
  }
  for (size_t i = 0; i < config_list_count; i++) {
    tti_buf *names = i == CONFIG_LIST_SINKS ? out_changed : out_restart;
    if (!config_list_same(&config_lists[i], current, fresh))
      tti_buf_printf(names, "%s%s", names->len ? ", " : "",
                     config_lists[i].key);
  }
  adopt_sinks(current, fresh);
}
