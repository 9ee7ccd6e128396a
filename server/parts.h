#ifndef PARTS_H
#define PARTS_H

#include "server/access.h"
#include "server/bus/bus.h"
#include "server/config/config.h"
#include "server/deliver/deliver.h"
#include "server/feed/feed.h"
#include "server/fleet/fleet.h"
#include "server/fleet/read.h"
#include "server/history/history.h"
#include "server/metrics/metrics.h"
#include "server/outbox/files.h"
#include "server/relay/relay.h"
#include "server/sessions/sessions.h"
#include "server/sinks/sinks.h"
#include "server/webhooks/webhooks.h"

#include <pthread.h>

/* What serve.c builds up and takes down, and reload.c changes in between. The
 * main thread's. */
enum { LOOPS_MAX = 256 };

typedef struct server {
  config config;
  char *store_path; /* "": memory */
  char *store_text;
  char address[64];
  uint16_t port;
  char url[100];
  tt_metrics *metrics;
  tt_metrics *prometheus; /* a part of it */
  /* The backends of metrics begin before the relay and end behind it. */
  pthread_mutex_t collect_mutex;
  relay *collected; /* NULL: not yet, or no more */
  store *store;
  bus *bus;
  loop *loops[LOOPS_MAX];
  size_t loop_count;
  tls *tls; /* NULL: plain HTTP */
  auth *auth;
  history *history;
  backup *backup;
  sinks *sinks;
  outbox *outbox;
  outbox_files *outbox_files;
  outbox_rules *routes; /* NULL: none */
  deliver *deliver;
  relay *relay;
  sessions *sessions;
  fleet_follow *fleet_follow;
  fleet_read *fleet_read;
  fleet *fleet;
  janitor *janitor;
  webhook_api *webhook_api;
  watchdog *watchdog;
  http_server *http;
  /* The bus wakes the feed, which is made after it and freed before it. */
  pthread_mutex_t feed_mutex;
  feed *feed;
  pthread_mutex_t drained_mutex;
  pthread_cond_t drained_cond;
  bool drained;
  access_log *access;
  auth_rules *rules;   /* in force; its texts are config's */
  int64_t leave_by_us; /* monotonic: the end of an ordered shutdown */
} server;

#endif
