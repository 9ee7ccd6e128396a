#ifndef STORE_TABLES_OUTBOX_H
#define STORE_TABLES_OUTBOX_H

#include "lib/outbox/outbox.h"
#include "server/store/tables/tables.h"

/* Events that were published, and what became of each: pending until it was
 * fanned out to the webhooks that match it, if any. */
typedef enum outbox_status {
  OUTBOX_PENDING = 0,
  OUTBOX_PROCESSED = 1, /* some matched */
  OUTBOX_NO_MATCH = 2
} outbox_status;

#define OUTBOX_SHA256 32

typedef struct outbox_row {
  tti_outbox_row event; /* created_us and the rest, see there */
  uint64_t seq;         /* of its row in history; 0: it has none */
  tti_slice request;    /* SHA-256 of the request it came with; NULL: none */
  outbox_status status;
  uint64_t attempts; /* to fan it out, that failed */
  tti_slice last_error;
  int64_t processed_us;
  tti_slice matched; /* a JSON array of webhooks, at most OUTBOX_MATCHED_MAX */
  uint64_t matched_count; /* all of them */
} outbox_row;

#define OUTBOX_MATCHED_MAX 50

/* Sees one row, borrowed for the call; false: no more. */
typedef bool (*outbox_visit)(void *context, const outbox_row *row);

/* Writes a pending event; what is of its outcome is not looked at. An id that
 * is there already: nothing is written, *out_inserted is false. */
tt_error outbox_insert(store_tx *tx, const outbox_row *row, bool *out_inserted);

/* TT_ENOTFOUND. */
tt_error outbox_get(store_tx *tx, tti_slice id, outbox_visit visit,
                    void *context);

/* What a list is narrowed to; what is empty or 0 does not. */
typedef struct outbox_filter {
  tti_slice type, subject, source, category, agent_id;
  bool has_status;
  outbox_status status;
  int64_t since_us; /* created, inclusive */
  int64_t until_us; /* exclusive */
  int64_t now_us;   /* expired ones are left out; 0: they are not */
  int64_t before_n; /* exclusive; 0: from the newest */
} outbox_filter;

/* Newest first, at most `max`. Looks at no more than `scan_max` rows:
 * *out_next_n is where to go on, 0 when there is nothing more. */
tt_error outbox_list(store_tx *tx, const outbox_filter *filter, size_t max,
                     size_t scan_max, outbox_visit visit, void *context,
                     int64_t *out_next_n);

/* ---- Fan-out ---- */

/* What is pending and due, the longest due first, without the bodies. */
tt_error outbox_due(store_tx *tx, int64_t now_us, size_t max,
                    outbox_visit visit, void *context);

/* Ends a pending event by what deliveries it has: processed or no_match, and
 * its webhooks. *out_matched is how many; *out_closed false: it was not pending
 * any more, and nothing was changed. */
tt_error outbox_close(store_tx *tx, int64_t n, tti_slice id, int64_t now_us,
                      uint64_t *out_matched, bool *out_closed);

/* One more attempt that failed: it is due again at `next_poll_us`. */
tt_error outbox_postpone(store_tx *tx, int64_t n, const char *why,
                         int64_t next_poll_us);

/* When the oldest pending event was created; 0: none is pending. */
tt_error outbox_oldest(store_tx *tx, int64_t *out_created_us);

/* The highest number that was given out so far. */
tt_error outbox_last(store_tx *tx, int64_t *out_n);

#endif
