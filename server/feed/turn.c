#include "lib/stream/stream.h"
#include "server/feed/frame.h"
#include "server/feed/hub_internal.h"

/* What one turn takes at most, so that a subscriber which has just been served
 * holds little and the loop gets to its other work. */
#define TURN_ENTRIES 2048
#define TURN_BYTES   ((size_t)64 << 10)
/* Writes before the loop is let go: about 2 ms. */
#define GIVE_SLICE 256

/* A write costs the same whatever is in it, so under load turns are set apart
 * by as long as the last one took: half of the loop is left for other work.
 * Nobody waits longer than this, nor is woken more often than every
 * millisecond. */
#define TURN_GAP_MIN_US 1000
#define TURN_GAP_MAX_US 25000

static topic_outlet *outlet_of(list_node *node) {
  return LIST_ENTRY(node, topic_outlet, giving);
}

static topic *topic_of(list_node *node) {
  return LIST_ENTRY(node, topic, link);
}

/* Appends the entry's frame to each outlet whose topic wants it; returns the
 * most bytes that any outlet now has. */
static size_t gather_entry(hub *h, const tti_stream_entry *entry) {
  tti_record record;
  if (tti_record_decode(entry->record, &record) != TT_OK)
    return 0;
  bool rendered[TOPIC_VIEWS] = {false};
  size_t most = 0;
  for (list_node *at = h->topics.next; at != &h->topics; at = at->next) {
    topic *t = topic_of(at);
    bool anybody = false;
    for (size_t v = 0; v < TOPIC_VIEWS; v++)
      anybody = anybody || !list_is_empty(&t->outlets[v].live);
    if (!anybody || !topic_match(t, &record))
      continue;
    for (size_t v = 0; v < TOPIC_VIEWS; v++) {
      topic_outlet *outlet = &t->outlets[v];
      if (list_is_empty(&outlet->live))
        continue;
      if (!rendered[v]) {
        tti_buf_clear(&h->scratch[v]);
        frame_event(&h->scratch[v], (tti_view)v, entry->seq, &record);
        rendered[v] = true;
      }
      if (h->scratch[v].error != TT_OK)
        outlet->frames.error = h->scratch[v].error;
      tti_buf_append_slice(&outlet->frames, tti_buf_slice(&h->scratch[v]));
      outlet->count++;
      outlet->last_seq = entry->seq;
      if (outlet->frames.len > most)
        most = outlet->frames.len;
    }
  }
  return most;
}

/* Everybody in the list goes on by reading the past, from where it stood. */
static void fall_behind(hub *h, list_node *live, uint64_t at) {
  while (!list_is_empty(live)) {
    hub_sub *sub = LIST_ENTRY(live->next, hub_sub, link);
    sub->at = at;
    sub->slow = true;
    hub_count(&h->catchups, 1);
    hub_move(sub, HUB_READY, &h->ready);
  }
}

static void outlet_clear(topic_outlet *outlet) {
  tti_buf_clear(&outlet->frames);
  outlet->count = 0;
}

/* The ring overtook the live reader itself. */
static void all_fall_behind(hub *h) {
  for (list_node *at = h->topics.next; at != &h->topics; at = at->next) {
    topic *t = topic_of(at);
    for (size_t v = 0; v < TOPIC_VIEWS; v++) {
      outlet_clear(&t->outlets[v]);
      fall_behind(h, &t->outlets[v].live, h->turn_from);
    }
  }
}

/* Reads what is new into the outlets' frames; false when there may be more. */
static bool gather(hub *h) {
  h->turn_from = h->position;
  for (size_t i = 0; i < TURN_ENTRIES; i++) {
    tti_stream_entry entry;
    tt_read_result drop;
    switch (tti_reader_next(h->live, &entry, &drop)) {
    case TTI_READ_NONE:
      return true;
    case TTI_READ_DROPPED:
      if (drop.to_seq <= h->position)
        continue;
      all_fall_behind(h);
      h->position = drop.to_seq;
      return false;
    case TTI_READ_ENTRY:
      break;
    }
    if (entry.seq <= h->position)
      continue;
    h->position = entry.seq;
    if (gather_entry(h, &entry) >= TURN_BYTES)
      return false;
  }
  return false;
}

