#include "server/http/budget.h"

#define SLAB_MAX ((size_t)256 << 10)

void http_budget_init(http_budget *budget, size_t limit) {
  budget->limit = limit;
  atomic_init(&budget->taken, 0);
}

void http_budget_share_init(http_budget_share *share, http_budget *budget) {
  share->budget = budget;
  share->spare = 0;
  atomic_init(&share->used, 0);
}

/* A share's reserve stays small against the limit, so that loops which do not
 * need it leave it to the others. */
static size_t slab(const http_budget *budget) {
  size_t part = budget->limit / 64;
  return part < SLAB_MAX ? part : SLAB_MAX;
}

static bool take_shared(http_budget *budget, size_t bytes) {
  /* Relaxed: only the sum counts, it publishes nothing. */
  size_t taken = atomic_load_explicit(&budget->taken, memory_order_relaxed);
  do {
    if (bytes > budget->limit || taken > budget->limit - bytes)
      return false;
  } while (!atomic_compare_exchange_weak_explicit(
      &budget->taken, &taken, taken + bytes, memory_order_relaxed,
      memory_order_relaxed));
  return true;
}

static void add_used(http_budget_share *share, size_t bytes) {
  size_t used = atomic_load_explicit(&share->used, memory_order_relaxed);
  atomic_store_explicit(&share->used, used + bytes, memory_order_relaxed);
}

bool http_budget_take(http_budget_share *share, size_t bytes) {
  if (share->spare < bytes) {
    size_t need = bytes - share->spare;
    size_t more = slab(share->budget);
    if (need < more && take_shared(share->budget, more))
      share->spare += more;
    else if (take_shared(share->budget, need))
      share->spare += need;
    else
      return false;
  }
  share->spare -= bytes;
  add_used(share, bytes);
  return true;
}

void http_budget_give(http_budget_share *share, size_t bytes) {
  size_t keep = slab(share->budget);
  share->spare += bytes;
  add_used(share, (size_t)0 - bytes);
  if (share->spare <= keep * 2)
    return;
  atomic_fetch_sub_explicit(&share->budget->taken, share->spare - keep,
                            memory_order_relaxed);
  share->spare = keep;
}
