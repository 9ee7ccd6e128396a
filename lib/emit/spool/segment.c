#include "lib/emit/spool/segment.h"

#include "lib/base/time.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CREATE_TRIES 8

/* -- Files. -- */

static int lock(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB)) {
    if (errno != EINTR)
      return errno;
  }
  return 0;
}

/* Whoever finds a segment without content removes it, even one that is just
 * being made: so a lock is worth something only on a file that has a name. */
static int check(int fd) {
  struct stat file;
  if (fstat(fd, &file))
    return errno;
  if (file.st_nlink == 0)
    return ENOENT;
  return S_ISREG(file.st_mode) && file.st_uid == geteuid() ? 0 : EINVAL;
}

static int write_all(int fd, struct iovec *parts, int count, off_t at) {
  while (count) {
    ssize_t n = pwritev(fd, parts, count, at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    at += n;
    for (; count && (size_t)n >= parts->iov_len; parts++, count--)
      n -= (ssize_t)parts->iov_len;
    if (count) {
      parts->iov_base = (char *)parts->iov_base + n;
      parts->iov_len -= (size_t)n;
    }
  }
  return 0;
}

/* Appends up to `len` bytes from `at`; fewer only at the end of the file. */
static tt_error read_at(int fd, off_t at, size_t len, tti_buf *buf) {
  char *room = tti_buf_reserve(buf, len);
  if (!room)
    return TT_ENOMEM;
  while (len) {
    ssize_t n = pread(fd, room, len, at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return TT_EIO;
    if (n == 0)
      break;
    buf->len += (size_t)n;
    room += n;
    at += n;
    len -= (size_t)n;
  }
  return TT_OK;
}

/* -- Records. -- */

/* The record at `at`, in `buf`. TT_ENOTFOUND: the file ends here. */
static tt_error read_record(int fd, off_t at, tti_buf *buf,
                            tti_record_head *out_record, tti_slice *out_body) {
  size_t body_len;
  tti_buf_clear(buf);
  tt_error error = read_at(fd, at, TTI_RECORD_HEAD_BYTES, buf);
  if (error)
    return error;
  if (buf->len == 0)
    return TT_ENOTFOUND;
  if (buf->len < TTI_RECORD_HEAD_BYTES)
    return TT_ECORRUPT;
  error = tti_record_body_len(tti_buf_slice(buf), &body_len);
  if (!error)
    error = read_at(fd, at + TTI_RECORD_HEAD_BYTES, body_len, buf);
  return error ? error
               : tti_record_read(tti_buf_slice(buf), out_record, out_body);
}

static off_t size_of(const tti_record_head *record) {
  return (off_t)TTI_RECORD_HEAD_BYTES + record->body_len;
}

int tti_segment_append(tti_segment *segment, const tti_record_head *record,
                       tti_slice body) {
  char head[TTI_RECORD_HEAD_BYTES];
  tti_record_head_write(record, body, head);
  struct iovec parts[] = {{head, sizeof(head)},
                          {(void *)(uintptr_t)body.ptr, body.len}};
  int error = write_all(segment->fd, parts, 2, segment->end);
  if (!error) {
    segment->end += (off_t)(sizeof(head) + body.len);
    segment->events += record->events;
  } else if (ftruncate(segment->fd, segment->end)) {
    segment->damaged = true; /* nothing is to come behind what is torn */
  }
  return error;
}

tt_error tti_segment_head(tti_segment *segment, tti_buf *buf,
                          tti_record_head *out_record, tti_slice *out_body) {
  while (segment->head < segment->end) {
    tt_error error =
        read_record(segment->fd, segment->head, buf, out_record, out_body);
    if (error)
      return error == TT_ENOMEM ? error : TT_ECORRUPT;
    if (out_record->settled < out_record->events)
      return TT_OK;
    segment->head += size_of(out_record);
  }
  return TT_ENOTFOUND;
}

void tti_segment_settle(tti_segment *segment, const tti_record_head *record,
                        uint32_t events) {
  char bytes[8];
  struct iovec part = {bytes, sizeof(bytes)};
  tti_record_settled_write(record->settled + events, bytes);
  /* If it cannot be written, what is sent again is known by its key. */
  write_all(segment->fd, &part, 1, segment->head + TTI_RECORD_SETTLED_AT);
  segment->events -= events;
  if (record->settled + events == record->events)
    segment->head += size_of(record);
}

/* -- Segments. -- */

static int create(int directory, uint64_t destination,
                  tti_segment *out_segment) {
  tti_segment s = {.head = TTI_SEGMENT_HEAD_BYTES,
                   .end = TTI_SEGMENT_HEAD_BYTES};
  char head[TTI_SEGMENT_HEAD_BYTES];
  uint32_t more;
  tti_random_bytes(&more, sizeof(more));
  snprintf(s.name, sizeof(s.name), "%016llx-%014llx-%08x.spool",
           (unsigned long long)destination,
           (unsigned long long)tti_wall_us(&tti_clock_system) &
               0xffffffffffffffu,
           more);
  s.fd = openat(directory, s.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (s.fd < 0)
    return errno;
  tti_segment_head_write(destination, head);
  struct iovec part = {head, sizeof(head)};
  int error = lock(s.fd);
  if (!error)
    error = check(s.fd);
  if (!error)
    error = write_all(s.fd, &part, 1, 0);
  if (!error) {
    *out_segment = s;
    return 0;
  }
  unlinkat(directory, s.name, 0);
  close(s.fd);
  return error;
}

int tti_segment_create(int directory, uint64_t destination,
                       tti_segment *out_segment) {
  int error = EWOULDBLOCK;
  for (int i = 0; i < CREATE_TRIES; i++) {
    error = create(directory, destination, out_segment);
    /* Another was quicker to look into it than we to lock it. */
    if (error != EWOULDBLOCK && error != ENOENT)
      break;
  }
  return error;
}

static int scan(tti_segment *s, uint64_t destination, tti_buf *scratch) {
  tti_buf_clear(scratch);
  tt_error error = read_at(s->fd, 0, TTI_SEGMENT_HEAD_BYTES, scratch);
  s->head = s->end = TTI_SEGMENT_HEAD_BYTES;
  if (!error && scratch->len == 0)
    return 0;
  if (!error && !tti_segment_head_is(tti_buf_slice(scratch), destination))
    error = TT_ECORRUPT;
  while (!error) {
    tti_record_head record;
    tti_slice body;
    error = read_record(s->fd, s->end, scratch, &record, &body);
    if (!error) {
      s->end += size_of(&record);
      s->events += record.events - record.settled;
    }
  }
  s->damaged = error != TT_ENOTFOUND;
  return error == TT_ENOMEM ? ENOMEM : error == TT_EIO ? EIO : 0;
}

int tti_segment_open(int directory, const char *name, uint64_t destination,
                     tti_buf *scratch, tti_segment *out_segment) {
  tti_segment s = {0};
  snprintf(s.name, sizeof(s.name), "%s", name);
  /* Non-blocking for what we do not want: a FIFO would wait for a reader. */
  s.fd = openat(directory, name,
                O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
  if (s.fd < 0)
    return errno == EISDIR || errno == ELOOP || errno == EACCES ? EINVAL
                                                                : errno;
  int error = lock(s.fd);
  if (!error)
    error = check(s.fd);
  if (!error)
    error = scan(&s, destination, scratch);
  if (error)
    close(s.fd);
  else
    *out_segment = s;
  return error;
}

/* A forked child has the descriptor too, and with it the lock: closing ours
 * would not release it. */
void tti_segment_close(tti_segment *segment) {
  flock(segment->fd, LOCK_UN);
  close(segment->fd);
  segment->fd = -1;
}

bool tti_segment_finish(int directory, tti_segment *segment) {
  char aside[TTI_SEGMENT_NAME_MAX + 4];
  snprintf(aside, sizeof(aside), "%.*s.bad", (int)strcspn(segment->name, "."),
           segment->name);
  if (!segment->damaged || renameat(directory, segment->name, directory, aside))
    unlinkat(directory, segment->name, 0);
  close(segment->fd);
  segment->fd = -1;
  return segment->damaged;
}
