#include "server/testing/fault.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FAULTS_MAX 32

typedef struct fault {
  char name[48];
  int error_number;
  unsigned skip;
  unsigned times;
} fault;

/* Points are passed by every thread; a test sets few of them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fault faults[FAULTS_MAX];

static fault *find(const char *name) {
  for (size_t i = 0; i < FAULTS_MAX; i++)
    if (strcmp(faults[i].name, name) == 0)
      return &faults[i];
  return NULL;
}

int fault_point(const char *name) {
  int error_number = 0;
  pthread_mutex_lock(&lock);
  fault *f = find(name);
  if (f && f->skip > 0) {
    f->skip--;
  } else if (f && f->times > 0) {
    f->times--;
    error_number = f->error_number;
  }
  pthread_mutex_unlock(&lock);
  return error_number;
}

void fault_set(const char *name, int error_number, unsigned skip,
               unsigned times) {
  pthread_mutex_lock(&lock);
  fault *f = find(name);
  if (!f)
    f = find("");
  if (f) {
    *f = (fault){.error_number = error_number, .skip = skip, .times = times};
    snprintf(f->name, sizeof f->name, "%s", name);
  }
  pthread_mutex_unlock(&lock);
}

void fault_clear(void) {
  pthread_mutex_lock(&lock);
  memset(faults, 0, sizeof faults);
  pthread_mutex_unlock(&lock);
}
