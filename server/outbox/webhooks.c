#include "server/outbox/internal.h"

#include "server/io/log.h"
#include "server/testing/fault.h"
#include <stdio.h>

enum { PIECE = 500 };

/* One piece after another is read: what changes meanwhile makes what was loaded
 * stale, but for events that were there when it began. */
typedef struct loading {
  matcher *made;
  int64_t upto_n; /* -1: nothing was read yet */
  char after[TABLES_ID_SIZE];
  size_t seen; /* of a piece */
  tt_error error;
} loading;

static bool add(void *context, const webhook *row) {
  loading *l = context;
  tt_error error = matcher_add(l->made, row);
  l->seen++;
  snprintf(l->after, sizeof l->after, "%.*s", (int)row->id.len, row->id.ptr);
  if (error == TT_ECORRUPT)
    server_log(TT_LEVEL_ERROR, "outbox",
               "webhook %s is left out: its events or filters cannot be read",
               l->after);
  else
    l->error = error;
  return !l->error;
}

static tt_error read_piece(store_read *read, store_tx *tx) {
  loading *l = ((outbox *)read->owner)->loading;
  tt_error error = TT_OK;
  l->seen = 0;
  if (FAULT_POINT("outbox.list_webhooks"))
    return TT_EIO;
  if (l->upto_n < 0)
    error = outbox_last(tx, &l->upto_n);
  if (!error)
    error = webhooks_by_id(tx, true, tti_slice_of(l->after), PIECE, add, l);
  return error ? error : l->error;
}

bool outbox_is_stale(const outbox *o, int64_t n) {
  return !o->matcher ||
         (n > o->matcher_upto_n &&
          atomic_load_explicit(&o->generation, memory_order_acquire) !=
              o->matcher_generation);
}

tt_error outbox_load_webhooks(outbox *o) {
  loading l = {.upto_n = -1};
  uint64_t generation =
      atomic_load_explicit(&o->generation, memory_order_acquire);
  tt_error error = matcher_new(&l.made);
  o->loading = &l;
  do
    error = error ? error : outbox_read(o, read_piece);
  while (!error && l.seen == PIECE);
  if (!error)
    error = matcher_seal(l.made);
  if (error) {
    matcher_free(l.made);
    return error;
  }
  matcher_free(o->matcher);
  o->matcher = l.made;
  o->matcher_generation = generation;
  o->matcher_upto_n = l.upto_n;
  return TT_OK;
}
