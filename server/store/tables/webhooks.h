#ifndef STORE_TABLES_WEBHOOKS_H
#define STORE_TABLES_WEBHOOKS_H

#include "server/store/tables/tables.h"

/* Who wants to hear of which events. A row as it stands in the table: what is
 * not there has a NULL pointer or is 0, times are unix microseconds. What may
 * stand in it, and how it is shown, is server/subscriptions. */
typedef struct webhook {
  tti_slice id; /* wh_… */
  tti_slice url;
  tti_slice description;
  tti_slice events;  /* a JSON array of patterns */
  tti_slice filters; /* a JSON object, name to an array of texts */
  tti_slice headers; /* a JSON object, name to text */
  tti_slice format;
  bool ordered;
  tti_slice secret;
  tti_slice previous_secret; /* signs too, until previous_until_us */
  int64_t previous_until_us;
  bool enabled;
  int64_t auto_disabled_us;
  int64_t last_delivered_us;
  int64_t created_us;
  int64_t updated_us;
} webhook;

/* Sees one row, borrowed for the call; false: no more. */
typedef bool (*webhooks_visit)(void *context, const webhook *row);

/* TT_ECONFLICT: the id is there. */
tt_error webhooks_insert(store_tx *tx, const webhook *row);

/* Writes all of it but id and created_us. TT_ENOTFOUND. */
tt_error webhooks_update(store_tx *tx, const webhook *row);

/* Its deliveries stay, for the janitor: expiry_orphans. TT_ENOTFOUND. */
tt_error webhooks_delete(store_tx *tx, tti_slice id);

/* Its texts go into `texts`, which is cleared. TT_ENOTFOUND. */
tt_error webhooks_get(store_tx *tx, tti_slice id, tti_buf *texts,
                      webhook *out_row);

/* Newest first, at most `max`: all, or those behind the one that was created
 * then and has this id. `before_us` 0: from the newest. */
tt_error webhooks_list(store_tx *tx, int64_t before_us, tti_slice before_id,
                       size_t max, webhooks_visit visit, void *context);

/* By id, at most `max` behind `after_id` (may be empty): all of them, or those
 * that are enabled. */
tt_error webhooks_by_id(store_tx *tx, bool enabled_only, tti_slice after_id,
                        size_t max, webhooks_visit visit, void *context);

tt_error webhooks_count(store_tx *tx, uint64_t *out_count);

#endif
