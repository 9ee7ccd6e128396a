#include "cli/split.h"

void splitter_init(splitter *s, size_t max_item_bytes) {
  *s = (splitter){.depth = 0};
  tti_buf_init(&s->item, max_item_bytes);
}

void splitter_fini(splitter *s) {
  tti_buf_fini(&s->item);
}

void splitter_next(splitter *s) {
  tti_buf_clear(&s->item);
}

bool splitter_at_end(const splitter *s) {
  return s->depth == 0 && (!s->in_array || s->closed);
}

/* Between items. Answers false for a byte that cannot stand there. */
static bool take_between(splitter *s, char c) {
  if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
    return true;
  if (c == '{' && !s->closed) {
    s->depth = 1;
    tti_buf_append_char(&s->item, c);
    return true;
  }
  if (c == '[' && !s->in_array && s->offset == 0) {
    s->in_array = true;
    return true;
  }
  if (s->in_array && !s->closed && (c == ',' || c == ']')) {
    s->closed = c == ']';
    return true;
  }
  return false;
}

/* Within an item. Answers whether it is complete. */
static bool take_within(splitter *s, char c) {
  tti_buf_append_char(&s->item, c);
  if (s->in_string) {
    if (s->escaped)
      s->escaped = false;
    else if (c == '\\')
      s->escaped = true;
    else if (c == '"')
      s->in_string = false;
    return false;
  }
  if (c == '"')
    s->in_string = true;
  else if (c == '{' || c == '[')
    s->depth++;
  else if (c == '}' || c == ']')
    s->depth--;
  return s->depth == 0;
}

split_result splitter_take(splitter *s, tti_slice *rest) {
  while (rest->len) {
    char c = rest->ptr[0];
    bool complete = false;
    if (s->depth)
      complete = take_within(s, c);
    else if (!take_between(s, c))
      return SPLIT_BAD;
    /* Blank space before the array does not count as a first byte. */
    bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (s->offset || !blank)
      s->offset++;
    rest->ptr++;
    rest->len--;
    if (complete)
      return SPLIT_ITEM;
  }
  return SPLIT_MORE;
}
