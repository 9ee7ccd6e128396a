#ifndef TESTS_FORK_H
#define TESTS_FORK_H

#include "tests/unit.h"

/* For tests whose child allocates or starts threads.
 *
 * glibc keeps its allocator whole over a fork. AddressSanitizer's, before LLVM
 * 17, stays locked in the child when another thread was inside it: the child's
 * next allocation, or the start of its next thread, waits for ever. So in such
 * a build the fork waits until all other threads sleep, which no thread does
 * that holds one of those locks. A fork in the middle of anything is tried by
 * the other builds. */

#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define FORKS_AT_REST 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORKS_AT_REST 1
#endif
#endif
#ifndef FORKS_AT_REST
#define FORKS_AT_REST 0
#endif

/* A thread that has just ended counts as asleep. */
static inline bool thread_sleeps(const char *id) {
  char path[64], state = 'S';
  snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", id);
  FILE *file = fopen(path, "r");
  if (!file)
    return true;
  if (fscanf(file, "%*[^)]) %c", &state) != 1)
    state = 'S';
  fclose(file);
  return state == 'S';
}

static inline bool others_sleep(void) {
  bool sleep = true;
  DIR *tasks = opendir("/proc/self/task");
  assert_non_null(tasks);
  for (struct dirent *task; (task = readdir(tasks));) {
    if (isdigit(task->d_name[0]) && atoi(task->d_name) != gettid())
      sleep = sleep && thread_sleeps(task->d_name);
  }
  closedir(tasks);
  return sleep;
}

static inline pid_t fork_for_test(void) {
  while (FORKS_AT_REST && !others_sleep())
    poll(NULL, 0, 1);
  return fork();
}

#endif
