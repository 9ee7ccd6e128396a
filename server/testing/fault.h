#ifndef TESTING_FAULT_H
#define TESTING_FAULT_H

/* Named points at which the test build can be made to fail, wait or die, by the
 * control socket. In a build that is installed they are nothing at all. Names
 * read module.place, such as "store.commit.before". */
#ifdef TELLTALE_TESTING

#include <stdbool.h>

typedef enum fault_action {
  FAULT_FAIL, /* answer the errno */
  FAULT_WAIT, /* block until fault_release */
  FAULT_KILL, /* SIGKILL to the process, as the kernel would */
  FAULT_EXIT  /* end the process at once, with status 3 */
} fault_action;

/* The errno to pretend (0: none), after any wait or kill that was asked for.
 * Thread-safe, as are all below. */
int fault_point(const char *name);

/* What the point does the next `times` times, after letting `skip` pass; those
 * that wait there so far go on. False: the name is too long or too many points
 * are in use. */
bool fault_arm(const char *name, fault_action action, int error_number,
               unsigned skip, unsigned times);

/* The point fails `times` times with the errno, after letting `skip` pass. */
void fault_set(const char *name, int error_number, unsigned skip,
               unsigned times);

/* Lets go of all that wait there, and of whoever comes later. */
void fault_release(const char *name);

/* How often the point was passed since the start or the last clear. */
unsigned long long fault_hits(const char *name);

/* Every point is as at the start; all that wait go on. */
void fault_clear(void);

#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

#endif
