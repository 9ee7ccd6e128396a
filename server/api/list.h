#ifndef API_LIST_H
#define API_LIST_H

#include "server/api/call.h"
#include "server/http/describe.h"

/* A page of a list, {"items": [...], "next_cursor": ...}, read in pieces of a
 * few milliseconds, newest first. What a route keeps for it begins with this:
 *
 *   while (!list->over && tx_step(tx, stmt)) {
 *     api_place at = {last_us, n};
 *     if (!matches)
 *       api_list_pass(list, at);
 *     else if (api_list_next(list, at))
 *       ... an item onto list->call.body ...
 *   }
 */

/* Where an item is. Items go on below the one before. */
typedef struct api_place {
  int64_t at, n;
} api_place;

typedef struct api_list {
  api_call call;
  /* Writes items from below `from` on. On a reading thread. */
  tt_error (*read)(struct api_list *list, store_tx *tx);
  /* On the loop: answers what `read` did not find. May be NULL. */
  void (*missing)(struct api_list *list);
  store *store;
  api_place from;
  uint64_t hash; /* of what the cursor is bound to */
  unsigned long long limit;
  size_t count;
  bool over;           /* enough for this piece, though more may follow */
  int64_t piece_us;    /* monotonic: when it ends */
  int64_t patience_us; /* monotonic: no piece begins after it */
} api_list;

/* What every list takes. */
extern const http_parameter api_list_parameters[];

/* The cursor is bound to the path and to all parameters but `limit`. NULL:
 * answered. */
void *api_list_new(http_request *request, store *s, size_t size,
                   tt_error (*read)(api_list *list, store_tx *tx));
void api_list_run(api_list *list);

/* An item follows, and its comma was written; false: the page is full. */
bool api_list_next(api_list *list, api_place at);
/* What is here is not for the list. */
void api_list_pass(api_list *list, api_place at);

/* ,"name":"2026-…" and ,"name":"text" behind something. */
void api_put_time(tti_buf *out, const char *name, int64_t us);
void api_put_text(tti_buf *out, const char *name, tti_slice text);

#endif
