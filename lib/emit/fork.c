#include "lib/emit/fork.h"

#include <sys/mman.h>

void *tti_fork_memory_new(size_t size, bool *out_wiped) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return NULL;
#ifdef MADV_WIPEONFORK
  *out_wiped = madvise(memory, size, MADV_WIPEONFORK) == 0;
#else
  *out_wiped = false;
#endif
  return memory;
}

void tti_fork_memory_free(void *memory, size_t size) {
  if (memory)
    munmap(memory, size);
}
