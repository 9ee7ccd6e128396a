#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "server/config/config.h"

typedef enum config_type {
  CONFIG_TYPE_STRING,
  CONFIG_TYPE_BOOL,
  CONFIG_TYPE_SIZE,
  CONFIG_TYPE_COUNT,
  CONFIG_TYPE_DURATION_MS,
  CONFIG_TYPE_LIST
} config_type;

/* A row of the option table. */
typedef struct config_option {
  config_type type;
  bool live;       /* SIGHUP re-reads it */
  const char *key; /* dotted: "ring.entries" */
  const char *env;
  const char *flag;
  const char *value; /* the default, as text */
  const char *help;
  size_t offset; /* of its field in config */
} config_option;

extern const config_option config_options[];
extern const size_t config_option_count;

/* Options that fill one kind of struct, at their offsets. */
typedef struct config_table {
  const config_option *options;
  size_t count;
} config_table;

extern const config_table config_main; /* config_options, of a config */

/* NULL: no such option. */
const config_option *config_table_find(const config_table *table,
                                       tti_slice key);
/* The known key that is nearest to an unknown one; NULL when none is near.
 * Static. */
const char *config_table_nearest(const config_table *table, tti_slice key);

/* Checks a text and gives it to its field in `base`, freeing the earlier value;
 * a LIST takes a comma list, `append` keeps what it has. `where`
 * ("telltale.yaml:3", "--listen", "TELLTALE_LISTEN") begins the sentence in
 * *out_error. TT_EINVAL, TT_ENOMEM. */
tt_error config_field_set(const config_option *option, tti_slice text,
                          bool append, const char *where, tti_buf *out_error,
                          void *base);
/* Appends a field's value, as a text that config_field_set would take. */
void config_field_print(const config_option *option, const void *base,
                        tti_buf *out);
void config_fields_free(const config_table *table, void *base);

/* NULL: no such option; `flag` with its two dashes. */
const config_option *config_option_by_flag(tti_slice flag);

/* The words that an option's value is one of, NULL-terminated and static; NULL:
 * any text. */
const char *const *config_option_words(const config_option *option);

/* What its value is called: "SIZE"; "" for a switch. Static. */
const char *config_option_kind(const config_option *option);

/* The known flag that is nearest to an unknown one; NULL when none is near.
 * Static. */
const char *config_nearest_flag(tti_slice flag);

/* config_field_set for the config's own options; `where` is kept as the value's
 * origin. */
tt_error config_option_set(const config_option *option, tti_slice text,
                           bool append, const char *where, tti_buf *out_error,
                           config *c);

/* Reads a YAML text into the config. `name` is the file's, for messages; the
 * text is borrowed. TT_EPARSE, TT_EINVAL, TT_ENOMEM. */
tt_error config_read_yaml(const char *name, tti_slice text, tti_buf *out_error,
                          config *c);

/* ---- Entries of a list of the file ---- */

/* What a list such as `sinks:` is made of. */
typedef struct config_list {
  const char *key;
  const char *example; /* how an entry begins */
  const config_table *table;
  /* Checks the last entry, now that all of it was read. `given` has a bit for
   * each option that was. TT_EINVAL, TT_ENOMEM. */
  tt_error (*check)(config *c, uint64_t given, tti_buf *out_error);
  size_t max;
  size_t size;    /* of an entry */
  size_t entries; /* offsets in config: of the array … */
  size_t count;   /* … and of how many there are */
  size_t origin;  /* offsets in an entry: of where it begins … */
  size_t text;    /* … and of all of it, as config_entry_text has it */
} config_list;

enum { CONFIG_LIST_SINKS };

extern const config_list config_lists[];
extern const size_t config_list_count;

/* Appends an entry with the defaults in it, which begins at `where`.
 * TT_ETOOBIG: there are as many as there may be; TT_ENOMEM. */
tt_error config_list_add(const config_list *list, config *c, const char *where,
                         void **out_entry);
bool config_list_same(const config_list *list, const config *a,
                      const config *b);
void config_list_free(const config_list *list, config *c);
/* All of an entry, as a text; NULL: no memory. Freed by the caller. */
char *config_entry_text(const config_table *table, const void *entry);

/* ---- metrics.c ---- */

extern const config_table config_metrics; /* of a metrics_spec */

tt_error config_metrics_check(config *c, uint64_t given, tti_buf *out_error);
/* The types of backend (metrics_type bits) that have an option of it. */
unsigned config_metrics_types(const config_option *option);

/* ---- route.c ---- */

extern const config_table config_route; /* of an outbox_rule_spec */

tt_error config_route_check(config *c, uint64_t given, tti_buf *out_error);

/* ---- sink.c ---- */

extern const config_table config_sink; /* of a sink_spec */

/* The types of sink (sink_type bits) that have an option of config_sink. */
unsigned config_sink_types(const config_option *option);
tt_error config_sink_check(config *c, uint64_t given, tti_buf *out_error);

/* Where the environment names a place for OTLP, and no entry of the file does,
 * the exports of sessions go there: adds the entry for it. TT_EINVAL,
 * TT_ENOMEM. */
tt_error config_sink_of_environment(config *c, tti_buf *out_error);

#endif
