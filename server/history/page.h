#ifndef HISTORY_PAGE_H
#define HISTORY_PAGE_H

#include "lib/event/filter.h"
#include <stdint.h>

/* What a page of history is asked for by, and the cursor that leads to the
 * next one. Pure. */
typedef struct page {
  uint64_t after_seq;  /* exclusive; 0: none */
  uint64_t before_seq; /* exclusive; 0: none */
  int64_t since_us;    /* of receipt, inclusive; 0: none */
  int64_t until_us;    /* exclusive; 0: none */
  uint64_t text_hash;  /* of what is looked for; 0: none */
  size_t limit;
  /* With `after` or `since` pages go forwards; else the first page has the
   * newest and the cursor leads to older ones. */
  bool forwards;
} page;

typedef struct page_input {
  tti_slice after, before, since, until, limit; /* ptr NULL: not given */
  bool all; /* an export: forwards, and limit is optional and without a ceiling
             */
} page_input;

/* False: `out_bad` names the input, `out_hint` says what it has to be. */
bool page_parse(const page_input *input, page *out_page, const char **out_bad,
                const char **out_hint);

#define PAGE_CURSOR_TEXT 40

/* A cursor that goes on after (or, backwards, before) `seq`. It is bound to
 * the page's bounds and to the filter and kinds, not to its limit. */
void page_cursor(const page *p, const tti_filter *filter, unsigned kinds,
                 uint64_t seq, char out_text[PAGE_CURSOR_TEXT]);

/* Moves the page to the cursor's place; false: it is not a cursor, or one of
 * another query. */
bool page_go_on(page *p, const tti_filter *filter, unsigned kinds,
                tti_slice cursor);

/* ?n= of the most recent events: 100 where it is not a number above 0, at most
 * 10,000. */
size_t page_recent(tti_slice n);

#endif
