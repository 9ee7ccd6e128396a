#include "server/sessions/internal.h"

#include "lib/event/view.h"

#include <stdlib.h>

/* The envelope that an Idempotency-Key was answered with before: what was
 * stored, from the ring or, on a reading thread, from the store. */
typedef struct replay {
  store_read read;
  loop_task task;
  sessions *sessions;
  http_request *request;
  uint64_t seq;
  tti_buf fallback; /* the envelope made of the repeated body */
} replay;

static void replay_free(replay *r) {
  tti_buf_fini(&r->read.rows);
  tti_buf_fini(&r->fallback);
  free(r);
}

/* Answers with the record; false: it is none. */
static bool reply_record(replay *r, tti_slice bytes) {
  tti_record record;
  tti_buf body;
  if (!bytes.ptr || tti_record_decode(bytes, &record) != TT_OK)
    return false;
  tti_buf_init(&body, 4 << 20);
  tti_view_render(&body, TTI_VIEW_ENVELOPE, r->seq, &record);
  http_reply_json(r->request, 200, &body);
  tti_buf_fini(&body);
  return true;
}

static bool reply_from_ring(replay *r) {
  tt_reader *reader;
  tti_stream_entry entry;
  tt_read_result drop;
  bool found = false;
  if (tt_reader_new(bus_stream(r->sessions->options.bus), r->seq - 1,
                    &reader) != TT_OK)
    return false;
  if (tti_reader_next(reader, &entry, &drop) == TTI_READ_ENTRY &&
      entry.seq == r->seq)
    found = reply_record(r, entry.record);
  tt_reader_free(reader);
  return found;
}

static void answer(loop_task *task) {
  replay *r = (replay *)((char *)task - offsetof(replay, task));
  size_t offset = 0;
  store_row row;
  tti_slice record = {0};
  if (r->read.error == TT_OK)
    store_row_next(&r->read, &offset, &row, &record);
  if (!reply_record(r, record))
    http_reply_json(r->request, 200, &r->fallback);
  replay_free(r);
}

static void have_read(store_read *read) {
  replay *r = read->owner;
  loop_post(http_request_loop(r->request), &r->task);
}

void sessions_replay(sessions *s, http_request *request, uint64_t seq,
                     tti_buf *fallback) {
  replay *r = calloc(1, sizeof(*r));
  if (!r) {
    http_reply_json(request, 200, fallback);
    return;
  }
  r->sessions = s;
  r->request = request;
  r->seq = seq;
  r->fallback = *fallback;
  tti_buf_init(fallback, 0);
  r->task.run = answer;
  r->read = (store_read){.done = have_read,
                         .owner = r,
                         .after_seq = seq - 1,
                         .before_seq = seq + 1,
                         .max_rows = 1};
  tti_buf_init(&r->read.rows, 4 << 20);
  if (reply_from_ring(r))
    replay_free(r);
  else if (store_read_submit(s->options.store, &r->read) != TT_OK)
    answer(&r->task);
}
