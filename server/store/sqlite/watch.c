#include "server/store/sqlite/sqlite.h"

#include "lib/base/thread.h"
#include <stdio.h>

/* What the watchdog sees of the threads, and the one thing that it may do: put
 * another reader in the place of one that hangs. Reads then go on, and the one
 * that hangs ends when it comes back: it holds nothing but its own connection.
 * The writer cannot be replaced, since it may hold the file's write lock. */

static watch_state look_writer(void *context) {
  sqlite_store *s = context;
  /* Relaxed: a counter that says nothing about other memory. */
  uint64_t beats = atomic_load_explicit(&s->writer_beats, memory_order_relaxed);
  pthread_mutex_lock(&s->queue_lock);
  bool waiting = s->queue.first != NULL;
  pthread_mutex_unlock(&s->queue_lock);
  return (watch_state){beats, waiting || beats % 2 == 1};
}

static watch_state look_reader(void *context) {
  reader **role = context;
  sqlite_store *s = (*role)->store;
  pthread_mutex_lock(&s->read_lock);
  watch_state state = {(*role)->beats, (*role)->busy};
  pthread_mutex_unlock(&s->read_lock);
  return state;
}

/* Under the read lock, or before there is any thread. */
bool sqlite_start_reader(sqlite_store *s, reader **role) {
  for (size_t i = 0; i < SQLITE_READER_SLOTS; i++) {
    reader *r = &s->readers[i];
    if (r->started && !r->ended)
      continue;
    if (r->started)
      pthread_join(r->thread, NULL);
    r->ended = r->retired = false;
    r->started = tti_thread_start(&r->thread, sqlite_reader_main, r);
    if (r->started)
      *role = r;
    return r->started;
  }
  return false;
}

static bool replace_reader(void *context) {
  reader **role = context, *old = *role;
  sqlite_store *s = old->store;
  pthread_mutex_lock(&s->read_lock);
  bool started = old->busy && !s->reads_closing && sqlite_start_reader(s, role);
  old->retired = started;
  pthread_mutex_unlock(&s->read_lock);
  return started;
}

size_t sqlite_watches(store *base, watchdog_worker *out_watches, size_t max) {
  sqlite_store *s = (sqlite_store *)base;
  size_t count = 0;
  if (max < 1 + SQLITE_READERS)
    return 0;
  out_watches[count++] = (watchdog_worker){
      .name = "store writer", .look = look_writer, .context = s};
  for (size_t i = 0; i < SQLITE_READERS; i++) {
    watchdog_worker *w = &out_watches[count++];
    *w = (watchdog_worker){.look = look_reader,
                           .replace = replace_reader,
                           .context = &s->roles[i]};
    snprintf(w->name, sizeof w->name, "store reader %zu", i);
  }
  return count;
}
