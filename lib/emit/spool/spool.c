#include "lib/emit/spool/spool.h"

#include "lib/emit/spool/segment.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A segment counts as a whole one towards the ceiling, full or not, and so each
 * process needs room for at least one. */
#define SEGMENTS          64
#define SEGMENT_BYTES_MIN ((size_t)64 * 1024)
#define LIST_MAX          (SEGMENTS + 1)

struct tti_spool {
  const char *path;
  size_t max_bytes;
  size_t segment_bytes;
  uint64_t destination;
  int directory; /* -1: not open */
  tti_segment list[LIST_MAX];
  size_t count; /* the oldest is the first, the last one is appended to */
  /* The producer of what is appended to the last one; empty: none yet. */
  char producer[TTI_UUID_TEXT];
  uint64_t number; /* the next */
  tti_buf buf;
  tti_record_head record; /* the one at the head, when it has been read */
  uint64_t set_aside;
};

tti_spool *tti_spool_new(const char *directory, size_t max_bytes,
                         uint64_t destination) {
  tti_spool *s = calloc(1, sizeof(*s));
  if (!s)
    return NULL;
  s->path = directory;
  s->max_bytes = max_bytes;
  s->segment_bytes = (max_bytes + SEGMENTS - 1) / SEGMENTS;
  if (s->segment_bytes < SEGMENT_BYTES_MIN)
    s->segment_bytes =
        max_bytes < SEGMENT_BYTES_MIN ? max_bytes : SEGMENT_BYTES_MIN;
  s->destination = destination;
  s->directory = -1;
  tti_buf_init(&s->buf, TTI_RECORD_HEAD_BYTES + TTI_RECORD_BODY_MAX);
  return s;
}

static void close_directory(tti_spool *s) {
  if (s->directory >= 0)
    close(s->directory);
  s->directory = -1;
}

void tti_spool_free(tti_spool *spool) {
  if (!spool)
    return;
  for (size_t i = 0; i < spool->count; i++)
    tti_segment_close(&spool->list[i]);
  close_directory(spool);
  tti_buf_fini(&spool->buf);
  free(spool);
}

bool tti_spool_is_empty(const tti_spool *spool) {
  return spool->count == 0;
}

uint64_t tti_spool_set_aside(const tti_spool *spool) {
  return spool->set_aside;
}

/* -- The directory. -- */

static int open_directory(tti_spool *s) {
  if (s->directory >= 0)
    return 0;
  if (mkdir(s->path, 0700) && errno != EEXIST)
    return errno;
  s->directory = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return s->directory < 0 ? errno : 0;
}

/* A listing of its own, so that it begins at the beginning. NULL: *out_error
 * says why. */
