#include "server/config/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

/* The file is mappings of scalars and lists; nesting joins keys with dots:
 *
 *   ring:
 *     entries: 65536     ->  ring.entries = 65536
 *
 * Anchors, aliases, tags and further documents have no use here and are
 * refused, which also keeps the expansion attacks of YAML out. */
enum { DEPTH_MAX = 4, KEY_MAX = 128 };

typedef struct reader {
  yaml_parser_t parser;
  yaml_event_t event; /* the current one; owned while has_event */
  bool has_event;
  const char *name;
  tti_buf *error;
  config *config;
  const config_table *table; /* config_main, or of the entry of a list */
  void *entry;               /* that entry; NULL: none */
  char key[KEY_MAX];         /* the path so far, dotted */
  uint64_t seen;             /* one bit an option of the table: it was given */
} reader;

static size_t line_of(const reader *r) {
  return r->event.start_mark.line + 1;
}

static tt_error fail(reader *r, const char *format, ...) TELLTALE_PRINTF(2, 3);
static tt_error fail(reader *r, const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  tti_buf_printf(r->error, "%s:%zu: %s", r->name, line_of(r), text);
  return TT_EINVAL;
}

static tt_error next(reader *r) {
  if (r->has_event)
    yaml_event_delete(&r->event);
  r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
  if (r->has_event)
    return TT_OK;
  if (r->parser.error == YAML_MEMORY_ERROR)
    return TT_ENOMEM;
  /* A reader error (bad UTF-8) has an offset but no mark. */
  size_t line = r->parser.error == YAML_READER_ERROR
                    ? r->parser.mark.line + 1
                    : r->parser.problem_mark.line + 1;
  tti_buf_printf(r->error, "%s:%zu: not valid YAML: %s%s%s", r->name, line,
                 r->parser.problem ? r->parser.problem : "unreadable",
                 r->parser.context ? " " : "",
                 r->parser.context ? r->parser.context : "");
  return TT_EPARSE;
}

static tti_slice scalar(const reader *r) {
  return (tti_slice){(const char *)r->event.data.scalar.value,
                     r->event.data.scalar.length};
}

/* "ring" is a section when an option's key begins with "ring.". */
static bool is_section(const config_table *table, const char *path) {
  size_t len = strlen(path);
  for (size_t i = 0; i < table->count; i++) {
    const char *key = table->options[i].key;
    if (strncmp(key, path, len) == 0 && key[len] == '.')
      return true;
  }
  return false;
}

static tt_error unknown(reader *r) {
  const char *near = config_table_nearest(r->table, tti_slice_of(r->key));
  if (near)
    return fail(r, "unknown key \"%s\"; did you mean \"%s\"?", r->key, near);
  return fail(r,
              "unknown key \"%s\"; `telltale serve --help` lists the options",
              r->key);
}

static tt_error check_plain(reader *r) {
  bool tagged = false, anchored = false;
  switch (r->event.type) {
  case YAML_SCALAR_EVENT:
    tagged = r->event.data.scalar.tag != NULL;
    anchored = r->event.data.scalar.anchor != NULL;
    break;
  case YAML_SEQUENCE_START_EVENT:
    tagged = r->event.data.sequence_start.tag != NULL;
    anchored = r->event.data.sequence_start.anchor != NULL;
    break;
  case YAML_MAPPING_START_EVENT:
    tagged = r->event.data.mapping_start.tag != NULL;
    anchored = r->event.data.mapping_start.anchor != NULL;
    break;
  case YAML_ALIAS_EVENT:
    anchored = true;
    break;
  default:
    break;
  }
  if (anchored)
    return fail(r, "anchors and aliases are not supported: write it out");
  if (tagged)
    return fail(r, "tags are not supported: write the plain value");
  return TT_OK;
}

static tt_error set(reader *r, const config_option *option, tti_slice text,
                    bool append) {
  char where[300];
  snprintf(where, sizeof(where), "%s:%zu", r->name, line_of(r));
  return r->entry
             ? config_field_set(option, text, append, where, r->error, r->entry)
             : config_option_set(option, text, append, where, r->error,
                                 r->config);
}

