#include "lib/backends/jsonl/closed.h"

#include "lib/base/log.h"
#include "lib/base/thread.h"
#include "lib/base/time.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "20260102T030405.000006Z": RFC 3339 without what a file name need not have,
 * so that names sort by time. */
#define STAMP_LEN 23

static void stamp(int64_t us, char out_text[TTI_RFC3339_MAX]) {
  char text[TTI_RFC3339_MAX];
  size_t len = 0;
  tti_rfc3339_format(us, text);
  for (const char *c = text; *c; c++)
    if (*c != '-' && *c != ':')
      out_text[len++] = *c;
  out_text[len] = '\0';
}

int tti_closed_take(const tti_closed *closed) {
  size_t size = strlen(closed->path) + 1 + TTI_RFC3339_MAX;
  char *name = malloc(size);
  char text[TTI_RFC3339_MAX];
  if (!name)
    return ENOMEM;
  /* A name that is taken belongs to a file of the same microsecond. */
  int64_t us = tti_wall_us(&tti_clock_system);
  do {
    stamp(us++, text);
    snprintf(name, size, "%s.%s", closed->path, text);
  } while (access(name, F_OK) == 0);
  int error = rename(closed->path, name) ? errno : 0;
  free(name);
  return error;
}

static bool is_stamp(const char *text) {
  for (int i = 0; i < STAMP_LEN; i++) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    char other = i == 8 ? 'T' : i == 15 ? '.' : i == 22 ? 'Z' : '\0';
    if (other ? text[i] != other : !digit)
      return false;
  }
  return true;
}

/* Whether a directory entry is a closed file: <base>.<stamp>[.gz]. */
static bool is_closed(const char *name, const char *base, bool *out_gz) {
  size_t len = strlen(base);
  if (strncmp(name, base, len) != 0 || name[len] != '.' ||
      !is_stamp(name + len + 1))
    return false;
  const char *rest = name + len + 1 + STAMP_LEN;
  *out_gz = strcmp(rest, ".gz") == 0;
  return *rest == '\0' || *out_gz;
}

static char *path_in(const char *dir, size_t dir_len, const char *name) {
  size_t len = strlen(name);
  char *path = malloc(dir_len + len + 1);
  if (!path)
    return NULL;
  memcpy(path, dir, dir_len);
  memcpy(path + dir_len, name, len + 1);
  return path;
}

static void deal_with(tti_closed *c, const char *path, bool gz, bool remove) {
  if (remove) {
    if (unlink(path) && errno != ENOENT)
      tti_log(&c->log, TT_LEVEL_WARN, "storage jsonl: %s is not removed: %s",
              path, strerror(errno));
  } else if (!gz && c->visit) {
    tt_error error = c->visit(c->context, path);
    if (error)
      tti_log(&c->log, TT_LEVEL_WARN, "storage jsonl: %s stays as it is: %s",
              path, tt_error_message(error));
  }
}

static bool is_late(tti_closed *c) {
  int64_t until = atomic_load_explicit(&c->until_us, memory_order_relaxed);
  return until && tti_monotonic_us(&tti_clock_system) >= until;
}

static void *tidy(void *arg) {
  tti_closed *c = arg;
  const char *slash = strrchr(c->path, '/');
  const char *base = slash ? slash + 1 : c->path;
  size_t dir_len = (size_t)(base - c->path);
  char *dir = dir_len ? strndup(c->path, dir_len) : strdup(".");
  struct dirent **entries = NULL;
  int count = dir ? scandir(dir, &entries, NULL, alphasort) : -1;
  unsigned newer = 0;
  /* Newest first: names of one base sort by time. */
  for (int i = count - 1; i >= 0; i--) {
    bool gz;
    if (!is_late(c) && is_closed(entries[i]->d_name, base, &gz)) {
      char *path = path_in(c->path, dir_len, entries[i]->d_name);
      if (path)
        deal_with(c, path, gz, c->keep && newer >= c->keep);
      free(path);
      newer++;
    }
    free(entries[i]);
  }
  free(entries);
  free(dir);
  return NULL;
}

static void join(tti_closed *c) {
  if (c->working)
    pthread_join(c->thread, NULL);
  c->working = false;
}

void tti_closed_end(tti_closed *closed, int timeout_ms) {
  int64_t none = 0, until = tti_monotonic_us(&tti_clock_system) +
                            (int64_t)timeout_ms * 1000;
  if (timeout_ms >= 0)
    atomic_compare_exchange_strong_explicit(&closed->until_us, &none, until,
                                            memory_order_relaxed,
                                            memory_order_relaxed);
  join(closed);
}

void tti_closed_hurry(tti_closed *closed) {
  atomic_store_explicit(&closed->until_us, 1, memory_order_relaxed);
}

void tti_closed_tidy(tti_closed *closed) {
  if (!closed->visit && !closed->keep)
    return;
  join(closed);
  closed->working = tti_thread_start(&closed->thread, tidy, closed);
  if (!closed->working)
    tti_log(&closed->log, TT_LEVEL_WARN,
            "storage jsonl: no thread to deal with the closed files of %s",
            closed->path);
}
