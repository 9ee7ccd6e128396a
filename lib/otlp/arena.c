#include "lib/otlp/arena.h"

#include <stddef.h>
#include <stdlib.h>

#define BLOCK_BYTES ((size_t)64 << 10)
#define ALIGNMENT   _Alignof(max_align_t)

struct tti_arena_block {
  struct tti_arena_block *next;
  size_t size;
  size_t used;
  _Alignas(max_align_t) char bytes[];
};

void tti_arena_fini(tti_arena *arena) {
  while (arena->blocks) {
    struct tti_arena_block *block = arena->blocks;
    arena->blocks = block->next;
    free(block);
  }
}

void tti_arena_clear(tti_arena *arena) {
  struct tti_arena_block *first = arena->blocks;
  arena->failed = false;
  if (!first)
    return;
  arena->blocks = first->next;
  tti_arena_fini(arena);
  first->next = NULL;
  first->used = 0;
  arena->blocks = first;
}

static struct tti_arena_block *grow(tti_arena *arena, size_t size) {
  size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
  struct tti_arena_block *block = malloc(sizeof(*block) + room);
  if (!block)
    return NULL;
  *block = (struct tti_arena_block){.next = arena->blocks, .size = room};
  arena->blocks = block;
  return block;
}

void *tti_arena_new(tti_arena *arena, size_t size) {
  struct tti_arena_block *block = arena->blocks;
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (!block || block->size - block->used < size)
    block = grow(arena, size);
  if (!block) {
    arena->failed = true;
    return NULL;
  }
  void *memory = block->bytes + block->used;
  block->used += size;
  return memset(memory, 0, size);
}