static tt_error read_list(reader *r, const config_option *option) {
  tt_error error = set(r, option, (tti_slice){"", 0}, false);
  if (error != TT_OK)
    return error;
  for (;;) {
    if ((error = next(r)) != TT_OK || (error = check_plain(r)) != TT_OK)
      return error;
    if (r->event.type == YAML_SEQUENCE_END_EVENT)
      return TT_OK;
    if (r->event.type != YAML_SCALAR_EVENT)
      return fail(r, "%s takes a list of plain values", r->key);
    if ((error = set(r, option, scalar(r), true)) != TT_OK)
      return error;
  }
}

/* `types: {console_error: console}` is the list console_error=console. */
static tt_error read_pairs(reader *r, const config_option *option) {
  tt_error error = set(r, option, (tti_slice){"", 0}, false);
  while (error == TT_OK) {
    char pair[2 * KEY_MAX];
    if ((error = next(r)) != TT_OK || (error = check_plain(r)) != TT_OK)
      return error;
    if (r->event.type == YAML_MAPPING_END_EVENT)
      return TT_OK;
    if (r->event.type != YAML_SCALAR_EVENT)
      return fail(r, "%s takes plain keys and values", r->key);
    int len =
        snprintf(pair, KEY_MAX, "%.*s=", (int)scalar(r).len, scalar(r).ptr);
    if (len >= KEY_MAX || memchr(pair, ',', (size_t)len))
      return fail(r, "%s: a key is at most %d bytes, without a comma", r->key,
                  KEY_MAX - 2);
    if ((error = next(r)) != TT_OK || (error = check_plain(r)) != TT_OK)
      return error;
    if (r->event.type != YAML_SCALAR_EVENT)
      return fail(r, "%s takes plain keys and values", r->key);
    snprintf(pair + len, sizeof(pair) - (size_t)len, "%.*s", (int)scalar(r).len,
             scalar(r).ptr);
    error = set(r, option, tti_slice_of(pair), true);
  }
  return error;
}

static tt_error read_mapping(reader *r, unsigned depth);

/* One entry of a list, from its mapping's start to its end. */
static tt_error read_entry(reader *r, const config_list *list) {
  char where[300];
  uint64_t seen = r->seen;
  snprintf(where, sizeof(where), "%s:%zu", r->name, line_of(r));
  tt_error error = config_list_add(list, r->config, where, &r->entry);
  if (error == TT_ETOOBIG)
    return fail(r, "there are too many entries in %s", list->key);
  if (error != TT_OK)
    return error;
  r->table = list->table;
  r->seen = 0;
  error = read_mapping(r, 1);
  if (error == TT_OK)
    error = list->check(r->config, r->seen, r->error);
  r->table = &config_main;
  r->entry = NULL;
  r->seen = seen;
  return error;
}

/* The list whose key is the current one; NULL: none is. */
static const config_list *list_here(const reader *r) {
  for (size_t i = 0; !r->entry && i < config_list_count; i++)
    if (strcmp(r->key, config_lists[i].key) == 0)
      return &config_lists[i];
  return NULL;
}

static tt_error read_entries(reader *r, const config_list *list) {
  if (*(const size_t *)(const void *)((char *)r->config + list->count))
    return fail(r, "%s is given twice", list->key);
  bool none = r->event.type == YAML_SCALAR_EVENT && !scalar(r).len;
  if (none)
    return TT_OK;
  if (r->event.type != YAML_SEQUENCE_START_EVENT)
    return fail(r, "%s takes a list, an entry of which begins with \"- %s\"",
                list->key, list->example);
  for (;;) {
    tt_error error = next(r);
    if (error != TT_OK || (error = check_plain(r)) != TT_OK)
      return error;
    if (r->event.type == YAML_SEQUENCE_END_EVENT)
      return TT_OK;
    if (r->event.type != YAML_MAPPING_START_EVENT)
      return fail(r, "an entry of %s is keys and values, such as \"%s\"",
                  list->key, list->example);
    if ((error = read_entry(r, list)) != TT_OK)
      return error;
  }
}

