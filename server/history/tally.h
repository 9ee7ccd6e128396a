#ifndef HISTORY_TALLY_H
#define HISTORY_TALLY_H

#include "lib/event/record.h"

/* Counts over events in bounded memory: by time, and by key with a sketch of
 * the durations. Pure. */

/* ---- Durations ---- */

/* Buckets: whole milliseconds below 64, then 32 to each doubling, up to 2^40 ms
 * (35 years; what is longer counts as that). A quantile is the middle of its
 * bucket: at most 1/64 off. */
#define SKETCH_BUCKETS (64 + 34 * 32)
#define SKETCH_ERROR   "0.016"

typedef struct sketch {
  uint64_t count;
  uint32_t buckets[SKETCH_BUCKETS];
} sketch;

/* Negative counts as 0. */
void sketch_add(sketch *s, int64_t ms);
/* The nearest rank, `per_mille` from 1 to 1000. Not of an empty one. */
uint64_t sketch_quantile(const sketch *s, unsigned per_mille);
/* The value that stands for a bucket. */
uint64_t sketch_middle(size_t bucket);

/* ---- By key ---- */

typedef enum tally_by {
  TALLY_SOURCE,
  TALLY_CHANNEL,
  TALLY_ACTION,
  TALLY_LEVEL,
  TALLY_AGENT_ID
} tally_by;

extern const char *const tally_by_names[]; /* in that order, NULL-terminated */

#define TALLY_KEYS      1000
#define TALLY_KEY_BYTES 256

typedef struct tally_item {
  uint64_t count, errors;
  sketch *durations; /* owned; NULL while there are none */
  size_t key_len;
  char key[];
} tally_item;

/* The first TALLY_KEYS keys have an item each; further ones, and those over
 * TALLY_KEY_BYTES, share `other`. */
typedef struct tally {
  tally_by by;
  size_t count;
  tally_item *items[TALLY_KEYS]; /* owned */
  tally_item *other;             /* owned; NULL while there is none */
  uint16_t slots[4 * 512];       /* 1 + index of an item; 0: free */
} tally;

void tally_init(tally *t, tally_by by);
void tally_fini(tally *t);
/* TT_ENOMEM: the event was not counted. */
tt_error tally_add(tally *t, const tti_record *record);
/* {"items":[…],"other":…, without the end: most events first. */
void tally_write(tally *t, tti_buf *out);

/* ---- By time ---- */

#define TIMELINE_MAX 1000
enum { TIMELINE_OTHER = 5, TIMELINE_LEVELS };

typedef struct timeline {
  int64_t since_us, until_us, width_us;
  size_t count;
  uint64_t buckets[TIMELINE_MAX][TIMELINE_LEVELS];
} timeline;

/* `since_us` < `until_us`, `count` from 1 to TIMELINE_MAX. Buckets are equally
 * wide, but the last may be cut short by `until_us`. */
void timeline_init(timeline *t, int64_t since_us, int64_t until_us,
                   size_t count);
void timeline_add(timeline *t, int64_t us, const tti_record *record);
/* {"since":…,"until":…,"buckets":[…], without the end. */
void timeline_write(const timeline *t, tti_buf *out);

#endif
