#ifndef SESSIONS_CHOICE_H
#define SESSIONS_CHOICE_H

#include "lib/event/parse.h"

/* The body of a PUT or PATCH: what is to be captured and exported.
 *
 *   {"browser": {"console": {"enabled": false}, …},
 *    "export": {"otlp": {"enabled": true}}}
 *
 * Any part may be left out. */
typedef struct session_choice {
  bool has_browser, has_export;
  uint64_t on, off; /* the categories that are named, a bit each */
  bool has_otlp, otlp;
} session_choice;

typedef struct session_refusal {
  const char *code; /* static */
  char message[300];
} session_refusal;

/* False: *out_refusal says why. */
bool session_choice_parse(tti_slice body, const tti_vocabulary *v,
                          session_choice *out_choice,
                          session_refusal *out_refusal);

#endif
