#ifndef FEED_TOPIC_H
#define FEED_TOPIC_H

#include "lib/event/filter.h"
#include "lib/event/view.h"
#include "server/feed/list.h"
#include "server/http/http.h"

/* Those who want the same records: one filter and the kinds it is over. Each
 * record is matched once a topic and its bytes are shared by all in it. */

#define TOPIC_VIEWS 2

struct topic;

/* The subscribers of a topic in one view. */
typedef struct topic_outlet {
  struct topic *topic;
  list_node live;    /* have everything up to the hub's position */
  list_node due;     /* still get `chunk`, then go back to live */
  list_node giving;  /* among the outlets that have some in due */
  tti_buf frames;    /* what this turn gathered */
  size_t count;      /* events in it */
  uint64_t last_seq; /* of the last frame in it */
  http_chunk *chunk; /* frames, once the turn gives them out */
} topic_outlet;

typedef struct topic {
  list_node link;
  tti_filter *filter; /* owned */
  unsigned kinds;     /* STORE_KIND_BIT */
  size_t refs;        /* subscribers and reads in flight */
  topic_outlet outlets[TOPIC_VIEWS];
} topic;

/* Different filters at once on one loop: each is evaluated for every event and
 * has frames of its own, where any number of subscribers share one. */
#define TOPICS_MAX 1024

/* Whether topic_ref would stay within TOPICS_MAX. The filter is not taken. */
bool topic_has_room(list_node *topics, const tti_filter *filter,
                    unsigned kinds);

/* The topic of that filter among `topics`, with one more reference; made when
 * it is new. Takes the filter over. NULL when out of memory (the filter is
 * freed). */
topic *topic_ref(list_node *topics, tti_filter *filter, unsigned kinds);
void topic_unref(topic *t);

bool topic_match(const topic *t, const tti_record *record);
bool topic_is_unfiltered(const topic *t);

/* Bytes to be shared; takes the buffer's memory. NULL when the buffer failed
 * or memory is short. One reference, the caller's. */
http_chunk *topic_chunk_take(tti_buf *buf);
void topic_chunk_unref(http_chunk *chunk);

#endif
