/* usage: torture [scenario [n]]
 * Fails each request for memory in turn, in every scenario. A step of more than
 * 1 between the requests makes it quick; TELLTALE_LONG=1 leaves none out.
 * Each scenario is a process of its own, so that a crash or a hang is named. */
#include "tests/torture/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define LEAKS() __lsan_do_recoverable_leak_check()
#endif
#endif
#ifndef LEAKS
#define LEAKS() 0
#endif

/* A scenario that takes longer than this for one request hangs. */
#define HANG_SECONDS 30
#define LAST_REQUEST 100000

static char folder[] = "/tmp/telltale-torture-XXXXXX";
static volatile unsigned *at; /* shared with the child */

const char *scenario_folder(void) {
  return folder;
}

void scenario_broken(const char *file, int line, const char *promise) {
  torture_disarm();
  fprintf(stderr, "%s:%d: broken: %s\n", file, line, promise);
  abort();
}

static bool try_request(const scenario *s, unsigned n) {
  *at = n;
  alarm(HANG_SECONDS);
  torture_arm(n);
  bool went_well = s->run();
  bool failed = torture_disarm();
  alarm(0);
  if (LEAKS())
    scenario_broken(__FILE__, __LINE__, "nothing leaks");
  if (!failed)
    require(went_well);
  else if (!s->absorbs)
    require(!went_well);
  return failed;
}

/* Without a failure first: else a scenario that never works would pass. */
static void child(const scenario *s, unsigned step, unsigned only) {
  torture_install();
  try_request(s, LAST_REQUEST);
  unsigned n = only ? only : 1;
  while (try_request(s, n) && !only) {
    require(n < LAST_REQUEST);
    /* The first ones make the object: none of them is left out. */
    n += n < 32 ? 1 : step;
  }
}

static bool run(const scenario *s, unsigned step, unsigned only) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    child(s, step, only);
    exit(0);
  }
  int status;
  while (waitpid(pid, &status, 0) < 0)
    ;
  bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  printf("%-20s %6u requests  %s\n", s->name, *at - 1, passed ? "ok" : "");
  if (!passed && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    printf("  hangs when request %u fails\n", *at);
  else if (!passed)
    printf("  breaks when request %u fails\n", *at);
  return passed;
}

static unsigned run_all(const scenario *list, size_t count, unsigned step,
                        const char *name, unsigned only, unsigned *out_bad) {
  unsigned ran = 0;
  for (size_t i = 0; i < count; i++) {
    if (name && strcmp(name, list[i].name) != 0)
      continue;
    ran++;
    *out_bad += !run(&list[i], step, only);
  }
  return ran;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : NULL;
  unsigned only = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
  const char *every = getenv("TELLTALE_LONG");
  unsigned step = every && strcmp(every, "1") == 0 ? 1 : 61;
  at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED || !mkdtemp(folder)) {
    perror("torture");
    return 2;
  }
  unsigned bad = 0;
  unsigned ran = run_all(library_scenarios, library_scenario_count, step, name,
                         only, &bad);
  ran +=
      run_all(server_scenarios, server_scenario_count, step, name, only, &bad);
  char command[64];
  snprintf(command, sizeof(command), "rm -rf %s", folder);
  if (system(command) != 0)
    bad++;
  printf("%u scenarios, %u failed\n", ran, bad);
  return ran == 0 || bad > 0;
}
