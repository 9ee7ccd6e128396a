#include "lib/event/filter.h"

#include <stdlib.h>

#define VALUES_MAX 50
#define BYTES_MAX  4096

/* In the order of the canonical text. */
enum key { ACTION, AGENT_ID, CHANNEL, LEVEL, SOURCE, KEYS };

static const tti_slice key_names[KEYS] = {
    [ACTION] = {"action", 6},   [AGENT_ID] = {"agent_id", 8},
    [CHANNEL] = {"channel", 7}, [LEVEL] = {"level", 5},
    [SOURCE] = {"source", 6},
};

/* Sorted, each value once. */
typedef struct values {
  char *items[VALUES_MAX]; /* owned, NUL-terminated */
  size_t lengths[VALUES_MAX];
  size_t count;
  size_t bytes;
} values;

struct tti_filter {
  values keys[KEYS];
  tt_level at_least; /* TT_LEVEL_UNSET: no ">=" was given */
  char session[TTI_FILTER_SESSION_MAX + 1]; /* "": any */
  tti_buf text; /* canonical, NUL-terminated; the NUL is in len */
};

/* Every byte escaped, the names, "=", "," and "&". */
#define TEXT_MAX (KEYS * (3 * BYTES_MAX + VALUES_MAX + 16) + 16)

tt_error tti_filter_new(tti_filter **out_filter) {
  tti_filter *filter = calloc(1, sizeof(*filter));
  if (!filter)
    return TT_ENOMEM;
  tti_buf_init(&filter->text, TEXT_MAX);
  *out_filter = filter;
  return TT_OK;
}

void tti_filter_free(tti_filter *filter) {
  if (!filter)
    return;
  for (int key = 0; key < KEYS; key++)
    for (size_t i = 0; i < filter->keys[key].count; i++)
      free(filter->keys[key].items[i]);
  tti_buf_fini(&filter->text);
  free(filter);
}

static tti_slice item(const values *v, size_t i) {
  return (tti_slice){v->items[i], v->lengths[i]};
}

static bool contains(const values *v, tti_slice text) {
  for (size_t i = 0; i < v->count; i++)
    if (tti_slice_eq(item(v, i), text))
      return true;
  return false;
}

static tt_error insert(values *v, tti_slice text) {
  if (contains(v, text))
    return TT_OK;
  if (v->count == VALUES_MAX || text.len > BYTES_MAX - v->bytes)
    return TT_EINVAL;
  char *copy = malloc(text.len + 1);
  if (!copy)
    return TT_ENOMEM;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  size_t at = v->count;
  for (; at > 0 && tti_slice_compare(text, item(v, at - 1)) < 0; at--) {
    v->items[at] = v->items[at - 1];
    v->lengths[at] = v->lengths[at - 1];
  }
  v->items[at] = copy;
  v->lengths[at] = text.len;
  v->count++;
  v->bytes += text.len;
  return TT_OK;
}

/* The next of a comma list that is not empty. */
static bool next_value(tti_slice *rest, tti_slice *out_value) {
  while (rest->len) {
    const char *comma = memchr(rest->ptr, ',', rest->len);
    *out_value =
        (tti_slice){rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len};
    size_t step = out_value->len + (comma != NULL);
    rest->ptr += step;
    rest->len -= step;
    if (out_value->len)
      return true;
  }
  return false;
}

static bool is_threshold(tti_slice value) {
  return value.len >= 2 && memcmp(value.ptr, ">=", 2) == 0;
}

static tt_error add_threshold(tti_filter *filter, enum key key,
                              tti_slice value) {
  tt_level level = tti_level_parse((tti_slice){value.ptr + 2, value.len - 2});
  if (key != LEVEL || level == TT_LEVEL_UNSET)
    return TT_EINVAL;
  if (filter->at_least == TT_LEVEL_UNSET || level < filter->at_least)
    filter->at_least = level;
  return TT_OK;
}

static tt_error add_value(tti_filter *filter, enum key key, tti_slice value) {
  if (is_threshold(value))
    return add_threshold(filter, key, value);
  tt_level level = key == LEVEL ? tti_level_parse(value) : TT_LEVEL_UNSET;
  if (level != TT_LEVEL_UNSET)
    value = tti_slice_of(tt_level_name(level));
  return insert(&filter->keys[key], value);
}

static void write_escaped(tti_buf *out, tti_slice text) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
        c == '~') {
      tti_buf_append_char(out, (char)c);
    } else {
      char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
      tti_buf_append(out, escape, 3);
    }
  }
}

