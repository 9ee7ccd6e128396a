#ifndef TESTS_SINK_H
#define TESTS_SINK_H

/* An HTTP server for tests of clients: real sockets on 127.0.0.1, a thread a
 * connection, and scripted misbehaviour. It takes relay events the way the real
 * server promises to: a batch is all or nothing, and what comes again under an
 * Idempotency-Key that it has already taken changes nothing. Header-only; every
 * function that can fail ends the program, since no test can go on. */

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define SINK_STEPS_MAX       16
#define SINK_CONNECTIONS_MAX 64
#define SINK_REQUESTS_MAX    4096
#define SINK_BODY_MAX        ((size_t)16 * 1024 * 1024)

typedef enum sink_act {
  SINK_ANSWER,     /* with the status; taken when it is 2xx */
  SINK_CUT_BEFORE, /* close the connection, take nothing */
  SINK_CUT_AFTER,  /* take it, then close the connection without an answer */
  SINK_HANG        /* never answer */
} sink_act;

/* What becomes of one request. The steps are used up in order; after them every
 * request is taken and answered 200, subject to the rules of the sink. */
typedef struct sink_step {
  sink_act act;
  int status;
  const char *header; /* one more line of the answer, or NULL */
} sink_step;

/* What was asked and answered; kept for the life of the sink. */
typedef struct sink_request {
  char path[256];
  char key[80];
  char agent[64];
  char authorization[128];
  char dropped[128];
  char encoding[16];
  size_t events;
  size_t bytes; /* of the body as it came */
  int status;   /* 0: none was sent */
} sink_request;

typedef struct sink {
  /* The rules; set before sink_listen. */
  bool no_batch;      /* 404 for a path that ends in /batch */
  bool refuse_gzip;   /* 415 for a compressed body */
  const char *poison; /* 400 for a body that holds this text */
  size_t max_body;    /* 413 for a decoded body larger than this; 0: none */
  const char *header; /* one more line of every answer, or NULL */
  /* Takes bodies instead of the sink, under its lock, and answers a status. */
  int (*take)(void *context, const char *body, size_t len);
  void *context;
  const char *answer; /* the body of every answer; NULL: "{}" */
  size_t answer_len;
  const char *type; /* of the answer's body; NULL: application/json */
  sink_step steps[SINK_STEPS_MAX];
  size_t step_count;

  int listener;
  int port;
  int stop[2]; /* a pipe: readable once the sink stops */
  pthread_t acceptor;
  bool listening;
  pthread_t threads[SINK_CONNECTIONS_MAX];
  int sockets[SINK_CONNECTIONS_MAX];

  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool held; /* answers wait */
  size_t connections;
  size_t steps_used;
  sink_request requests[SINK_REQUESTS_MAX];
  size_t request_count;
  json_t *events; /* taken, in order, once each */
  json_t *keys;   /* key -> body it came with */
  bool other_body_under_key;
} sink;

