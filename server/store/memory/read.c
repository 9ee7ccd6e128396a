#include "server/store/memory/memory.h"

#include "lib/base/thread.h"
#include "server/store/scan.h"
#include <stdlib.h>

/* The reading thread. The lock is held for one chunk at a time, so a long scan
 * never keeps an append waiting for longer than that. */

static const memory_entry *entry_at(const memory_chunk *chunk, size_t at) {
  return (const memory_entry *)(chunk->bytes + at);
}

static size_t step(const memory_entry *entry) {
  return (sizeof *entry + entry->len + 7) & ~(size_t)7;
}

static void scan_entry(store_scan *scan, const memory_entry *entry) {
  const store_read *read = scan->read;
  if (entry->seq < scan->low || entry->seq > scan->high)
    return;
  if (read->since_us && entry->received_us < read->since_us)
    return;
  if (read->until_us && entry->received_us >= read->until_us)
    return;
  scan_row(scan, entry->seq, entry->received_us,
           (tti_slice){(const char *)(entry + 1), entry->len});
}

static void scan_up(store_scan *scan, const memory_chunk *chunk) {
  size_t at = 0;
  while (at < chunk->used && !scan->full && !scan->read->error) {
    const memory_entry *entry = entry_at(chunk, at);
    if (entry->seq > scan->examined)
      scan_entry(scan, entry);
    at += step(entry);
  }
}

static void scan_down(store_scan *scan, const memory_chunk *chunk) {
  size_t *offsets = malloc(chunk->rows * sizeof *offsets), count = 0;
  if (!offsets) {
    scan->read->error = TT_ENOMEM;
    return;
  }
  for (size_t at = 0; at < chunk->used; at += step(entry_at(chunk, at)))
    offsets[count++] = at;
  while (count > 0 && !scan->full && !scan->read->error) {
    const memory_entry *entry = entry_at(chunk, offsets[--count]);
    if (entry->seq < scan->examined)
      scan_entry(scan, entry);
  }
  free(offsets);
}

/* The chunk where the scan goes on; chunks may have gone meanwhile. */
static const memory_chunk *next_chunk(const memory_store *m,
                                      const store_scan *scan) {
  bool down = scan->read->order == STORE_DESCENDING;
  const memory_chunk *found = NULL;
  for (const memory_chunk *c = m->first_chunk; c; c = c->next) {
    if (!down && c->last_seq > scan->examined && c->last_seq >= scan->low)
      return c->first_seq <= scan->high ? c : NULL;
    if (down && c->first_seq < scan->examined && c->first_seq <= scan->high &&
        c->last_seq >= scan->low)
      found = c;
  }
  return found;
}

static void serve_read(memory_store *m, store_read *read) {
  store_scan scan;
  scan_begin(&scan, read);
  bool down = read->order == STORE_DESCENDING;
  pthread_mutex_lock(&m->lock);
  scan_set_bounds(&scan, m->next_seq - 1);
  scan_start(&scan);
  const memory_chunk *chunk;
  while (!scan.full && !read->error && scan.low <= scan.high &&
         (chunk = next_chunk(m, &scan))) {
    if (down)
      scan_down(&scan, chunk);
    else
      scan_up(&scan, chunk);
    uint64_t edge = down ? chunk->first_seq : chunk->last_seq;
    if (!scan.full && !read->error)
      scan_skip(&scan, edge);
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_lock(&m->lock);
  }
  pthread_mutex_unlock(&m->lock);
  if (!read->error)
    scan_finish(&scan);
  read->done(read);
}

static void *read_main(void *argument) {
  memory_store *m = argument;
  for (;;) {
    pthread_mutex_lock(&m->read_lock);
    while (!m->first_read && !m->reads_closing)
      pthread_cond_wait(&m->read_ready, &m->read_lock);
    store_read *read = m->first_read;
    bool closing = m->reads_closing;
    if (read) {
      m->first_read = read->next;
      if (!m->first_read)
        m->last_read = NULL;
      m->reads_waiting--;
    }
    pthread_mutex_unlock(&m->read_lock);
    if (!read)
      return NULL;
    if (closing) {
      read->error = TT_ECLOSED;
      read->done(read);
    } else if (read->run) {
      memory_run_read(m, read);
      read->done(read);
    } else {
      serve_read(m, read);
    }
  }
}

tt_error memory_reads_start(memory_store *m) {
  pthread_mutex_init(&m->read_lock, NULL);
  pthread_cond_init(&m->read_ready, NULL);
  m->read_started = tti_thread_start(&m->read_thread, read_main, m);
  return m->read_started ? TT_OK : TT_ENOMEM;
}

void memory_reads_stop(memory_store *m) {
  pthread_mutex_lock(&m->read_lock);
  m->reads_closing = true;
  pthread_cond_signal(&m->read_ready);
  pthread_mutex_unlock(&m->read_lock);
  if (m->read_started)
    pthread_join(m->read_thread, NULL);
  pthread_mutex_destroy(&m->read_lock);
  pthread_cond_destroy(&m->read_ready);
}

tt_error memory_read(store *base, store_read *read) {
  memory_store *m = (memory_store *)base;
  tt_error error = TT_OK;
  read->next = NULL;
  pthread_mutex_lock(&m->read_lock);
  if (m->reads_closing) {
    error = TT_ECLOSED;
  } else if (m->reads_waiting >= READS_MAX) {
    error = TT_EFULL;
  } else {
    if (m->last_read)
      m->last_read->next = read;
    else
      m->first_read = read;
    m->last_read = read;
    m->reads_waiting++;
    pthread_cond_signal(&m->read_ready);
  }
  pthread_mutex_unlock(&m->read_lock);
  return error;
}
