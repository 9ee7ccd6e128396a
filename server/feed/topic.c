#include "server/feed/topic.h"
#include "server/store/store.h"
#include <stdlib.h>

/* Far above what a turn gathers; one envelope is at most 1 MB. */
#define FRAMES_MAX_BYTES (16u << 20)

static topic *topic_find(list_node *topics, const tti_filter *filter,
                         unsigned kinds) {
  const char *text = tti_filter_text(filter);
  for (list_node *at = topics->next; at != topics; at = at->next) {
    topic *t = LIST_ENTRY(at, topic, link);
    if (t->kinds == kinds && strcmp(tti_filter_text(t->filter), text) == 0)
      return t;
  }
  return NULL;
}

bool topic_has_room(list_node *topics, const tti_filter *filter,
                    unsigned kinds) {
  size_t count = 0;
  for (list_node *at = topics->next; at != topics; at = at->next)
    count++;
  return count < TOPICS_MAX || topic_find(topics, filter, kinds);
}

topic *topic_ref(list_node *topics, tti_filter *filter, unsigned kinds) {
  topic *t = topic_find(topics, filter, kinds);
  if (t) {
    tti_filter_free(filter);
    t->refs++;
    return t;
  }
  t = calloc(1, sizeof(*t));
  if (!t) {
    tti_filter_free(filter);
    return NULL;
  }
  t->filter = filter;
  t->kinds = kinds;
  t->refs = 1;
  for (size_t i = 0; i < TOPIC_VIEWS; i++) {
    t->outlets[i].topic = t;
    list_init(&t->outlets[i].live);
    list_init(&t->outlets[i].due);
    list_init(&t->outlets[i].giving);
    tti_buf_init(&t->outlets[i].frames, FRAMES_MAX_BYTES);
  }
  list_push(topics, &t->link);
  return t;
}

void topic_unref(topic *t) {
  if (--t->refs > 0)
    return;
  for (size_t i = 0; i < TOPIC_VIEWS; i++) {
    tti_buf_fini(&t->outlets[i].frames);
    topic_chunk_unref(t->outlets[i].chunk);
  }
  list_remove(&t->link);
  tti_filter_free(t->filter);
  free(t);
}

bool topic_match(const topic *t, const tti_record *record) {
  return (t->kinds & STORE_KIND_BIT(record->kind)) != 0 &&
         tti_filter_match(t->filter, record);
}

bool topic_is_unfiltered(const topic *t) {
  return tti_filter_is_empty(t->filter);
}

static void chunk_free(http_chunk *chunk) {
  free((char *)chunk->data);
  free(chunk);
}

http_chunk *topic_chunk_take(tti_buf *buf) {
  http_chunk *chunk = malloc(sizeof(*chunk));
  if (!chunk)
    return NULL;
  size_t len;
  char *data = tti_buf_take(buf, &len);
  if (!data) {
    free(chunk);
    return NULL;
  }
  /* The buffer grew by doubling, and the bytes may stay for a while. */
  char *exact = realloc(data, len + 1);
  *chunk = (http_chunk){.refs = 1,
                        .len = len,
                        .free_fn = chunk_free,
                        .data = exact ? exact : data};
  return chunk;
}

void topic_chunk_unref(http_chunk *chunk) {
  if (chunk && --chunk->refs == 0)
    chunk->free_fn(chunk);
}
