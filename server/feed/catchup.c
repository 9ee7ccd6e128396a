#include "lib/stream/stream.h"
#include "server/feed/hub_internal.h"
#include <stdlib.h>

/* Steps before the loop is let go. */
#define STEPS_A_RUN 64
/* Reads of the store that one loop has in flight; the rest waits here, so that
 * lists and searches get their turn. */
#define READS_MAX  16
#define RETRY_US   25000
#define RANGES_MAX 64

static piece_key key_of(const hub_sub *sub) {
  return (piece_key){.topic = sub->topic,
                     .view = (tti_view)sub->view,
                     .after = sub->at,
                     .slow = sub->slow};
}

static void try_later(hub *h, hub_sub *sub) {
  if (list_is_empty(&h->retry))
    h->retry_us = h->options.env.now_us(h->options.env.context) + RETRY_US;
  hub_move(sub, HUB_RETRY, &h->retry);
}

/* ---- From the ring ---- */

/* What the ring has after the key's place, up to the live position; NULL when
 * it does not reach back there any more, or memory is short. */
static piece *piece_from_ring(hub *h, const piece_key *key) {
  piece_builder b;
  piece_begin(&b, key);
  tti_reader_seek(h->past, key->after);
  uint64_t to = key->after;
  bool whole = true;
  while (to < h->position) {
    tti_stream_entry entry;
    tt_read_result drop;
    tti_read got = tti_reader_next(h->past, &entry, &drop);
    if (got != TTI_READ_ENTRY) { /* evicted, or committed but not here yet */
      whole = false;
      break;
    }
    if (entry.seq > h->position)
      break;
    tti_record record;
    if (entry.seq > to && tti_record_decode(entry.record, &record) == TT_OK &&
        topic_match(key->topic, &record) &&
        !piece_add(&b, entry.seq, &record)) {
      whole = false;
      break;
    }
    to = entry.seq;
  }
  tti_reader_unpin(h->past);
  /* Nothing is between the last entry and the position. */
  if (whole)
    to = h->position;
  if (to == key->after) {
    piece_abandon(&b);
    return NULL;
  }
  return piece_end(&b, to);
}

/* ---- From the store ---- */

static void store_read_ended(store_read *read) {
  hub_read *r = LIST_ENTRY(read, hub_read, read);
  r->hub->options.env.read_ended(r->hub->options.env.context, r);
}

static hub_read *read_find(hub *h, const piece_key *key) {
  for (list_node *at = h->reads.next; at != &h->reads; at = at->next) {
    hub_read *r = LIST_ENTRY(at, hub_read, link);
    if (r->key.topic == key->topic && r->key.view == key->view &&
        r->key.after == key->after && r->key.slow == key->slow)
      return r;
  }
  return NULL;
}

static void read_free(hub *h, hub_read *r) {
  list_remove(&r->link);
  h->read_count--;
  hub_release_topic(h, r->key.topic);
  tti_buf_fini(&r->read.rows);
  free(r);
}

static hub_read *read_start(hub *h, const piece_key *key) {
  if (h->read_count >= READS_MAX)
    return NULL;
  hub_read *r = calloc(1, sizeof(*r));
  if (!r)
    return NULL;
  r->hub = h;
  r->key = *key;
  key->topic->refs++;
  list_init(&r->waiters);
  list_init(&r->link);
  list_push(&h->reads, &r->link);
  h->read_count++;
  /* Asked before the read: it sees at least what was committed by now. */
  store_status status;
  store_status_get(h->options.store, &status);
  r->committed = status.head_seq;
  r->read.done = store_read_ended;
  r->read.order = STORE_ASCENDING;
  r->read.after_seq = key->after;
  r->read.kinds = key->topic->kinds;
  r->read.filter = key->topic->filter;
  r->read.show_damaged = true;
  tti_buf_init(&r->read.rows, SIZE_MAX);
  h->options.env.read_began(h->options.env.context);
  if (store_read_submit(h->options.store, &r->read) != TT_OK) {
    h->options.env.read_ended(h->options.env.context, NULL);
    read_free(h, r);
    return NULL;
  }
  return r;
}

/* All that exists up to here is in the read's rows or in the ranges. Where the
 * read came to its end, next_seq may be ahead of what is committed (numbers are
 * reserved in blocks), and what is between is yet to come. */
static uint64_t read_end(const hub_read *r) {
  if (r->read.more)
    return r->read.next_seq;
  uint64_t end = r->committed;
  size_t offset = 0;
  store_row row;
  tti_slice record;
  while (store_row_next(&r->read, &offset, &row, &record))
    if (row.seq > end)
      end = row.seq;
  return end;
}

static tt_error make_pieces(hub *h, const hub_read *r, list_node *out_pieces) {
  store_range ranges[RANGES_MAX];
  uint64_t end = read_end(r);
  size_t count = 0;
  if (end > r->key.after)
    count =
        store_ranges(h->options.store, r->key.after, end, ranges, RANGES_MAX);
  if (count == RANGES_MAX && ranges[count - 1].to_seq < end)
    end = ranges[count - 1].to_seq;
  return piece_from_read(&r->key, &r->read, ranges, count, end, out_pieces);
}

