#include "lib/stream/internal.h"

#include "lib/base/time.h"
#include <stdlib.h>

static uint64_t seq_at(const tt_stream *stream, uint64_t position) {
  return atomic_load_explicit(&tti_slot_at(stream, position)->seq,
                              memory_order_acquire);
}

/* Under the stream's mutex: the first position whose seq is above. */
static uint64_t find_after(const tt_stream *stream, uint64_t tail,
                           uint64_t head, uint64_t after_seq) {
  while (tail < head) {
    uint64_t middle = tail + (head - tail) / 2;
    if (seq_at(stream, middle) > after_seq)
      head = middle;
    else
      tail = middle + 1;
  }
  return head;
}

/* Under the stream's mutex. */
static void seek(tt_reader *reader, uint64_t after_seq) {
  tt_stream *stream = reader->stream;
  uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
  uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);
  uint64_t last = atomic_load_explicit(&stream->last_seq, memory_order_relaxed);
  uint64_t gone = tail < head ? seq_at(stream, tail) - 1 : last;
  if (after_seq == 0)
    after_seq = gone;
  reader->after_seq = after_seq;
  reader->position = find_after(stream, tail, head, after_seq);
  reader->known_head = head;
  reader->missed = 0;
  if (after_seq < gone) {
    /* This ring's own entries are counted; of numbers from before it, only the
     * span is known. */
    uint64_t span = gone - after_seq;
    bool own = after_seq >= stream->base_seq;
    reader->missed = own && tail < span ? tail : span;
  }
}

tt_error tt_reader_new(tt_stream *stream, uint64_t after_seq,
                       tt_reader **out_reader) {
  if (!stream || !out_reader)
    return TT_EINVAL;
  tt_reader *reader = aligned_alloc(TTI_CACHE_LINE, sizeof(*reader));
  if (!reader)
    return TT_ENOMEM;
  *reader = (tt_reader){.stream = stream, .busy = ATOMIC_FLAG_INIT};
  pthread_mutex_lock(&stream->mutex);
  seek(reader, after_seq);
  reader->next = stream->readers;
  if (reader->next)
    reader->next->prev = reader;
  stream->readers = reader;
  pthread_mutex_unlock(&stream->mutex);
  *out_reader = reader;
  return TT_OK;
}

void tt_reader_free(tt_reader *reader) {
  if (!reader)
    return;
  tt_stream *stream = reader->stream;
  free(reader->pairs);
  if (tti_stream_is_foreign(stream)) {
    free(reader);
    return;
  }
  pthread_mutex_lock(&stream->mutex);
  if (reader->prev)
    reader->prev->next = reader->next;
  else
    stream->readers = reader->next;
  if (reader->next)
    reader->next->prev = reader->prev;
  tti_chunk_reclaim(stream);
  pthread_mutex_unlock(&stream->mutex);
  free(reader);
}

void tti_reader_unpin(tt_reader *reader) {
  /* release: all reads of the chunk come before its reuse. The reader's own
   * thread alone writes this. */
  if (atomic_load_explicit(&reader->pinned, memory_order_relaxed))
    atomic_store_explicit(&reader->pinned, NULL, memory_order_release);
}

void tti_reader_seek(tt_reader *reader, uint64_t after_seq) {
  tti_reader_unpin(reader);
  pthread_mutex_lock(&reader->stream->mutex);
  seek(reader, after_seq);
  pthread_mutex_unlock(&reader->stream->mutex);
}

/* The oldest position held and the last seq before it. */
static void oldest(tt_stream *stream, uint64_t *out_tail, uint64_t *out_gone) {
  for (;;) {
    uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
    if (tail == atomic_load_explicit(&stream->head, memory_order_acquire))
      break;
    uint64_t seq = seq_at(stream, tail);
    if (atomic_load_explicit(&stream->tail, memory_order_acquire) == tail) {
      *out_tail = tail;
      *out_gone = seq - 1;
      return;
    }
  }
  /* Empty, for the moment or because memory ran out: what was last is known
   * only under the mutex. */
  pthread_mutex_lock(&stream->mutex);
  *out_tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
  bool empty =
      *out_tail == atomic_load_explicit(&stream->head, memory_order_relaxed);
  *out_gone =
      empty ? atomic_load_explicit(&stream->last_seq, memory_order_relaxed)
            : seq_at(stream, *out_tail) - 1;
  pthread_mutex_unlock(&stream->mutex);
}

