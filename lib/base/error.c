#include <telltale/error.h>

static const struct {
  const char *name;
  const char *message;
  bool retryable;
} table[] = {
#define X(name, retryable, text) {#name, text, retryable},
    TELLTALE_ERROR_MAP(X)
#undef X
};

static bool known(tt_error error) {
  return (unsigned)error < sizeof(table) / sizeof(table[0]);
}

const char *tt_error_name(tt_error error) {
  return known(error) ? table[error].name : "TT_UNKNOWN";
}

const char *tt_error_message(tt_error error) {
  return known(error) ? table[error].message : "unknown error";
}

bool tt_error_retryable(tt_error error) {
  return known(error) && table[error].retryable;
}
