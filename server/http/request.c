#include "server/http/request.h"

#include "server/http/connection.h"
#include "server/http/worker.h"
#include <assert.h>
#include <stdlib.h>

void *http_request_alloc(http_request *request, size_t bytes) {
  if (bytes > SIZE_MAX / 2)
    return NULL;
  size_t size = (bytes + 15) & ~(size_t)15;
  if (size <= request->free_bytes) {
    char *at = request->free_at;
    request->free_at += size;
    request->free_bytes -= size;
    return at;
  }
  void **block = malloc(size + 16);
  if (!block)
    return NULL;
  *block = request->blocks;
  request->blocks = block;
  request->overflow += size + 16;
  return (char *)block + 16;
}

bool http_request_charge(http_request *request, size_t bytes) {
  http_worker *w = request->worker;
  if (!http_budget_take(&w->share, bytes))
    return false;
  if (request->is_guest && !http_budget_take(&w->guest_share, bytes)) {
    http_budget_give(&w->share, bytes);
    return false;
  }
  request->charged += bytes;
  return true;
}

static void give_back(http_request *request, size_t bytes) {
  http_budget_give(&request->worker->share, bytes);
  if (request->is_guest)
    http_budget_give(&request->worker->guest_share, bytes);
  request->charged -= bytes;
}

void http_request_is_of_guest(http_request *request) {
  assert(request->charged == 0);
  request->is_guest = true;
}

bool http_request_by_guest(const http_request *request) {
  return request->is_guest;
}

bool http_request_hold(http_request *request, size_t bytes) {
  return http_request_charge(request, bytes);
}

void http_request_unhold(http_request *request, size_t bytes) {
  give_back(request, bytes);
}

http_request *http_request_new(http_connection *connection, const char *head,
                               size_t head_len, const char **out_bytes) {
  http_worker *worker = connection->worker;
  http_request *r = http_worker_block(worker);
  if (!r)
    return NULL;
  size_t header = (sizeof(*r) + 15) & ~(size_t)15;
  memset(r, 0, sizeof(*r));
  r->connection = connection;
  r->worker = worker;
  r->began_ns = uv_hrtime();
  r->free_at = (char *)r + header;
  r->free_bytes = HTTP_REQUEST_BLOCK - header;
  r->extras_end = &r->extras;
  char *bytes = http_request_alloc(r, head_len + 1);
  if (!bytes) {
    http_request_free(r);
    return NULL;
  }
  memcpy(bytes, head, head_len);
  bytes[head_len] = '\0';
  *out_bytes = bytes;
  return r;
}

void http_request_free(http_request *request) {
  while (request->blocks) {
    void **block = request->blocks;
    request->blocks = *block;
    free(block);
  }
  if (request->body_owned)
    free(request->body);
  free(request->out_owned);
  give_back(request, request->charged);
  http_worker_unblock(request->worker, request);
}

bool http_request_body_room(http_request *r, size_t cap) {
  if (cap <= r->body_cap)
    return true;
  /* A small body stays in the block, with room left for the answer. */
  if (!r->body && cap + 512 <= r->free_bytes) {
    r->body = http_request_alloc(r, cap);
    r->body_cap = cap;
    return true;
  }
  char *body = r->body_owned ? realloc(r->body, cap) : malloc(cap);
  if (!body)
    return false;
  if (!r->body_owned && r->body)
    memcpy(body, r->body, r->body_len);
  r->body = body;
  r->body_cap = cap;
  r->body_owned = true;
  return true;
}

void http_request_reweigh(http_request *r) {
  http_connection_weigh(r->connection, r);
}

unsigned http_request_method(const http_request *request) {
  return request->head.method;
}

const char *http_request_method_name(const http_request *request) {
  switch (request->head.method) {
  case HTTP_GET_:
    return request->head.is_head ? "HEAD" : "GET";
  case HTTP_POST_:
    return "POST";
  case HTTP_PUT_:
    return "PUT";
  case HTTP_PATCH_:
    return "PATCH";
  case HTTP_DELETE_:
    return "DELETE";
  default:
    return request->head.is_options ? "OPTIONS" : "other";
  }
}

bool http_request_is_1_0(const http_request *r) {
  return r->head.http_1_0;
}

bool http_request_is_head(const http_request *request) {
  return request->head.is_head;
}

tti_slice http_request_path(const http_request *request) {
  return request->head.path;
}

tti_slice http_request_query(const http_request *request) {
  return request->head.query;
}

const http_route *http_request_route(const http_request *request) {
  return request->route;
}

tti_slice http_request_body(const http_request *request) {
  return (tti_slice){request->body_len ? request->body : NULL,
                     request->body_len};
}

tti_slice http_request_header(const http_request *request, const char *name) {
  return http_request_header_at(request, name, 0);
}

size_t http_request_header_count(const http_request *request,
                                 const char *name) {
  size_t count = 0;
  while (http_head_field(&request->head, tti_slice_of(name), count).ptr)
    count++;
  return count;
}

tti_slice http_request_header_at(const http_request *request, const char *name,
                                 size_t n) {
  return http_head_field(&request->head, tti_slice_of(name), n);
}

const http_address *http_request_peer(const http_request *request) {
  return &request->connection->peer;
}

const http_address *http_request_client(const http_request *request) {
  return request->client ? &request->client->address
                         : &request->connection->peer;
}

const char *http_request_client_text(const http_request *request) {
  return request->client ? request->client->text
                         : request->connection->peer_text;
}

bool http_request_set_client(http_request *request, const http_address *address,
                             bool secure) {
  http_client *client = http_request_alloc(request, sizeof(*client));
  if (!client)
    return false;
  client->address = *address;
  client->secure = secure;
  http_address_format(address, client->text);
  request->client = client;
  return true;
}

bool http_request_is_secure(const http_request *request) {
  return request->client ? request->client->secure
                         : http_request_is_tls(request);
}

void http_request_set_user(http_request *request, const char *name) {
  size_t size = strlen(name) + 1;
  char *copy = http_request_alloc(request, size);
  if (copy)
    request->user = memcpy(copy, name, size);
}

const char *http_request_user(const http_request *request) {
  return request->user ? request->user : "";
}

uint64_t http_request_age_us(const http_request *request) {
  return (uv_hrtime() - request->began_ns) / 1000;
}

int http_request_status(const http_request *request) {
  return request->status;
}

size_t http_request_answer_bytes(const http_request *request) {
  size_t unsent = request->stream ? http_stream_pending(request->stream) : 0;
  return request->answer_bytes > unsent ? request->answer_bytes - unsent : 0;
}

uint16_t http_request_port(const http_request *request) {
  return http_server_port(request->worker->server);
}

bool http_request_is_local_admin(const http_request *request) {
  return request->connection->is_unix;
}

bool http_request_is_tls(const http_request *request) {
  return request->connection->tls;
}

const char *http_request_certificate(const http_request *request) {
  const http_connection *c = request->connection;
  return c->tls ? tls_session_peer(c->tls) : "";
}

loop *http_request_loop(const http_request *request) {
  return request->worker->l;
}

void *http_connection_data(const http_request *request) {
  return request->connection->app_data;
}

void http_connection_set_data(http_request *request, void *data,
                              void (*free_fn)(void *data)) {
  http_connection *c = request->connection;
  if (c->app_data && c->app_free && c->app_data != data)
    c->app_free(c->app_data);
  c->app_data = data;
  c->app_free = free_fn;
}