static void set_drop(tt_reader *reader, uint64_t count, uint64_t to_seq,
                     tt_read_result *out_drop) {
  *out_drop = (tt_read_result){
      .dropped = count, .from_seq = reader->after_seq + 1, .to_seq = to_seq};
  reader->after_seq = to_seq;
  atomic_fetch_add_explicit(&reader->stream->dropped, count,
                            memory_order_relaxed);
}

/* The entries at and after the position were evicted, or were gone at the last
 * seek. False when none of them was wanted. */
static bool report_drop(tt_reader *reader, tt_read_result *out_drop) {
  uint64_t tail, gone;
  tti_reader_unpin(reader);
  oldest(reader->stream, &tail, &gone);
  uint64_t evicted = tail > reader->position ? tail - reader->position : 0;
  uint64_t count = reader->missed + evicted;
  reader->missed = 0;
  if (tail > reader->position)
    reader->position = tail;
  if (gone <= reader->after_seq)
    return false;
  /* A reader that waited ahead of the head did not miss what it skipped. */
  if (count > gone - reader->after_seq)
    count = gone - reader->after_seq;
  set_drop(reader, count, gone, out_drop);
  return true;
}

/* Whether the entry at the position was there: then it is pinned. */
static bool take(tt_reader *reader, tti_stream_entry *out_entry) {
  tt_stream *stream = reader->stream;
  slot *s = tti_slot_at(stream, reader->position);
  uint64_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);
  int64_t received_us =
      atomic_load_explicit(&s->received_us, memory_order_acquire);
  chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire);
  uint32_t offset = atomic_load_explicit(&s->offset, memory_order_acquire);
  uint32_t len = atomic_load_explicit(&s->len, memory_order_acquire);
  if (c != atomic_load_explicit(&reader->pinned, memory_order_relaxed))
    atomic_store_explicit(&reader->pinned, c, memory_order_seq_cst);
  /* See internal.h: also what makes the fields above good. */
  if (atomic_load_explicit(&stream->tail, memory_order_seq_cst) >
      reader->position)
    return false;
  *out_entry = (tti_stream_entry){
      .seq = seq,
      .received_us = received_us,
      .record = {c ? c->bytes + offset : NULL, len},
  };
  return true;
}

/* The entry at the position is one that the reader, ahead of the head, does not
 * want. When the last known one is not wanted either, nor are those between. */
static void skip_ahead(tt_reader *reader) {
  uint64_t last = reader->known_head - 1;
  uint64_t seq = seq_at(reader->stream, last);
  bool valid =
      atomic_load_explicit(&reader->stream->tail, memory_order_acquire) <= last;
  reader->position =
      valid && seq <= reader->after_seq ? last + 1 : reader->position + 1;
}

tti_read tti_reader_next(tt_reader *reader, tti_stream_entry *out_entry,
                         tt_read_result *out_drop) {
  for (;;) {
    if (reader->missed && report_drop(reader, out_drop))
      return TTI_READ_DROPPED;
    if (reader->position >= reader->known_head) {
      reader->known_head =
          atomic_load_explicit(&reader->stream->head, memory_order_acquire);
      if (reader->position >= reader->known_head) {
        tti_reader_unpin(reader);
        return TTI_READ_NONE;
      }
    }
    if (!take(reader, out_entry)) {
      if (report_drop(reader, out_drop))
        return TTI_READ_DROPPED;
      continue;
    }
    if (out_entry->seq <= reader->after_seq) {
      skip_ahead(reader);
      continue;
    }
    reader->position++;
    if (!out_entry->record.ptr) { /* a hole */
      set_drop(reader, 1, out_entry->seq, out_drop);
      return TTI_READ_DROPPED;
    }
    reader->after_seq = out_entry->seq;
    return TTI_READ_ENTRY;
  }
}

/* Makes the entry what the next read lends. False: it is no record, or there is
 * no memory for its metadata. */
