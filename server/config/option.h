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

/* NULL: no such option. `flag` with its two dashes. */
const config_option *config_option_by_key(tti_slice key);
const config_option *config_option_by_flag(tti_slice flag);

/* The words that an option's value is one of, NULL-terminated and static; NULL:
 * any text. */
const char *const *config_option_words(const config_option *option);

/* The known key (or flag) that is nearest to an unknown one; NULL when none is
 * near. Static. */
const char *config_nearest_key(tti_slice key);
const char *config_nearest_flag(tti_slice flag);

/* Checks a text and gives it to its field, freeing the earlier value; a LIST
 * takes a comma list, `append` keeps what it has. `where` ("telltale.yaml:3",
 * "--listen", "TELLTALE_LISTEN") begins the sentence in *out_error, and is kept
 * as the value's origin. TT_EINVAL, TT_ENOMEM. */
tt_error config_option_set(const config_option *option, tti_slice text,
                           bool append, const char *where, tti_buf *out_error,
                           config *c);

/* Appends an option's value, as a text that config_option_set would take. */
void config_option_print(const config_option *option, const config *c,
                         tti_buf *out);

/* Reads a YAML text into the config. `name` is the file's, for messages; the
 * text is borrowed. TT_EPARSE, TT_EINVAL, TT_ENOMEM. */
tt_error config_read_yaml(const char *name, tti_slice text, tti_buf *out_error,
                          config *c);

#endif
