#ifndef TTI_EMIT_SPOOL_SEGMENT_H
#define TTI_EMIT_SPOOL_SEGMENT_H

#include "lib/emit/spool/record.h"
#include <sys/types.h>

#define TTI_SEGMENT_NAME_MAX 48

/* One file of the spool that this process owns. */
typedef struct tti_segment {
  int fd; /* holds the lock */
  char name[TTI_SEGMENT_NAME_MAX];
  off_t head;      /* the oldest record that is not settled */
  off_t end;       /* behind the last good one */
  uint64_t events; /* not settled */
  bool damaged;    /* there is something behind `end` */
} tti_segment;

/* The functions answer 0 or an errno. `directory` is an open one. */

/* Makes and locks a new one. */
int tti_segment_create(int directory, uint64_t destination,
                       tti_segment *out_segment);

/* Locks an existing one and reads it through, up to the last good record.
 * EWOULDBLOCK: it is owned by another; ENOENT: it is gone; EINVAL: not a file
 * that we would write to. `scratch` is used. */
int tti_segment_open(int directory, const char *name, uint64_t destination,
                     tti_buf *scratch, tti_segment *out_segment);

/* Lets go of it. */
void tti_segment_close(tti_segment *segment);

/* Adds a record, or nothing. */
int tti_segment_append(tti_segment *segment, const tti_record_head *record,
                       tti_slice body);

/* The oldest record that is not settled, into `buf`, which the body borrows
 * from. TT_ENOTFOUND: all are settled; TT_ECORRUPT; TT_ENOMEM. */
tt_error tti_segment_head(tti_segment *segment, tti_buf *buf,
                          tti_record_head *out_record, tti_slice *out_body);

/* So many more events of that record are settled, which now makes `settled`. */
void tti_segment_settle(tti_segment *segment, const tti_record_head *record,
                        uint32_t events);

/* Removes the file, or sets it aside when it is damaged; closes. Answers
 * whether it was set aside. */
bool tti_segment_finish(int directory, tti_segment *segment);

#endif