static void write_key(const tti_filter *filter, enum key key, tti_buf *out) {
  const values *v = &filter->keys[key];
  bool threshold = key == LEVEL && filter->at_least != TT_LEVEL_UNSET;
  if (v->count == 0 && !threshold)
    return;
  if (out->len)
    tti_buf_append_char(out, '&');
  tti_buf_append_slice(out, key_names[key]);
  tti_buf_append_char(out, '=');
  for (size_t i = 0; i < v->count; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    write_escaped(out, item(v, i));
  }
  if (threshold) {
    tti_buf_append_text(out, v->count ? ",>=" : ">=");
    tti_buf_append_text(out, tt_level_name(filter->at_least));
  }
}

static tt_error write_text(tti_filter *filter) {
  tti_buf_clear(&filter->text);
  for (int key = 0; key < KEYS; key++)
    write_key(filter, (enum key)key, &filter->text);
  if (filter->session[0])
    tti_buf_printf(&filter->text, "&session=%s", filter->session);
  tti_buf_append_char(&filter->text, '\0');
  return filter->text.error;
}

tt_error tti_filter_add(tti_filter *filter, tti_slice key, tti_slice value) {
  int found = 0;
  while (found < KEYS && !tti_slice_eq(key, key_names[found]))
    found++;
  if (found == KEYS)
    return TT_ENOTFOUND;
  tti_slice one;
  while (next_value(&value, &one)) {
    tt_error error = add_value(filter, (enum key)found, one);
    if (error)
      return error;
  }
  return write_text(filter);
}

tt_error tti_filter_from_level(tti_filter *filter) {
  values *v = &filter->keys[LEVEL];
  if (v->count != 1 || filter->at_least != TT_LEVEL_UNSET)
    return TT_OK;
  filter->at_least = tti_level_parse(item(v, 0));
  if (filter->at_least == TT_LEVEL_UNSET)
    return TT_OK;
  free(v->items[0]);
  v->count = v->bytes = 0;
  return write_text(filter);
}

tt_error tti_filter_session(tti_filter *filter, const char *prefix) {
  size_t len = strlen(prefix);
  if (len > TTI_FILTER_SESSION_MAX)
    return TT_ETOOBIG;
  memcpy(filter->session, prefix, len + 1);
  return write_text(filter);
}

bool tti_filter_is_empty(const tti_filter *filter) {
  if (!filter)
    return true;
  if (filter->session[0])
    return false;
  for (int key = 0; key < KEYS; key++)
    if (filter->keys[key].count)
      return false;
  return filter->at_least == TT_LEVEL_UNSET;
}

bool tti_filter_names_channel(const tti_filter *filter, tti_slice channel) {
  return filter && contains(&filter->keys[CHANNEL], channel);
}

static bool matches(const values *v, tti_slice text) {
  return v->count == 0 || contains(v, text);
}

static bool matches_session(const tti_filter *filter, tti_slice id) {
  size_t len = strlen(filter->session);
  return id.len >= len && !memcmp(id.ptr, filter->session, len);
}

static bool matches_level(const tti_filter *filter, const tti_record *record) {
  const values *v = &filter->keys[LEVEL];
  if (filter->at_least == TT_LEVEL_UNSET)
    return matches(v, tti_record_level_text(record));
  return record->level >= filter->at_least ||
         contains(v, tti_record_level_text(record));
}

bool tti_filter_match(const tti_filter *filter, const tti_record *record) {
  if (!filter)
    return true;
  return (!filter->session[0] || matches_session(filter, record->session_id)) &&
         matches_level(filter, record) &&
         matches(&filter->keys[SOURCE], record->source) &&
         matches(&filter->keys[CHANNEL], record->category) &&
         matches(&filter->keys[ACTION], record->type) &&
         matches(&filter->keys[AGENT_ID], record->agent_id);
}

static bool may_have_any(const tti_filter *filter, enum key key,
                         const tti_filter_hint *hint) {
  const values *v = &filter->keys[key];
  for (size_t i = 0; i < v->count; i++)
    if (hint->may_have(hint->context, key_names[key], item(v, i)))
      return true;
  return false;
}

bool tti_filter_may_match(const tti_filter *filter,
                          const tti_filter_hint *hint) {
  if (!filter)
    return true;
  for (int key = 0; key < KEYS; key++) {
    bool threshold = key == LEVEL && filter->at_least != TT_LEVEL_UNSET;
    if (threshold && hint->levels >> filter->at_least)
      continue;
    if ((threshold || filter->keys[key].count) &&
        !may_have_any(filter, (enum key)key, hint))
      return false;
  }
  return true;
}

const char *tti_filter_text(const tti_filter *filter) {
  return filter && filter->text.len ? filter->text.data : "";
}