/* The row after the key's place cannot be read, now or ever. How many follow
 * that cannot be read either is found by steps that double, so that few reads
 * lead over large damage; at most as many good rows are told as dropped too. */
static tt_error step_over(hub *h, const hub_read *r, list_node *out_pieces) {
  uint64_t after = r->key.after;
  if (r->committed <= after)
    return TT_EIO;
  bool again = after == h->damage_to;
  h->damage_step = again ? h->damage_step * 2 : 1;
  uint64_t most = r->committed - after;
  uint64_t step = h->damage_step < most ? h->damage_step : most;
  piece_builder b;
  piece_begin(&b, &r->key);
  piece_add_damaged(&b, after + 1, after + step);
  piece *p = piece_end(&b, after + step);
  if (!p)
    return TT_ENOMEM;
  h->damage_to = after + step;
  list_push(out_pieces, &p->age);
  return TT_OK;
}

static void note_damage(hub *h, const piece *p) {
  hub_count(&h->failures, 1);
  tt_log_hook hook = server_log_hook("feed");
  tti_log_rationed(
      &h->damage_ration, &hook, TT_LEVEL_ERROR,
      "the store is damaged between seq %llu and %llu: "
      "subscribers are told what was dropped; a backup may have it",
      (unsigned long long)p->key.after, (unsigned long long)p->to_seq);
}

static void keep_pieces(hub *h, list_node *pieces) {
  /* The first one last: it is wanted next, and the newest always stays. */
  while (!list_is_empty(pieces)) {
    piece *p = LIST_ENTRY(pieces->prev, piece, age);
    list_remove(&p->age);
    if (p->damaged)
      note_damage(h, p);
    cache_put(&h->cache, p);
  }
}

static void note_failure(hub *h, const hub_read *r, tt_error error) {
  hub_count(&h->failures, 1);
  tt_log_hook hook = server_log_hook("feed");
  tti_log_rationed(&h->failure_ration, &hook, TT_LEVEL_WARN,
                   "the events after %llu cannot be read from the store (%s); "
                   "their subscribers wait until they can",
                   (unsigned long long)r->key.after, tt_error_message(error));
}

void hub_read_finish(hub *h, hub_read *r) {
  list_node pieces;
  list_init(&pieces);
  tt_error error = r->read.error;
  if (error == TT_OK)
    error = make_pieces(h, r, &pieces);
  else if (error == TT_ECORRUPT)
    error = step_over(h, r, &pieces);
  if (error != TT_OK && error != TT_ECLOSED)
    note_failure(h, r, error);
  bool found = error == TT_OK && !list_is_empty(&pieces);
  keep_pieces(h, &pieces);
  while (!list_is_empty(&r->waiters)) {
    hub_sub *sub = LIST_ENTRY(r->waiters.next, hub_sub, link);
    if (found)
      hub_move(sub, HUB_READY, &h->ready);
    else
      try_later(h, sub);
  }
  if (found) /* those who wait for their turn to read get it now */
    h->retry_us = 0;
  read_free(h, r);
  h->options.env.run_in(h->options.env.context, 0);
}

/* ---- Steps ---- */

static void take_piece(hub *h, hub_sub *sub, const piece *p) {
  sub->at = p->to_seq;
  if (p->chunk) {
    sub->told = p->last_id;
    hub_count(&h->delivered, p->events);
    hub_count(&h->dropped, p->dropped);
    if (!hub_write(h, sub, p->chunk))
      return;
  }
  list_move(&h->ready, &sub->link);
}

static void step(hub *h, hub_sub *sub) {
  if (h->options.env.pending(sub) > 0) {
    hub_move(sub, HUB_BLOCKED, &h->blocked);
    return;
  }
  cursor_source source = cursor_next(sub->at, h->position, h->ring_first);
  if (source == CURSOR_LIVE) {
    sub->slow = false;
    hub_move(sub, HUB_LIVE, &sub->topic->outlets[sub->view].live);
    return;
  }
  if (source == CURSOR_WAIT) {
    hub_move(sub, HUB_AHEAD, &h->ahead);
    return;
  }
  piece_key key = key_of(sub);
  piece *p = cache_find(&h->cache, &key);
  if (!p && source == CURSOR_RING) {
    p = piece_from_ring(h, &key);
    if (p)
      cache_put(&h->cache, p);
  }
  if (p) {
    take_piece(h, sub, p);
    return;
  }
  hub_read *r = read_find(h, &key);
  if (!r)
    r = read_start(h, &key);
  if (r)
    hub_move(sub, HUB_READING, &r->waiters);
  else
    try_later(h, sub);
}

void catchup_run(hub *h) {
  if (!list_is_empty(&h->retry) &&
      h->options.env.now_us(h->options.env.context) >= h->retry_us)
    while (!list_is_empty(&h->retry))
      hub_move(LIST_ENTRY(h->retry.next, hub_sub, link), HUB_READY, &h->ready);
  if (list_is_empty(&h->ready))
    return;
  tti_stream_usage usage;
  tti_stream_usage_get(bus_stream(h->options.bus), &usage);
  h->ring_first = usage.first_seq;
  for (size_t i = 0; i < STEPS_A_RUN && !list_is_empty(&h->ready); i++)
    step(h, LIST_ENTRY(h->ready.next, hub_sub, link));
}
