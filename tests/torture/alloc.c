#include "tests/torture/alloc.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <telltale/export.h>

/* Requests until the one that fails; at 0 and below nothing does. Relaxed: a
 * count, which orders nothing else. */
static atomic_long countdown;
static atomic_bool fired;

void torture_arm(unsigned n) {
  atomic_store_explicit(&fired, false, memory_order_relaxed);
  atomic_store_explicit(&countdown, n, memory_order_relaxed);
}

bool torture_disarm(void) {
  atomic_store_explicit(&countdown, 0, memory_order_relaxed);
  return atomic_load_explicit(&fired, memory_order_relaxed);
}

static bool fails(void) {
  if (atomic_load_explicit(&countdown, memory_order_relaxed) <= 0 ||
      atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed) != 1)
    return false;
  atomic_store_explicit(&fired, true, memory_order_relaxed);
  errno = ENOMEM;
  return true;
}

/* ---- The linker's wrappers ---- */

#define WRAP(result, name, parameters, arguments, failure)                     \
  result __real_##name parameters;                                             \
  result __wrap_##name parameters;                                             \
  result __wrap_##name parameters {                                            \
    return fails() ? (failure) : __real_##name arguments;                      \
  }

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL)
WRAP(void *, realloc, (void *old, size_t size), (old, size), NULL)
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(char *, strndup, (const char *text, size_t len), (text, len), NULL)
WRAP(void *, mmap,
     (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset), MAP_FAILED)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes,
      void *(*start)(void *), void *argument),
     (thread, attributes, start, argument), EAGAIN)

int __wrap_asprintf(char **out_text, const char *format, ...)
    TELLTALE_PRINTF(2, 3);
int __wrap_asprintf(char **out_text, const char *format, ...) {
  if (fails())
    return -1;
  va_list arguments;
  va_start(arguments, format);
  int len = vasprintf(out_text, format, arguments);
  va_end(arguments);
  return len;
}

/* ---- The libraries that let themselves be given an allocator ---- */

static sqlite3_mem_methods lite;

static void *lite_malloc(int size) {
  return fails() ? NULL : lite.xMalloc(size);
}
static void *lite_realloc(void *old, int size) {
  return fails() ? NULL : lite.xRealloc(old, size);
}

void torture_install(void) {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &lite);
  sqlite3_mem_methods methods = lite;
  methods.xMalloc = lite_malloc;
  methods.xRealloc = lite_realloc;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  /* Else most of its requests are served without asking for memory. */
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  json_set_alloc_funcs(malloc, free);
}
