#ifndef TORTURE_SCENARIO_H
#define TORTURE_SCENARIO_H

#include "tests/torture/alloc.h"
#include <stdbool.h>
#include <stddef.h>

/* One walk through a part of the product. It is run again and again, each time
 * with a later request for memory failing. It answers true when everything
 * went well, and false when an error was reported or a loss was counted; it
 * ends the process with `require` when a promise is broken: an object that
 * can't be used or freed after a failure, a loss that nobody counted. */
typedef struct scenario {
  const char *name;
  bool (*run)(void);
  /* A failure may go by unseen: something optional was left out, or it was
   * tried again. */
  bool absorbs;
} scenario;

extern const scenario library_scenarios[];
extern const size_t library_scenario_count;
extern const scenario server_scenarios[];
extern const size_t server_scenario_count;

/* A folder of this process's own, which the runner removes. */
const char *scenario_folder(void);

void scenario_broken(const char *file, int line, const char *promise);

#define require(promise)                                                       \
  ((promise) ? (void)0 : scenario_broken(__FILE__, __LINE__, #promise))

#endif