static DIR *list_directory(tti_spool *s, int *out_error) {
  *out_error = open_directory(s);
  if (*out_error)
    return NULL;
  int fd = openat(s->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (!entries) {
    *out_error = errno;
    if (fd >= 0)
      close(fd);
  }
  return entries;
}

static bool ends_in(const char *name, const char *end) {
  size_t len = strlen(name), tail = strlen(end);
  return len > tail && len < TTI_SEGMENT_NAME_MAX &&
         strcmp(name + len - tail, end) == 0;
}

/* What the files of all processes take. With `trim`, without those set aside,
 * as many as have to go for `max_bytes`. */
static int measure(tti_spool *s, size_t trim, size_t *out_bytes) {
  size_t total = 0;
  int error;
  DIR *entries = list_directory(s, &error);
  if (!entries)
    return error;
  for (struct dirent *entry; (entry = readdir(entries));) {
    struct stat file;
    bool bad = ends_in(entry->d_name, ".bad");
    if ((!bad && !ends_in(entry->d_name, ".spool")) ||
        fstatat(s->directory, entry->d_name, &file, AT_SYMLINK_NOFOLLOW))
      continue;
    size_t bytes = (size_t)file.st_size;
    if (bad && trim && unlinkat(s->directory, entry->d_name, 0) == 0) {
      trim = trim > bytes ? trim - bytes : 0;
      continue;
    }
    total += bad || bytes > s->segment_bytes ? bytes : s->segment_bytes;
  }
  closedir(entries);
  *out_bytes = total;
  return 0;
}

/* Whether the ceiling allows `more` bytes. What was set aside makes room. */
static int make_room(tti_spool *s, size_t more) {
  size_t bytes = 0;
  int error = measure(s, 0, &bytes);
  if (!error && bytes + more > s->max_bytes)
    error = measure(s, bytes + more - s->max_bytes, &bytes);
  if (!error && bytes + more > s->max_bytes)
    error = TTI_SPOOL_FULL;
  return error;
}

/* -- Adopting. -- */

static bool is_mine(const tti_spool *s, const char *name) {
  for (size_t i = 0; i < s->count; i++) {
    if (strcmp(s->list[i].name, name) == 0)
      return true;
  }
  return false;
}

/* The name of the oldest segment younger than `name`: names sort by age. */
static bool next_name(tti_spool *s, DIR *entries, const char *mine,
                      char name[TTI_SEGMENT_NAME_MAX]) {
  const char *best = NULL;
  char found[TTI_SEGMENT_NAME_MAX];
  rewinddir(entries);
  for (struct dirent *entry; (entry = readdir(entries));) {
    const char *other = entry->d_name;
    if (strncmp(other, mine, strlen(mine)) != 0 || !ends_in(other, ".spool") ||
        strcmp(other, name) <= 0 || (best && strcmp(other, best) >= 0) ||
        is_mine(s, other))
      continue;
    memcpy(found, other, strlen(other) + 1);
    best = found;
  }
  if (best)
    memcpy(name, found, sizeof(found));
  return best != NULL;
}

/* Ends with a segment that is settled, or as far as it can be. */
static void finish(tti_spool *s, size_t index) {
  open_directory(s); /* if this fails, what follows does too */
  s->set_aside += tti_segment_finish(s->directory, &s->list[index]);
  s->count--;
  memmove(&s->list[index], &s->list[index + 1],
          (s->count - index) * sizeof(s->list[0]));
  if (index == s->count)
    s->producer[0] = '\0';
}

int tti_spool_adopt(tti_spool *spool, uint64_t *out_events) {
  char name[TTI_SEGMENT_NAME_MAX] = "", mine[20];
  *out_events = 0;
  if (spool->count == LIST_MAX)
    return 0;
  int error;
  DIR *entries = list_directory(spool, &error);
  if (!entries) {
    close_directory(spool);
    return error;
  }
  snprintf(mine, sizeof(mine), "%016llx-",
           (unsigned long long)spool->destination);
  while (*out_events == 0 && next_name(spool, entries, mine, name)) {
    tti_segment *s = &spool->list[spool->count];
    int failed = tti_segment_open(spool->directory, name, spool->destination,
                                  &spool->buf, s);
    if (failed == EWOULDBLOCK || failed == ENOENT || failed == EINVAL)
      continue;
    if (failed) {
      error = failed;
      continue;
    }
    spool->producer[0] = '\0';
    spool->count++;
    *out_events = s->events;
    if (s->events == 0)
      finish(spool, spool->count - 1);
  }
  closedir(entries);
  return error;
}

/* -- Putting. -- */

static int append(tti_spool *s, const tti_record_head *record, tti_slice body) {
  tti_record_head keyed = *record;
  if (!keyed.producer[0]) {
    if (!s->producer[0]) {
      tti_uuid4(s->producer);
      s->number = 1;
    }
    memcpy(keyed.producer, s->producer, sizeof(keyed.producer));
    keyed.number = s->number;
  }
  int error = tti_segment_append(&s->list[s->count - 1], &keyed, body);
  if (!error && !record->producer[0])
    s->number += record->events; /* each part has a number of its own */
  return error;
}

int tti_spool_put(tti_spool *spool, const tti_record_head *record,
                  tti_slice body) {
  size_t bytes = TTI_RECORD_HEAD_BYTES + body.len;
  const tti_segment *last =
      spool->count ? &spool->list[spool->count - 1] : NULL;
  if (last && !last->damaged &&
      (size_t)last->end + bytes <= spool->segment_bytes)
    return append(spool, record, body);
  bytes += TTI_SEGMENT_HEAD_BYTES;
  size_t more = bytes > spool->segment_bytes ? bytes : spool->segment_bytes;
  int error =
      spool->count == LIST_MAX ? TTI_SPOOL_FULL : make_room(spool, more);
  if (!error)
    error = tti_segment_create(spool->directory, spool->destination,
                               &spool->list[spool->count]);
  if (error == TTI_SPOOL_FULL)
    return error;
  if (error) {
    close_directory(spool); /* it may be there again when it is opened anew */
    return error;
  }
  spool->count++;
  spool->producer[0] = '\0';
  error = append(spool, record, body);
  /* Others who looked at the same moment saw as much room. */
  if (!error)
    error = make_room(spool, 0);
  if (error)
    finish(spool, spool->count - 1);
  return error;
}

/* -- Taking. -- */

tt_error tti_spool_head(tti_spool *spool, tti_record_head *out_record,
                        tti_slice *out_body, uint64_t *out_lost) {
  while (spool->count) {
    tti_segment *first = &spool->list[0];
    tt_error error =
        tti_segment_head(first, &spool->buf, &spool->record, out_body);
    if (error == TT_OK) {
      *out_record = spool->record;
      return TT_OK;
    }
    if (error == TT_ENOMEM)
      return error;
    uint64_t lost = first->events;
    first->damaged |= error == TT_ECORRUPT;
    finish(spool, 0);
    if (lost) {
      *out_lost = lost;
      return TT_ECORRUPT;
    }
  }
  return TT_ENOTFOUND;
}

void tti_spool_settle(tti_spool *spool, uint32_t events) {
  tti_segment *first = &spool->list[0];
  tti_segment_settle(first, &spool->record, events);
  spool->record.settled += events;
  if (first->events == 0)
    finish(spool, 0);
}

const char *tti_spool_error(int error) {
  switch (error) {
  case TTI_SPOOL_FULL:
    return "it is full";
  case ENOENT:
    return "its parent directory does not exist";
  case EEXIST:
  case ENOTDIR:
    return "it is not a directory";
  default:
    return strerror(error);
  }
}
