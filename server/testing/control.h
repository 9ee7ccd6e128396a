#ifndef TESTING_CONTROL_H
#define TESTING_CONTROL_H

#include <telltale/error.h>

/* Drives the test build from outside: a Unix stream socket at `path`, one
 * command a line, one line back: "ok", "ok <value>" or "error <what>".
 *
 *   fault NAME fail ERRNO [times [skip]]   times: without end when not given
 *   fault NAME wait|kill|exit [skip [times]]
 *   release NAME | clear | hits NAME
 *   clock advance_us N
 *   held                                   changes that no sync has written
 *   power-cut                              never answers
 *
 * Runs on a thread of its own until the process ends. TT_EINVAL: the path is
 * too long for a socket. TT_EIO, TT_ENOMEM; why is on standard error. */
tt_error testing_control_start(const char *path);

#endif
