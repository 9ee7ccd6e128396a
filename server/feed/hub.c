#include "lib/base/random.h"
#include "lib/stream/stream.h"
#include "server/feed/frame.h"
#include "server/feed/hub_internal.h"
#include <stdlib.h>

#define DEFAULT_KEEPALIVE_MS 15000
#define DEFAULT_MAX_PENDING  ((size_t)64 << 10)
#define DEFAULT_CACHE_BYTES  ((size_t)16 << 20)
#define SCRATCH_MAX_BYTES    ((size_t)16 << 20)
/* The client comes back after this long; spread out when all are sent away at
 * once. */
#define RETRY_MS        2000
#define RETRY_JITTER_MS 3000

void hub_count(atomic_uint_least64_t *counter, uint64_t by) {
  /* relaxed: a figure for a reader that orders nothing by it */
  atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static uint64_t hub_now_ms(const hub *h) {
  return h->options.env.now_us(h->options.env.context) / 1000;
}

static void hub_soon(hub *h) {
  h->options.env.run_in(h->options.env.context, 0);
}

tt_error hub_new(const hub_options *options, hub **out_hub) {
  hub *h = calloc(1, sizeof(*h));
  if (!h)
    return TT_ENOMEM;
  h->options = *options;
  if (h->options.keepalive_ms == 0)
    h->options.keepalive_ms = DEFAULT_KEEPALIVE_MS;
  if (h->options.max_pending == 0)
    h->options.max_pending = DEFAULT_MAX_PENDING;
  if (h->options.cache_bytes == 0)
    h->options.cache_bytes = DEFAULT_CACHE_BYTES;
  list_node *lists[] = {&h->topics, &h->all,     &h->giving,
                        &h->ready,  &h->blocked, &h->ahead,
                        &h->retry,  &h->reads,   &h->ended};
  for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
    list_init(lists[i]);
  for (size_t v = 0; v < TOPIC_VIEWS; v++)
    tti_buf_init(&h->scratch[v], SCRATCH_MAX_BYTES);
  cache_init(&h->cache, h->options.cache_bytes);
  tt_stream *ring = bus_stream(options->bus);
  tt_error error = tt_reader_new(ring, tt_stream_seq(ring), &h->live);
  if (error == TT_OK)
    error = tt_reader_new(ring, 0, &h->past);
  if (error != TT_OK) {
    hub_free(h);
    return error;
  }
  *out_hub = h;
  return TT_OK;
}

void hub_free(hub *h) {
  if (!h)
    return;
  while (!list_is_empty(&h->reads)) {
    hub_read *read = LIST_ENTRY(h->reads.next, hub_read, link);
    list_remove(&read->link);
    topic_unref(read->key.topic);
    tti_buf_fini(&read->read.rows);
    free(read);
  }
  cache_fini(&h->cache);
  while (!list_is_empty(&h->topics)) {
    /* One that was still being given out, or whose owners are gone. */
    topic *t = LIST_ENTRY(h->topics.next, topic, link);
    t->refs = 1;
    topic_unref(t);
  }
  for (size_t v = 0; v < TOPIC_VIEWS; v++)
    tti_buf_fini(&h->scratch[v]);
  tt_reader_free(h->live);
  tt_reader_free(h->past);
  free(h);
}

void hub_release_topic(hub *h, topic *t) {
  if (t->refs == 1)
    cache_forget(&h->cache, t);
  topic_unref(t);
}

void hub_move(hub_sub *sub, hub_state state, list_node *list) {
  sub->state = (unsigned char)state;
  list_move(list, &sub->link);
}

bool hub_write(hub *h, hub_sub *sub, http_chunk *chunk) {
  chunk->refs++;
  h->current = sub;
  sub->written_ms = hub_now_ms(h);
  h->options.env.write(sub, chunk);
  bool there = h->current == sub;
  h->current = NULL;
  return there;
}

static void end_stream(hub *h, hub_sub *sub) {
  if (sub->state == HUB_ENDED)
    return;
  hub_move(sub, HUB_ENDED, &h->ended);
  h->options.env.end(sub);
}

/* Writes the buffer's content and empties it. Out of memory counts as gone:
 * what could not be written would be lost in silence. */
static bool write_buf(hub *h, hub_sub *sub, tti_buf *buf) {
  http_chunk *chunk = topic_chunk_take(buf);
  if (!chunk) {
    end_stream(h, sub);
    return false;
  }
  bool there = hub_write(h, sub, chunk);
  topic_chunk_unref(chunk);
  return there;
}

/* The first subscriber after a time without: the live reader is put at the end
 * of what there is. The committed head may be ahead of the ring for a moment;
 * up to there the store has it all. */
static void activate(hub *h) {
  uint64_t published = tt_stream_seq(bus_stream(h->options.bus));
  uint64_t committed = bus_head(h->options.bus);
  uint64_t position = published > committed ? published : committed;
  if (position > h->position)
    h->position = position;
  tti_reader_seek(h->live, h->position);
}

bool hub_has_room(hub *h, const tti_filter *filter, unsigned kinds) {
  return topic_has_room(&h->topics, filter, kinds);
}

tt_error hub_subscribe(hub *h, hub_sub *sub, tti_filter *filter, unsigned kinds,
                       tti_view view, const cursor_start *start) {
  *sub = (hub_sub){.hub = h, .at = start->at, .view = (unsigned char)view};
  list_init(&sub->link);
  list_init(&sub->all);
  sub->topic = topic_ref(&h->topics, filter, kinds);
  if (!sub->topic)
    return TT_ENOMEM;
  if (h->subscribers == 0)
    activate(h);
  h->subscribers++;
  sub->told = start->at;
  if (start->at < h->position)
    hub_count(&h->catchups, 1);
  list_push(&h->all, &sub->all);
  hub_move(sub, HUB_READY, &h->ready);
  tti_buf first;
  tti_buf_init(&first, 1024);
  frame_retry(&first, RETRY_MS);
  if (start->reset)
    frame_reset(&first, start->asked, start->at);
  else if (!start->told)
    frame_position(&first, start->at);
  write_buf(h, sub, &first);
  hub_soon(h);
  return TT_OK;
}

void hub_unsubscribe(hub_sub *sub) {
  hub *h = sub->hub;
  if (h->current == sub)
    h->current = NULL;
  list_remove(&sub->link);
  list_remove(&sub->all);
  h->subscribers--;
  hub_release_topic(h, sub->topic);
  sub->topic = NULL;
}

void hub_writable(hub_sub *sub) {
  if (sub->state != HUB_BLOCKED)
    return;
  hub_move(sub, HUB_READY, &sub->hub->ready);
  hub_soon(sub->hub);
}

void hub_wake(hub *h) {
  if (h->subscribers == 0)
    return;
  h->woken = true;
  hub_run(h);
}

static void run_again(hub *h, uint64_t now) {
  const hub_env *env = &h->options.env;
  if (!list_is_empty(&h->giving) || !list_is_empty(&h->ready))
    env->run_in(env->context, 0);
  else if (h->woken && now >= h->next_turn_us)
    env->run_in(env->context, 0);
  else if (h->woken)
    env->run_in(env->context, (h->next_turn_us - now + 999) / 1000);
  else if (!list_is_empty(&h->retry))
    env->run_in(env->context,
                h->retry_us > now ? (h->retry_us - now + 999) / 1000 : 0);
}

void hub_run(hub *h) {
  const hub_env *env = &h->options.env;
  uint64_t now = env->now_us(env->context);
  if (!list_is_empty(&h->giving)) {
    turn_give(h);
  } else if (h->woken && now >= h->next_turn_us) {
    h->woken = false;
    turn_run(h);
  }
  catchup_run(h);
  run_again(h, env->now_us(env->context));
}

uint64_t hub_tick_ms(const hub *h) {
  uint64_t ms = h->options.keepalive_ms / 8;
  return ms > 1000 ? 1000 : ms > 0 ? ms : 1;
}

/* Visits every subscriber once, whatever goes meanwhile. */
static void each(hub *h, void (*visit)(hub *h, hub_sub *sub, void *context),
                 void *context) {
  list_node left;
  list_init(&left);
  list_splice(&left, &h->all);
  while (!list_is_empty(&left)) {
    hub_sub *sub = LIST_ENTRY(left.next, hub_sub, all);
    list_move(&h->all, &sub->all);
    visit(h, sub, context);
  }
}

static void keep_alive(hub *h, hub_sub *sub, void *context) {
  uint64_t now = *(uint64_t *)context;
  if (sub->state == HUB_ENDED ||
      now - sub->written_ms < h->options.keepalive_ms ||
      h->options.env.pending(sub) > 0)
    return;
  uint64_t at = sub->state == HUB_LIVE ? h->position : sub->at;
  tti_buf text;
  tti_buf_init(&text, 64);
  if (at > sub->told) {
    /* What its filter left out: it need not be read again. */
    frame_position(&text, at);
    sub->told = at;
  } else {
    tti_buf_append_text(&text, FRAME_COMMENT);
  }
  write_buf(h, sub, &text);
}

void hub_tick(hub *h) {
  /* While a turn is given out the positions of the live are in two places;
   * the next tick does. */
  if (!list_is_empty(&h->giving))
    return;
  uint64_t now = hub_now_ms(h);
  each(h, keep_alive, &now);
}

static void end_if(hub *h, hub_sub *sub, void *context) {
  bool (*const *gone)(hub_sub *) = context;
  if ((*gone)(sub))
    end_stream(h, sub);
}

void hub_end_where(hub *h, bool (*gone)(hub_sub *sub)) {
  each(h, end_if, &gone);
}

static void send_away(hub *h, hub_sub *sub, void *context) {
  (void)context;
  if (sub->state == HUB_ENDED)
    return;
  tti_buf text;
  tti_buf_init(&text, 64);
  frame_retry(&text, RETRY_MS + tti_random_below(RETRY_JITTER_MS + 1));
  if (write_buf(h, sub, &text))
    end_stream(h, sub);
}

void hub_close(hub *h) {
  each(h, send_away, NULL);
}

size_t hub_subscribers(const hub *h) {
  return h->subscribers;
}

void hub_counts_get(const hub *h, hub_counts *out_counts) {
  *out_counts = (hub_counts){
      .delivered = atomic_load_explicit(&h->delivered, memory_order_relaxed),
      .dropped = atomic_load_explicit(&h->dropped, memory_order_relaxed),
      .catchups = atomic_load_explicit(&h->catchups, memory_order_relaxed),
      .failures = atomic_load_explicit(&h->failures, memory_order_relaxed),
  };
}