#define SINK_CHECK(condition)                                                  \
  do {                                                                         \
    if (!(condition)) {                                                        \
      perror("sink: " #condition);                                             \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* Holds a port of its own, where connections are refused until sink_listen.
 * All on the heap; freed with sink_free. */
static inline sink *sink_new(void) {
  sink *s = calloc(1, sizeof(*s));
  SINK_CHECK(s);
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t len = sizeof(address);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SINK_CHECK(s->listener >= 0);
  SINK_CHECK(!bind(s->listener, (struct sockaddr *)&address, len));
  SINK_CHECK(!getsockname(s->listener, (struct sockaddr *)&address, &len));
  SINK_CHECK(!pipe(s->stop));
  s->port = ntohs(address.sin_port);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->changed, NULL);
  s->events = json_array();
  s->keys = json_object();
  return s;
}

/* One of a request's headers into a field of `size` bytes. */
static inline void sink_header(const char *head, const char *name,
                               char *out_value, size_t size) {
  size_t len = strlen(name);
  out_value[0] = '\0';
  for (const char *line = strstr(head, "\r\n"); line;
       line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
      continue;
    line += len + 1;
    line += strspn(line, " ");
    snprintf(out_value, size, "%.*s", (int)strcspn(line, "\r"), line);
    return;
  }
}

static inline char *sink_inflate(const char *body, size_t len,
                                 size_t *out_len) {
  char *text = malloc(SINK_BODY_MAX);
  SINK_CHECK(text);
  z_stream z = {.next_in = (Bytef *)body,
                .avail_in = (uInt)len,
                .next_out = (Bytef *)text,
                .avail_out = SINK_BODY_MAX - 1};
  SINK_CHECK(inflateInit2(&z, 15 + 16) == Z_OK);
  SINK_CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END);
  *out_len = z.total_out;
  text[z.total_out] = '\0';
  inflateEnd(&z);
  return text;
}

/* Under the lock: takes the events of a body, unless its key has come before.
 * Answers the status. */
static inline int sink_take(sink *s, sink_request *request, const char *text) {
  json_t *body = json_loads(text, JSON_DECODE_ANY, NULL);
  if (!body)
    return 400;
  json_t *known =
      request->key[0] ? json_object_get(s->keys, request->key) : NULL;
  if (known) {
    if (!json_equal(known, body))
      s->other_body_under_key = true;
    json_decref(body);
    return 200;
  }
  if (request->key[0])
    json_object_set(s->keys, request->key, body);
  if (json_is_array(body))
    json_array_extend(s->events, body);
  else
    json_array_append(s->events, body);
  request->events = json_is_array(body) ? json_array_size(body) : 1;
  json_decref(body);
  return 200;
}

static inline bool sink_ends_in_batch(const char *path) {
  size_t len = strcspn(path, "?");
  return len >= 6 && memcmp(path + len - 6, "/batch", 6) == 0;
}

/* Under the lock. */
static inline int sink_judge(sink *s, sink_request *request, const char *text,
                             size_t len) {
  if (s->take)
    return s->take(s->context, text, len);
  if (s->no_batch && sink_ends_in_batch(request->path))
    return 404;
  if (s->refuse_gzip && request->encoding[0])
    return 415;
  if (s->max_body && strlen(text) > s->max_body)
    return 413;
  if (s->poison && strstr(text, s->poison))
    return 400;
  return sink_take(s, request, text);
}

/* The rules that make up an answer, as they were when it was decided on. */
typedef struct sink_reply {
  const char *header, *answer, *type;
  size_t answer_len;
} sink_reply;

static inline void sink_send(const sink_reply *s, int fd, int status,
                             const char *more) {
  char text[2048];
  const char *body = s->answer ? s->answer : "{}";
  size_t body_len = s->answer ? s->answer_len : 2;
  size_t len =
      (size_t)snprintf(text, sizeof(text),
                       "HTTP/1.1 %d Scripted\r\nContent-Type: %s\r\n%s%s%s%s"
                       "Content-Length: %zu\r\n\r\n",
                       status, s->type ? s->type : "application/json",
                       s->header ? s->header : "", s->header ? "\r\n" : "",
                       more ? more : "", more ? "\r\n" : "", body_len);
  SINK_CHECK(len + body_len <= sizeof(text));
  memcpy(text + len, body, body_len);
  len += body_len;
  for (size_t at = 0; at < len;) {
    ssize_t sent = send(fd, text + at, len - at, MSG_NOSIGNAL);
    if (sent <= 0)
      return;
    at += (size_t)sent;
  }
}

static inline void sink_wait_for_stop(sink *s) {
  struct pollfd stop = {.fd = s->stop[0], .events = POLLIN};
  while (poll(&stop, 1, -1) < 0)
    ;
}

/* Decides about one whole request and answers it; false: close. */
static inline bool sink_answer(sink *s, int fd, const sink_request *asked,
                               const char *body, size_t len) {
  size_t text_len = len;
  char *text = asked->encoding[0] ? sink_inflate(body, len, &text_len)
                                  : memcpy(calloc(1, len + 1), body, len);
  pthread_mutex_lock(&s->lock);
  SINK_CHECK(s->request_count < SINK_REQUESTS_MAX);
  sink_request *request = &s->requests[s->request_count++];
  *request = *asked;
  request->bytes = len;
  sink_step step = {SINK_ANSWER, 200, NULL};
  if (s->steps_used < s->step_count)
    step = s->steps[s->steps_used++];
  bool answers = step.act == SINK_ANSWER;
  int status = step.status;
  if (step.act == SINK_CUT_AFTER || (answers && status / 100 == 2))
    status = sink_judge(s, request, text, text_len);
  request->status = answers ? status : 0;
  sink_reply reply = {s->header, s->answer, s->type, s->answer_len};
  pthread_cond_broadcast(&s->changed);
  while (s->held)
    pthread_cond_wait(&s->changed, &s->lock);
  pthread_mutex_unlock(&s->lock);
  free(text);
  if (step.act == SINK_HANG)
    sink_wait_for_stop(s);
  if (answers)
    sink_send(&reply, fd, status, step.header);
  return answers;
}

typedef struct sink_connection {
  sink *sink;
  int fd;
} sink_connection;

/* Reads into the buffer until `ready`; false: the peer is gone. */
static inline bool sink_read_more(int fd, char *buffer, size_t *len) {
  ssize_t got = recv(fd, buffer + *len, SINK_BODY_MAX - 1 - *len, 0);
  if (got <= 0)
    return false;
  *len += (size_t)got;
  buffer[*len] = '\0';
  return true;
}

/* Reads and answers one request; false: close the connection. */
static inline bool sink_serve(sink *s, int fd, char *buffer) {
  size_t len = 0;
  char *end = NULL;
  buffer[0] = '\0';
  while (!(end = strstr(buffer, "\r\n\r\n"))) {
    if (!sink_read_more(fd, buffer, &len))
      return false;
  }
  size_t head = (size_t)(end - buffer) + 4;
  sink_request request = {0};
  char length[32];
  end[2] = '\0';
  sscanf(buffer, "POST %255s", request.path);
  sink_header(buffer, "Content-Length", length, sizeof(length));
  sink_header(buffer, "Idempotency-Key", request.key, sizeof(request.key));
  sink_header(buffer, "User-Agent", request.agent, sizeof(request.agent));
  sink_header(buffer, "Authorization", request.authorization,
              sizeof(request.authorization));
  sink_header(buffer, "Telltale-Dropped", request.dropped,
              sizeof(request.dropped));
  sink_header(buffer, "Content-Encoding", request.encoding,
              sizeof(request.encoding));
  size_t body = (size_t)strtoul(length, NULL, 10);
  SINK_CHECK(head + body < SINK_BODY_MAX);
  while (len < head + body) {
    if (!sink_read_more(fd, buffer, &len))
      return false;
  }
  return sink_answer(s, fd, &request, buffer + head, body);
}

static inline void *sink_connection_run(void *context) {
  sink_connection c = *(sink_connection *)context;
  free(context);
  char *buffer = malloc(SINK_BODY_MAX);
  SINK_CHECK(buffer);
  while (sink_serve(c.sink, c.fd, buffer))
    ;
  free(buffer);
  /* sink_free closes it; the peer is to see the end now. */
  shutdown(c.fd, SHUT_RDWR);
  return NULL;
}

static inline void *sink_accept_run(void *context) {
  sink *s = context;
  for (;;) {
    struct pollfd fds[] = {{.fd = s->listener, .events = POLLIN},
                           {.fd = s->stop[0], .events = POLLIN}};
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[1].revents)
      return NULL;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
      continue;
    sink_connection *c = malloc(sizeof(*c));
    SINK_CHECK(c);
    *c = (sink_connection){s, fd};
    pthread_mutex_lock(&s->lock);
    SINK_CHECK(s->connections < SINK_CONNECTIONS_MAX);
    s->sockets[s->connections] = fd;
    SINK_CHECK(!pthread_create(&s->threads[s->connections], NULL,
                               sink_connection_run, c));
    s->connections++;
    pthread_mutex_unlock(&s->lock);
  }
}

