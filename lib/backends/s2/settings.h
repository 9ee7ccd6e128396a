#ifndef TTI_BACKENDS_S2_SETTINGS_H
#define TTI_BACKENDS_S2_SETTINGS_H

#include <telltale/storage.h>

/* What the options and the environment say, checked. */
typedef struct tti_s2_settings {
  char *records;       /* the URL of the stream's records */
  char *tail;          /* … of its tail */
  char *shown;         /* for messages */
  char *authorization; /* a header */
  char *basin;         /* a header; NULL: the host's name says it */
} tti_s2_settings;

/* Fills settings that are all zero. On failure `problem` (TELLTALE_PROBLEM_MAX
 * bytes) says what is wrong; the settings are then to be freed nevertheless.
 * TT_EINVAL, TT_ENOMEM. */
tt_error tti_s2_settings_read(const tt_storage_s2_options *options,
                              tti_s2_settings *settings, char *problem);
void tti_s2_settings_fini(tti_s2_settings *settings);

#endif
