#include "lib/stream/internal.h"

#include <stdlib.h>

struct tt_cancel {
  _Atomic bool triggered;
  pthread_mutex_t mutex; /* of the list; taken before any bell's `park` */
  cancel_wait *waits;
};

tt_error tt_cancel_new(tt_cancel **out_cancel) {
  if (!out_cancel)
    return TT_EINVAL;
  tt_cancel *cancel = calloc(1, sizeof(*cancel));
  if (!cancel)
    return TT_ENOMEM;
  if (pthread_mutex_init(&cancel->mutex, NULL)) {
    free(cancel);
    return TT_ENOMEM;
  }
  *out_cancel = cancel;
  return TT_OK;
}

void tt_cancel_free(tt_cancel *cancel) {
  if (!cancel)
    return;
  pthread_mutex_destroy(&cancel->mutex);
  free(cancel);
}

bool tti_cancel_triggered(const tt_cancel *cancel) {
  return cancel &&
         atomic_load_explicit(&cancel->triggered, memory_order_acquire);
}

/* A wait that enters after the walk below takes the mutex after it and so sees
 * `triggered`; one that entered before checks it under its bell's `park`, or is
 * asleep there when the walk wakes it. */
void tt_cancel_trigger(tt_cancel *cancel) {
  if (!cancel)
    return;
  atomic_store_explicit(&cancel->triggered, true, memory_order_release);
  pthread_mutex_lock(&cancel->mutex);
  for (cancel_wait *wait = cancel->waits; wait; wait = wait->next)
    tti_bell_wake_readers(wait->bell);
  pthread_mutex_unlock(&cancel->mutex);
}

void tti_cancel_enter(tt_cancel *cancel, cancel_wait *wait) {
  if (!cancel)
    return;
  pthread_mutex_lock(&cancel->mutex);
  wait->prev = NULL;
  wait->next = cancel->waits;
  if (wait->next)
    wait->next->prev = wait;
  cancel->waits = wait;
  pthread_mutex_unlock(&cancel->mutex);
}

void tti_cancel_leave(tt_cancel *cancel, cancel_wait *wait) {
  if (!cancel)
    return;
  pthread_mutex_lock(&cancel->mutex);
  if (wait->prev)
    wait->prev->next = wait->next;
  else
    cancel->waits = wait->next;
  if (wait->next)
    wait->next->prev = wait->prev;
  pthread_mutex_unlock(&cancel->mutex);
}
