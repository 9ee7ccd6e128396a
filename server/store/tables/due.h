#ifndef STORE_TABLES_DUE_H
#define STORE_TABLES_DUE_H

#include "server/store/tables/deliveries.h"

/* Deliveries as the deliverer sees them: which are due, and what came of them.
 * A webhook has two lanes of them: what events' fan-out made, and, express,
 * tests and redeliveries, which wait behind nothing. Times are unix
 * microseconds. */

typedef struct due_lane {
  char webhook[TABLES_ID_SIZE];
  bool express;
} due_lane;

/* ---- Looking; on a reading thread ---- */

/* The lanes of deliveries that were made after number `after_n`, in that order,
 * each as often as it has any (but not twice in a row); at most `max` rows are
 * looked at. *out_n is the number of the last. */
tt_error due_made(store_tx *tx, int64_t after_n, size_t max,
                  void (*lane)(void *context, const due_lane *lane),
                  void *context, int64_t *out_n, bool *out_more);

/* The number of the delivery that was made last; 0: none. */
tt_error due_last(store_tx *tx, int64_t *out_n);

/* The first webhook after `id` ("": of all) of which anything is pending.
 * TT_ENOTFOUND: there is none. */
tt_error due_next_webhook(store_tx *tx, char id[TABLES_ID_SIZE]);

/* How many are pending; at most `max` are counted. */
tt_error due_pending(store_tx *tx, uint64_t max, uint64_t *out_count);

/* What a request to a webhook needs. One piece of memory, freed with free(). */
typedef struct due_webhook {
  bool enabled;
  bool ordered;
  const char *url, *format, *headers; /* headers: JSON or "" */
  const char *secret;
  const char *previous_secret; /* "": none; signs until … */
  int64_t previous_until_us;
} due_webhook;

/* TT_ENOTFOUND: it was deleted; TT_ENOMEM. */
tt_error due_webhook_read(store_tx *tx, const char *id,
                          due_webhook **out_webhook);

/* One delivery and what it carries; likewise one piece. */
typedef struct due_delivery {
  int64_t n;
  int64_t created_us, due_us;
  unsigned attempts;
  const char *id, *event_id, *type;
  const char *source, *category, *agent_id, *level; /* "": unknown */
  tti_slice body; /* ptr NULL: the event is not there any more */
} due_delivery;

/* What of a lane is wanted. */
typedef struct due_query {
  due_lane lane;
  bool ordered; /* by number, up to the first that is not due; else by time */
  int64_t now_us;
  const int64_t *held; /* numbers that are not wanted, being there already */
  size_t held_count;
  size_t max;       /* deliveries */
  size_t max_bytes; /* of bodies, but for the first */
} due_query;

/* Those that are due. `take` gets each and owns it. *out_next_us is when the
 * first of the others is due (now, when there was no room for it); INT64_MAX:
 * there is none. */
tt_error due_read(store_tx *tx, const due_query *query,
                  void (*take)(void *context, due_delivery *due), void *context,
                  int64_t *out_next_us);

/* The first webhook after `id` ("": of all) that is enabled, had at least
 * `failed` deliveries fail since `since_us` and its last change, and none
 * delivered since `since_us`. At most `max` are looked at: when it is not found
 * among them go on after `id`. TT_ENOTFOUND: there is none any more. */
tt_error due_failing(store_tx *tx, char id[TABLES_ID_SIZE], int64_t since_us,
                     unsigned failed, size_t max, bool *out_found);

/* ---- Changing; on the writing thread ---- */

typedef struct due_attempt {
  int64_t n;
  delivery_status status;
  unsigned attempts;
  bool counted; /* the attempt is kept; else only its error is */
  bool tried;   /* false: nothing was attempted at all */
  int64_t at_us, duration_us;
  int64_t retry_us;   /* PENDING: next */
  int answer;         /* HTTP's status; 0: none */
  const char *error;  /* NULL: none */
  const char *reason; /* FAILED: why; else NULL */
  tti_slice response;
} due_attempt;

/* False in *out_there: the delivery is gone, with its webhook. */
tt_error due_settle(store_tx *tx, const due_attempt *attempt, bool *out_there);

/* Keeps at most `max` deliveries of a lane that are due back until then. */
tt_error due_defer(store_tx *tx, const due_lane *lane, int64_t now_us,
                   int64_t until_us, size_t max);

/* The webhook took something just now. */
tt_error due_delivered(store_tx *tx, const char *webhook, int64_t at_us);

/* Disables a webhook on its own account. */
tt_error due_disable(store_tx *tx, const char *webhook, int64_t at_us,
                     bool *out_changed);

#endif
