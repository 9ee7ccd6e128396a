#ifndef CLI_WEBHOOKS_H
#define CLI_WEBHOOKS_H

#include "cli/client.h"

/* `telltale webhooks`: its options, as rows of the table in webhooks.c. */
enum {
  WEBHOOKS_EVENTS,
  WEBHOOKS_FILTERS,
  WEBHOOKS_HEADERS,
  WEBHOOKS_DESCRIPTION,
  WEBHOOKS_FORMAT,
  WEBHOOKS_ORDERED,
  WEBHOOKS_ENABLED,
  WEBHOOKS_ENDPOINT,
  WEBHOOKS_EVENT,
  WEBHOOKS_DATA,
  WEBHOOKS_SUBJECT, /* what is tried with match, up to … */
  WEBHOOKS_SOURCE,
  WEBHOOKS_CHANNEL,
  WEBHOOKS_AGENT_ID,
  WEBHOOKS_LEVEL,
  WEBHOOKS_LABELS, /* … here */
  WEBHOOKS_STATUS,
  WEBHOOKS_LIMIT,
  WEBHOOKS_SECRET,
  WEBHOOKS_ID,
  WEBHOOKS_TIMESTAMP,
  WEBHOOKS_SIGNATURE,
  WEBHOOKS_SERVER,
  WEBHOOKS_JSON = WEBHOOKS_SERVER + CLIENT_ROW_COUNT
};

typedef struct webhooks_args {
  const char *values[WEBHOOKS_JSON + 1];
  const char *id;    /* the word after the verb; NULL: none */
  const char *third; /* … and the one after that */
} webhooks_args;

/* verify: checks a request that was received. An exit status. */
int webhooks_verify(const webhooks_args *args);

#endif
