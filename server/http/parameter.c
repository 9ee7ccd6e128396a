#include "server/http/describe.h"

#include <string.h>

/* As much of the client's own text as a message repeats. */
#define SHOWN_BYTES 64

static int shown(tti_slice text) {
  return (int)(text.len < SHOWN_BYTES ? text.len : SHOWN_BYTES);
}

tti_slice http_parameter_get(http_request *request, const http_parameter *p) {
  tti_slice value;
  if (http_query_get(request, p->name, &value) && value.len > 0)
    return value;
  return p->required ? TTI_SLICE("") : tti_slice_of(p->fallback);
}

bool http_parameter_number(http_request *request, const http_parameter *p,
                           unsigned long long *out_number) {
  tti_slice text = http_parameter_get(request, p);
  unsigned long long number;
  if (!text.ptr)
    return true;
  if (tti_slice_to_u64(text, &number) && number >= p->min &&
      (p->max == 0 || number <= p->max)) {
    *out_number = number;
    return true;
  }
  if (p->max)
    http_reply_error(request, 400, p->code,
                     "%s: \"%.*s\" has to be a number from %llu to %llu",
                     p->name, shown(text), text.ptr, p->min, p->max);
  else
    http_reply_error(request, 400, p->code,
                     "%s: \"%.*s\" has to be a number from %llu on", p->name,
                     shown(text), text.ptr, p->min);
  return false;
}

bool http_parameter_word(http_request *request, const http_parameter *p,
                         size_t *out_index) {
  tti_slice text = http_parameter_get(request, p);
  char known[200] = "";
  if (!text.ptr)
    return true;
  for (size_t i = 0; p->words[i]; i++) {
    if (tti_slice_eq(text, tti_slice_of(p->words[i]))) {
      *out_index = i;
      return true;
    }
    size_t len = strlen(known);
    snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
             p->words[i]);
  }
  http_reply_error(request, 400, p->code,
                   "%s: \"%.*s\" is not known; it may be %s", p->name,
                   shown(text), text.ptr, known);
  return false;
}
