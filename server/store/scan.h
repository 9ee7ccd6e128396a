#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "server/store/store.h"

/* What a read does with each row, the same in every store: its kinds and
 * filter, its limits, and where it goes on. The store brings the rows. */

#define SCAN_ROWS  256
#define SCAN_BYTES (256u << 10)
#define SCAN_US    5000

typedef struct store_scan {
  store_read *read;
  uint64_t low;      /* first seq wanted */
  uint64_t high;     /* last; below low: none */
  uint64_t examined; /* the seq that was looked at last */
  size_t since_clock;
  int64_t stop_us; /* monotonic */
  bool filtered;
  bool hides_log;
  bool full; /* of rows, bytes or time: stop */
} store_scan;

/* Clears the read's answer. The caller then sets low and high. */
void scan_begin(store_scan *scan, store_read *read);

/* Bounds by seq; `head` is the last there is. Time bounds are the store's. */
void scan_set_bounds(store_scan *scan, uint64_t head);

/* After low and high are set and before the first row. */
void scan_start(store_scan *scan);

/* One row, in the read's order. TT_OK, or read->error. */
tt_error scan_row(store_scan *scan, uint64_t seq, int64_t received_us,
                  tti_slice record);

/* Whether the read's kinds and filter let a record through. */
bool scan_wants(const store_scan *scan, const tti_record *record);

/* One row of a read that is `brief`. */
void scan_brief(store_scan *scan, uint64_t seq, int64_t received_us,
                const tti_record *record);

/* Rows up to `seq` (in the read's order) hold nothing that is wanted. */
void scan_skip(store_scan *scan, uint64_t seq);

/* Fills in more and next_seq. */
void scan_finish(store_scan *scan);

#endif
