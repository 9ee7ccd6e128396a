#ifndef TESTING_FAULT_H
#define TESTING_FAULT_H

/* Named points at which the test build can be made to fail, wait or die, by the
 * control socket. In a build that is installed they are nothing at all. Names
 * read module.place, such as "store.commit.before". */
#ifdef TELLTALE_TESTING
/* The errno to pretend (0: none), after any wait or kill that was asked for. */
int fault_point(const char *name);

/* The point fails `times` times with the errno, after letting `skip` pass. */
void fault_set(const char *name, int error_number, unsigned skip,
               unsigned times);
void fault_clear(void);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

#endif
