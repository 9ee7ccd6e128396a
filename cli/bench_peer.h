#ifndef CLI_BENCH_PEER_H
#define CLI_BENCH_PEER_H

#include "cli/client.h"

#include <llhttp.h>
#include <stdint.h>

#define BENCH_PIPELINE_MAX 64

typedef struct bench_peer bench_peer;

/* What a connection calls; any may be NULL. */
typedef struct bench_peer_calls {
  /* An answer is complete: `sent_us` and `events` are its request's. */
  void (*answer)(void *context, int status, int64_t sent_us, uint32_t events);
  /* A piece of an answer's body. */
  void (*body)(bench_peer *peer, void *context, const char *bytes, size_t len);
} bench_peer_calls;

/* One connection to the server, which never blocks once it is open. Requests
 * are answered in their order. Zero is a closed one. */
struct bench_peer {
  CURL *curl; /* NULL: closed */
  int fd;
  const bench_peer_calls *calls;
  void *context;
  llhttp_t parser;
  llhttp_settings_t settings;
  bool headed; /* the head of an answer has come */
  tti_buf out; /* what is to be sent, from out_at on */
  size_t out_at;
  unsigned first, in_flight; /* of the two rings */
  int64_t sent_us[BENCH_PIPELINE_MAX];
  uint32_t events[BENCH_PIPELINE_MAX];
  char tail[64]; /* of a stream, what may be the begin of a mark */
  size_t tail_len;
};

/* Connects, in up to five seconds. False: out_error says why. */
bool bench_peer_open(bench_peer *peer, const client *c, char out_error[320]);
/* What was in flight is forgotten. Fine for a closed one. */
void bench_peer_close(bench_peer *peer);

/* Notes a request that the caller appended to `out`. */
void bench_peer_note(bench_peer *peer, int64_t sent_us, uint32_t events);

/* Sends what the socket takes. False: the connection is broken. */
bool bench_peer_send(bench_peer *peer);
/* Takes what has come. False: the connection is broken, or at its end. */
bool bench_peer_receive(bench_peer *peer);

static inline size_t bench_peer_unsent(const bench_peer *peer) {
  return peer->out.len - peer->out_at;
}

#endif
