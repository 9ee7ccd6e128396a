#ifndef TELLTALE_ERROR_H
#define TELLTALE_ERROR_H

#include <stdbool.h>
#include <telltale/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The one table of errors: name, whether the same call may be tried again,
 * and what it means. 0 (TT_OK) is success. */
#define TELLTALE_ERROR_MAP(X)                                                  \
  X(TT_OK, false, "success")                                                   \
  X(TT_EINVAL, false, "an argument is not valid")                              \
  X(TT_ENOMEM, true, "out of memory")                                          \
  X(TT_ETIMEOUT, true, "the time given ran out")                               \
  X(TT_ECANCELLED, false, "cancelled by the caller")                           \
  X(TT_ECLOSED, false, "closed")                                               \
  X(TT_EFULL, true, "a queue is at its ceiling")                               \
  X(TT_ETOOBIG, false, "larger than the limit")                                \
  X(TT_EPARSE, false, "malformed input")                                       \
  X(TT_EIO, true, "an input or output error")                                  \
  X(TT_ENOSPACE, true, "no space left on the device")                          \
  X(TT_EBUSY, true, "in use by another")                                       \
  X(TT_ENOTFOUND, false, "not found")                                          \
  X(TT_ECONFLICT, false, "conflicts with what is already there")               \
  X(TT_ECORRUPT, false, "stored data is damaged")                              \
  X(TT_EVERSION, false, "made by a newer version")                             \
  X(TT_ESTATE, false, "not possible in this state")                            \
  X(TT_ESIGNATURE, false, "not signed, or not in time")

typedef enum tt_error {
#define X(name, retryable, text) name,
  TELLTALE_ERROR_MAP(X)
#undef X
} tt_error;

/* Room for a sentence about what an error does not say, such as which option is
 * wrong; for a person, one line. */
#define TELLTALE_PROBLEM_MAX 256

/* The constant's own name, such as "TT_EFULL"; "TT_UNKNOWN" for a number that
 * is in no table. Never NULL; static. */
TELLTALE_API const char *tt_error_name(tt_error error);

/* What the error means, in English, without a full stop. Never NULL; static. */
TELLTALE_API const char *tt_error_message(tt_error error);

/* Whether the same call can succeed later without the caller changing it. */
TELLTALE_API bool tt_error_retryable(tt_error error);

#ifdef __cplusplus
}
#endif
#endif