/* The value of r->key; its event is the current one. */
static tt_error read_value(reader *r, unsigned depth) {
  const config_option *option =
      config_table_find(r->table, tti_slice_of(r->key));
  tt_error error = check_plain(r);
  if (error != TT_OK)
    return error;
  const config_list *list = list_here(r);
  if (list)
    return read_entries(r, list);
  if (!option) {
    if (!is_section(r->table, r->key))
      return unknown(r);
    if (r->event.type != YAML_MAPPING_START_EVENT)
      return fail(r, "%s takes keys below it, not a value", r->key);
    return read_mapping(r, depth + 1);
  }
  uint64_t bit = UINT64_C(1) << (option - r->table->options);
  if (r->seen & bit)
    return fail(r, "%s is given twice", r->key);
  r->seen |= bit;
  if (r->event.type == YAML_SCALAR_EVENT)
    return set(r, option, scalar(r), false);
  if (r->event.type == YAML_SEQUENCE_START_EVENT &&
      option->type == CONFIG_TYPE_LIST)
    return read_list(r, option);
  if (r->event.type == YAML_MAPPING_START_EVENT &&
      strcmp(option->key, "types") == 0)
    return read_pairs(r, option);
  return fail(r, "%s takes %s", r->key,
              option->type == CONFIG_TYPE_LIST ? "a list" : "one value");
}

/* From behind a mapping's start to its end. */
static tt_error read_mapping(reader *r, unsigned depth) {
  size_t prefix = strlen(r->key);
  if (depth > DEPTH_MAX)
    return fail(r, "nested too deeply");
  for (;;) {
    tt_error error = next(r);
    if (error != TT_OK || (error = check_plain(r)) != TT_OK)
      return error;
    if (r->event.type == YAML_MAPPING_END_EVENT)
      return TT_OK;
    if (r->event.type != YAML_SCALAR_EVENT)
      return fail(r, "a key must be plain text");
    tti_slice key = scalar(r);
    if (prefix + 1 + key.len >= KEY_MAX ||
        memchr(key.ptr, '\0', key.len) != NULL)
      return fail(r, "this key is none of telltale's: it is too long or holds "
                     "a NUL byte");
    snprintf(r->key + prefix, KEY_MAX - prefix, "%s%.*s", prefix ? "." : "",
             (int)key.len, key.ptr);
    /* An unknown key is told with the key's line, not its value's. */
    tti_slice path = tti_slice_of(r->key);
    if (!config_table_find(r->table, path) && !is_section(r->table, r->key) &&
        !list_here(r))
      return unknown(r);
    if ((error = next(r)) != TT_OK || (error = read_value(r, depth)) != TT_OK)
      return error;
    r->key[prefix] = '\0';
  }
}

static tt_error read_document(reader *r) {
  tt_error error = next(r); /* stream start */
  if (error != TT_OK || (error = next(r)) != TT_OK)
    return error;
  if (r->event.type == YAML_STREAM_END_EVENT)
    return TT_OK; /* an empty file */
  if ((error = next(r)) != TT_OK || (error = check_plain(r)) != TT_OK)
    return error;
  if (r->event.type == YAML_MAPPING_START_EVENT)
    error = read_mapping(r, 0);
  else if (r->event.type != YAML_SCALAR_EVENT || scalar(r).len)
    error = fail(r, "expected keys and values, such as `listen: "
                    "127.0.0.1:6060`");
  if (error != TT_OK || (error = next(r)) != TT_OK) /* document end */
    return error;
  if ((error = next(r)) != TT_OK)
    return error;
  if (r->event.type != YAML_STREAM_END_EVENT)
    return fail(r, "one document is enough: remove the second");
  return TT_OK;
}

tt_error config_read_yaml(const char *name, tti_slice text, tti_buf *out_error,
                          config *c) {
  reader r = {
      .name = name, .error = out_error, .config = c, .table = &config_main};
  if (!yaml_parser_initialize(&r.parser))
    return TT_ENOMEM;
  yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(
      &r.parser, (const unsigned char *)(text.len ? text.ptr : ""), text.len);
  tt_error error = read_document(&r);
  if (r.has_event)
    yaml_event_delete(&r.event);
  yaml_parser_delete(&r.parser);
  return error;
}
