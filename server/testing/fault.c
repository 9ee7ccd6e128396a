#include "server/testing/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAULTS_MAX  64
#define EXIT_STATUS 3

typedef struct fault {
  char name[48]; /* "": free */
  fault_action action;
  int error_number;
  unsigned skip;
  unsigned times;
  unsigned releases; /* changes when those that wait may go on */
  unsigned long long hits;
} fault;

/* Points are passed by every thread; there are few of them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static fault faults[FAULTS_MAX];

/* Under the lock: the point's row, made when it is new; NULL when the table is
 * full or the name too long. */
static fault *row_of(const char *name) {
  fault *unused = NULL;
  if (*name == '\0' || strlen(name) >= sizeof unused->name)
    return NULL;
  for (size_t i = 0; i < FAULTS_MAX; i++) {
    if (strcmp(faults[i].name, name) == 0)
      return &faults[i];
    if (!unused && faults[i].name[0] == '\0')
      unused = &faults[i];
  }
  if (unused)
    snprintf(unused->name, sizeof unused->name, "%s", name);
  return unused;
}

static void die(fault_action action) {
  if (action == FAULT_EXIT)
    _exit(EXIT_STATUS);
  kill(getpid(), SIGKILL);
  for (;;)
    pause();
}

/* Under the lock: until the point is released, cleared or told otherwise. The
 * row may be cleared and taken by another name meanwhile. */
static void wait_there(const fault *f, const char *name) {
  unsigned releases = f->releases;
  while (strcmp(f->name, name) == 0 && f->releases == releases)
    pthread_cond_wait(&released, &lock);
}

int fault_point(const char *name) {
  int error_number = 0;
  pthread_mutex_lock(&lock);
  fault *f = row_of(name);
  if (f)
    f->hits++;
  if (f && f->skip > 0) {
    f->skip--;
  } else if (f && f->times > 0) {
    switch (f->action) {
    case FAULT_FAIL:
      f->times--;
      error_number = f->error_number;
      break;
    case FAULT_WAIT:
      f->times--;
      wait_there(f, name);
      break;
    case FAULT_KILL:
    case FAULT_EXIT:
      die(f->action);
    }
  }
  pthread_mutex_unlock(&lock);
  return error_number;
}

bool fault_arm(const char *name, fault_action action, int error_number,
               unsigned skip, unsigned times) {
  pthread_mutex_lock(&lock);
  fault *f = row_of(name);
  if (f) {
    f->action = action;
    f->error_number = error_number;
    f->skip = skip;
    f->times = times;
    f->releases++;
    pthread_cond_broadcast(&released);
  }
  pthread_mutex_unlock(&lock);
  return f != NULL;
}

void fault_set(const char *name, int error_number, unsigned skip,
               unsigned times) {
  fault_arm(name, FAULT_FAIL, error_number, skip, times);
}

void fault_release(const char *name) {
  fault_arm(name, FAULT_FAIL, 0, 0, 0);
}

unsigned long long fault_hits(const char *name) {
  pthread_mutex_lock(&lock);
  const fault *f = row_of(name);
  unsigned long long hits = f ? f->hits : 0;
  pthread_mutex_unlock(&lock);
  return hits;
}

void fault_clear(void) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < FAULTS_MAX; i++)
    faults[i] = (fault){.releases = faults[i].releases + 1};
  pthread_cond_broadcast(&released);
  pthread_mutex_unlock(&lock);
}
