#include "server/feed/cursor.h"

static cursor_request bad(const char *what) {
  return (cursor_request){.from = CURSOR_BAD, .bad = what};
}

static cursor_request after_number(tti_slice text, const char *what) {
  unsigned long long value;
  if (!tti_slice_to_u64(text, &value))
    return bad(what);
  return (cursor_request){.from = CURSOR_AFTER, .after = value};
}

cursor_request cursor_parse(tti_slice last_event_id, tti_slice after,
                            tti_slice replay) {
  if (last_event_id.ptr && last_event_id.len > 0)
    return after_number(last_event_id, "Last-Event-ID");
  if (after.ptr)
    return after_number(after, "after");
  if (replay.ptr && replay.len > 0) {
    if (!tti_slice_eq(replay, TTI_SLICE("all")))
      return bad("replay");
    return (cursor_request){.from = CURSOR_AFTER, .after = 0};
  }
  return (cursor_request){.from = CURSOR_TAIL};
}

cursor_start cursor_begin(const cursor_request *request, uint64_t committed,
                          uint64_t published) {
  uint64_t head = committed > published ? committed : published;
  if (request->from == CURSOR_TAIL)
    return (cursor_start){.at = head};
  if (request->after > head)
    return (cursor_start){
        .at = head, .reset = true, .told = true, .asked = request->after};
  return (cursor_start){.at = request->after, .told = true};
}
