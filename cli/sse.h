#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "lib/base/buf.h"

/* Takes an event stream apart (WHATWG HTML, 9.2.6): any of the three line ends,
 * in pieces of any size. */
typedef struct sse_event {
  const char *type; /* "message" unless the stream names another */
  tti_slice data;
  const char *id; /* last id seen, "" when none */
} sse_event;

typedef struct sse_parser {
  void (*event)(void *context, const sse_event *event);
  void *context;
  tti_buf line;
  tti_buf data;
  char type[64];
  char id[64];      /* of the last event that was whole */
  char next_id[64]; /* what the one being read says */
  long retry_ms;    /* 0: never given */
  bool after_cr;
} sse_parser;

void sse_parser_init(sse_parser *p, size_t max_event_bytes,
                     void (*event)(void *context, const sse_event *event),
                     void *context);
void sse_parser_fini(sse_parser *p);

/* False when an event is over its ceiling. */
bool sse_parser_take(sse_parser *p, const char *bytes, size_t len);

/* A new connection: an unfinished event is dropped and its id with it, so that
 * the server is asked for it again. */
void sse_parser_restart(sse_parser *p);

#endif