/* From here on it answers. */
static inline void sink_listen(sink *s) {
  SINK_CHECK(!listen(s->listener, 64));
  SINK_CHECK(!pthread_create(&s->acceptor, NULL, sink_accept_run, s));
  s->listening = true;
}

/* Lets answers wait, or go. */
static inline void sink_hold(sink *s, bool held) {
  pthread_mutex_lock(&s->lock);
  s->held = held;
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
}

static inline void sink_free(sink *s) {
  sink_hold(s, false);
  SINK_CHECK(write(s->stop[1], "x", 1) == 1);
  if (s->listening)
    pthread_join(s->acceptor, NULL);
  for (size_t i = 0; i < s->connections; i++) {
    shutdown(s->sockets[i], SHUT_RDWR);
    pthread_join(s->threads[i], NULL);
    close(s->sockets[i]);
  }
  close(s->listener);
  close(s->stop[0]);
  close(s->stop[1]);
  json_decref(s->events);
  json_decref(s->keys);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

/* "http://127.0.0.1:PORT" and the rest, in memory of its own. */
static inline char *sink_url(const sink *s, const char *rest) {
  char *url = malloc(64 + strlen(rest));
  SINK_CHECK(url);
  sprintf(url, "http://127.0.0.1:%d%s", s->port, rest);
  return url;
}

/* How many requests came so far. After this call the caller may read what the
 * sink noted of them, and its events. */
static inline size_t sink_request_count(sink *s) {
  pthread_mutex_lock(&s->lock);
  size_t count = s->request_count;
  pthread_mutex_unlock(&s->lock);
  return count;
}

/* Waits until so many requests have come. */
static inline void sink_await_requests(sink *s, size_t count) {
  pthread_mutex_lock(&s->lock);
  while (s->request_count < count)
    pthread_cond_wait(&s->changed, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

#endif