static bool lend(tt_reader *reader, const tti_stream_entry *entry) {
  tti_record record;
  if (tti_record_decode(entry->record, &record))
    return false;
  tt_envelope *e = &reader->envelope;
  e->seq = entry->seq;
  e->received_us = entry->received_us;
  tti_record_to_event(&record, &e->event);
  if (record.metadata.len == 0)
    return true;
  size_t count =
      tti_metadata_unpack(record.metadata, reader->pairs, reader->pairs_cap);
  if (count > reader->pairs_cap) {
    tt_metadata *pairs = realloc(reader->pairs, count * sizeof(*pairs));
    if (!pairs)
      return false;
    reader->pairs = pairs;
    reader->pairs_cap = count;
    tti_metadata_unpack(record.metadata, pairs, count);
  }
  e->event.metadata = reader->pairs;
  e->event.metadata_count = count;
  return true;
}

static bool next_result(tt_reader *reader, tt_read_result *out_result) {
  tti_stream_entry entry;
  switch (tti_reader_next(reader, &entry, out_result)) {
  case TTI_READ_NONE:
    return false;
  case TTI_READ_DROPPED:
    return true;
  case TTI_READ_ENTRY:
    break;
  }
  if (lend(reader, &entry)) {
    *out_result = (tt_read_result){.envelope = &reader->envelope};
  } else {
    /* What cannot be shown is at least counted. */
    reader->after_seq = entry.seq - 1;
    set_drop(reader, 1, entry.seq, out_result);
  }
  return true;
}

/* A reader is one thread's at a time. acquire and release: its fields pass from
 * the thread that read before to the one that reads now. */
static bool enter(tt_reader *reader) {
  return !atomic_flag_test_and_set_explicit(&reader->busy,
                                            memory_order_acquire);
}

static void leave(tt_reader *reader) {
  atomic_flag_clear_explicit(&reader->busy, memory_order_release);
}

bool tt_reader_try_read(tt_reader *reader, tt_read_result *out_result) {
  if (!reader || !out_result || !enter(reader))
    return false;
  bool got = next_result(reader, out_result);
  leave(reader);
  return got;
}

/* What a blocking read waits for: whether it is there, and in the outs. */
typedef bool looker(tt_reader *reader, void *out_entry, tt_read_result *out);

static bool look_for_result(tt_reader *reader, void *out_entry,
                            tt_read_result *out_result) {
  (void)out_entry;
  return next_result(reader, out_result);
}

static bool look_for_entry(tt_reader *reader, void *out_entry,
                           tt_read_result *out_drop) {
  tti_stream_entry *entry = out_entry;
  tti_read read = tti_reader_next(reader, entry, out_drop);
  if (read == TTI_READ_DROPPED)
    entry->record.ptr = NULL;
  return read != TTI_READ_NONE;
}

static tt_error look_or_wait(tt_reader *reader, int timeout_ms,
                             tt_cancel *cancel, looker *look, void *out_entry,
                             tt_read_result *out_result) {
  tt_stream *stream = reader->stream;
  int64_t deadline_us = -1;
  for (;;) {
    if (tti_cancel_triggered(cancel))
      return TT_ECANCELLED;
    /* Before the look: whatever was published before the close is found. */
    bool closed = atomic_load_explicit(&stream->closed, memory_order_acquire);
    if (look(reader, out_entry, out_result))
      return TT_OK;
    if (closed)
      return TT_ECLOSED;
    if (timeout_ms == 0)
      return TT_ETIMEOUT;
    if (timeout_ms > 0 && deadline_us < 0)
      deadline_us =
          tti_monotonic_us(&tti_clock_system) + (int64_t)timeout_ms * 1000;
    tt_error error =
        tti_bell_wait(stream, reader->position, deadline_us, cancel);
    if (error)
      return error;
  }
}

tt_error tti_reader_wait_next(tt_reader *reader, int timeout_ms,
                              tt_cancel *cancel, tti_stream_entry *out_entry,
                              tt_read_result *out_drop) {
  return look_or_wait(reader, timeout_ms, cancel, look_for_entry, out_entry,
                      out_drop);
}

tt_error tt_reader_read(tt_reader *reader, int timeout_ms, tt_cancel *cancel,
                        tt_read_result *out_result) {
  if (!reader || !out_result)
    return TT_EINVAL;
  if (!enter(reader))
    return TT_EBUSY;
  tt_error error = look_or_wait(reader, timeout_ms, cancel, look_for_result,
                                NULL, out_result);
  leave(reader);
  return error;
}