/* Turns what was gathered into shared bytes and lists who is due them. */
static void begin_giving(hub *h) {
  for (list_node *at = h->topics.next; at != &h->topics; at = at->next) {
    topic *t = topic_of(at);
    for (size_t v = 0; v < TOPIC_VIEWS; v++) {
      topic_outlet *outlet = &t->outlets[v];
      if (outlet->count == 0)
        continue;
      outlet->chunk = topic_chunk_take(&outlet->frames);
      if (!outlet->chunk) { /* out of memory: nothing may be lost in silence */
        outlet_clear(outlet);
        fall_behind(h, &outlet->live, h->turn_from);
        continue;
      }
      list_splice(&outlet->due, &outlet->live);
      list_push(&h->giving, &outlet->giving);
      t->refs++;
    }
  }
}

static void give(hub *h, topic_outlet *outlet, hub_sub *sub) {
  size_t pending = h->options.env.pending(sub);
  if (pending > 0 && pending + outlet->chunk->len > h->options.max_pending) {
    sub->at = h->turn_from;
    sub->slow = true;
    hub_count(&h->catchups, 1);
    hub_move(sub, HUB_BLOCKED, &h->blocked);
    return;
  }
  list_move(&outlet->live, &sub->link);
  sub->told = outlet->last_seq;
  hub_count(&h->delivered, outlet->count);
  hub_write(h, sub, outlet->chunk);
}

static void end_giving(hub *h, topic_outlet *outlet, topic *t) {
  list_remove(&outlet->giving);
  topic_chunk_unref(outlet->chunk);
  outlet->chunk = NULL;
  outlet->count = 0;
  hub_release_topic(h, t);
}

bool turn_give(hub *h) {
  uint64_t began = h->options.env.now_us(h->options.env.context);
  size_t left = GIVE_SLICE;
  while (left > 0 && !list_is_empty(&h->giving)) {
    topic_outlet *outlet = outlet_of(h->giving.next);
    for (; left > 0 && !list_is_empty(&outlet->due); left--)
      give(h, outlet, LIST_ENTRY(outlet->due.next, hub_sub, link));
    if (list_is_empty(&outlet->due))
      end_giving(h, outlet, outlet->topic);
  }
  uint64_t now = h->options.env.now_us(h->options.env.context);
  h->turn_cost_us += now - began;
  if (!list_is_empty(&h->giving))
    return false;
  uint64_t gap = h->turn_cost_us;
  if (gap < TURN_GAP_MIN_US)
    gap = TURN_GAP_MIN_US;
  if (gap > TURN_GAP_MAX_US)
    gap = TURN_GAP_MAX_US;
  h->next_turn_us = now + gap;
  return true;
}

/* Those who waited at an id that the ring has come to by now. */
static void wake_ahead(hub *h) {
  list_node waiting;
  list_init(&waiting);
  list_splice(&waiting, &h->ahead);
  while (!list_is_empty(&waiting)) {
    hub_sub *sub = LIST_ENTRY(waiting.next, hub_sub, link);
    if (sub->at <= h->position)
      hub_move(sub, HUB_READY, &h->ready);
    else
      list_move(&h->ahead, &sub->link);
  }
}

void turn_run(hub *h) {
  uint64_t began = h->options.env.now_us(h->options.env.context);
  if (!gather(h))
    h->woken = true;
  tti_reader_unpin(h->live);
  begin_giving(h);
  wake_ahead(h);
  h->turn_cost_us = h->options.env.now_us(h->options.env.context) - began;
  turn_give(h);
}
