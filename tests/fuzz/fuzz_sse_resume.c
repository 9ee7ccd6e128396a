/* The three ways to say where a stream goes on, one a line of the input
 * (Last-Event-ID, after, replay), then the two heads as eight bytes each. What
 * must hold: nobody starts beyond the log, a number in range is taken as it is,
 * and the way from there ends live. */
#include "server/feed/cursor.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tti_slice take_line(const char **at, size_t *left) {
  const char *end = memchr(*at, '\n', *left);
  size_t len = end ? (size_t)(end - *at) : *left;
  tti_slice line = {*at, len};
  size_t used = end ? len + 1 : len;
  *at += used;
  *left -= used;
  /* A line of one '-' stands for a parameter that was not given. */
  if (len == 1 && line.ptr[0] == '-')
    line.ptr = NULL, line.len = 0;
  return line;
}

static void require(bool holds) {
  if (!holds)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!data || size == 0)
    return 0;
  const char *at = (const char *)data;
  size_t left = size;
  tti_slice id = take_line(&at, &left);
  tti_slice after = take_line(&at, &left);
  tti_slice replay = take_line(&at, &left);
  uint64_t heads[2] = {0, 0};
  memcpy(heads, at, left < sizeof(heads) ? left : sizeof(heads));
  uint64_t head = heads[0] > heads[1] ? heads[0] : heads[1];

  cursor_request request = cursor_parse(id, after, replay);
  if (request.from == CURSOR_BAD) {
    require(request.bad != NULL);
    return 0;
  }
  cursor_start start = cursor_begin(&request, heads[0], heads[1]);
  require(start.at <= head);
  if (request.from == CURSOR_TAIL)
    require(start.at == head && !start.reset);
  else if (request.after <= head)
    require(start.at == request.after && !start.reset);
  else
    require(start.reset && start.asked == request.after && start.at == head);
  cursor_source source = cursor_next(start.at, head, 0);
  require(source == (start.at == head ? CURSOR_LIVE : CURSOR_STORE));
  return 0;
}
