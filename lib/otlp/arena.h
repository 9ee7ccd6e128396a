#ifndef TTI_OTLP_ARENA_H
#define TTI_OTLP_ARENA_H

#include "lib/base/slice.h"
#include <stdbool.h>

/* Memory for the parts of one message, given back all at once. The first
 * failure sticks, and `failed` is checked at the end. Not thread-safe. */
typedef struct tti_arena {
  struct tti_arena_block *blocks; /* the first is being filled */
  bool failed;
} tti_arena;

void tti_arena_fini(tti_arena *arena);

/* Forgets everything; keeps one block. */
void tti_arena_clear(tti_arena *arena);

/* Zeroed and aligned for anything; NULL when there is no memory. */
void *tti_arena_new(tti_arena *arena, size_t size);

#endif
