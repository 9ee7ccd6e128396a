#ifndef TTI_EMIT_FORK_H
#define TTI_EMIT_FORK_H

#include <stdbool.h>
#include <stddef.h>

/* Memory that tells a forked child apart: zeroed at birth, shared by the
 * threads of one process, and zeroed again in every child. So a lock in it is
 * never found held by a thread that the child does not have, and a pointer in
 * it never leads the child to what belongs to its parent.
 *
 * Where the kernel cannot wipe memory at a fork, *out_wiped is false, the child
 * finds a copy, and its users have to compare process ids. NULL: no memory.
 * Freed with tti_fork_memory_free, by the process that made it or a child. */
void *tti_fork_memory_new(size_t size, bool *out_wiped);
void tti_fork_memory_free(void *memory, size_t size);

#endif
