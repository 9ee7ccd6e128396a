#ifndef CLI_PAGES_H
#define CLI_PAGES_H

#include "cli/client.h"

/* Walks the pages of GET /events, or of another list, holding one at a time. */
typedef struct pages {
  client *client;
  const char *command;    /* whose name the messages bear */
  const char *query;      /* "/events?…"; borrowed */
  client_request request; /* for a list that is not asked by GET */
  client_answer answer;
  char cursor[128]; /* "" before the first page and after the last */
  tti_slice items;  /* of the page that was read last: a JSON array */
  unsigned long long count;
  unsigned long long first_seq, last_seq; /* 0: the page is empty */
  unsigned long long head;                /* what the page is complete up to */
} pages;

#define PAGES_LIMIT_MAX 1000

void pages_init(pages *p, client *c, const char *command, const char *query);
void pages_fini(pages *p);

/* Reads the next page, of at most `limit` events (1 to PAGES_LIMIT_MAX). A page
 * may be empty and not the last. Waits and asks again while the server is busy.
 * Answers an exit status, having said what is wrong. */
int pages_next(pages *p, unsigned long long limit);

/* Prints the page's events. */
void pages_print(const pages *p, bool json);

#endif
