#include "server/api/call.h"

#include "server/auth/auth.h"
#include <openssl/sha.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define BODY_MAX  ((size_t)16 << 20)
#define KEY_MAX   255
#define SCOPE_MAX 160

void api_call_refuse(api_call *call, int status, const char *code,
                     const char *format, ...) {
  char message[512];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  tti_buf_fini(&call->body);
  http_reply_error(call->request, status, code, "%s", message);
}

void api_call_reply(api_call *call, int status) {
  /* The answer may take the call's memory with it. */
  tti_buf body = call->body;
  http_reply_json(call->request, status, &body);
}

static void fail(api_call *call, const char *code, const char *what,
                 const char *why) {
  if (call->failed)
    call->failed(call);
  http_reply_header(call->request, "Retry-After", "1");
  api_call_refuse(call, 503, code, "%s: %s; try again", what, why);
}

static bool is_failure(tt_error error) {
  return error == TT_EIO || error == TT_ENOMEM || error == TT_ECORRUPT ||
         error == TT_ENOSPACE || error == TT_EFULL || error == TT_ECLOSED;
}

/* On the loop. */
static void run_answer(loop_task *task) {
  api_call *call = (api_call *)((char *)task - offsetof(api_call, task));
  if (call->reads && is_failure(call->read.error))
    fail(call, "store_failed", "the store could not be read",
         tt_error_message(call->read.error));
  else if (!call->reads && call->job.verdict == STORE_RETRY)
    fail(call, "store_unavailable", "the store could not keep the change",
         call->job.reason);
  else
    call->answer(call);
}

static void changed(store_job *job) {
  api_call *call = job->owner;
  loop_post(http_request_loop(call->request), &call->task);
}

static void read_done(store_read *read) {
  api_call *call = read->owner;
  loop_post(http_request_loop(call->request), &call->task);
}

void *api_call_new(http_request *request, size_t size,
                   void (*answer)(api_call *call)) {
  api_call *call = http_request_alloc(request, size);
  if (!call) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    return NULL;
  }
  memset(call, 0, size);
  call->request = request;
  call->answer = answer;
  call->task.run = run_answer;
  call->job.kind = STORE_JOB_RUN;
  call->job.done = changed;
  call->job.owner = call;
  call->read.done = read_done;
  call->read.owner = call;
  tti_buf_init(&call->body, BODY_MAX);
  return call;
}

void api_call_change(api_call *call, store *s) {
  call->reads = false;
  tt_error error = store_submit(s, &call->job);
  if (error)
    fail(call, "store_busy", "the store could not take the change",
         tt_error_message(error));
}

void api_call_read(api_call *call, store *s) {
  call->reads = true;
  tt_error error = store_read_submit(s, &call->read);
  if (error)
    fail(call, "store_busy", "the store could not take the read",
         tt_error_message(error));
}

/* ---- Idempotency ---- */

/* Printable ASCII, as a header field value may hold it. */
static bool is_key(tti_slice key) {
  for (size_t n = 0; n < key.len; n++)
    if (key.ptr[n] < ' ' || key.ptr[n] > '~')
      return false;
  return key.len > 0 && key.len <= KEY_MAX;
}

bool api_key(http_request *request, const char *route, tti_slice name,
             store_key *out_key) {
  tti_slice key = http_request_header(request, "Idempotency-Key");
  *out_key = (store_key){0};
  if (!key.ptr)
    return true;
  if (!is_key(key) ||
      http_request_header_count(request, "Idempotency-Key") > 1) {
    http_reply_error(request, 400, "invalid_idempotency_key",
                     "Idempotency-Key must be given once and be 1 to %d "
                     "printable ASCII characters",
                     KEY_MAX);
    return false;
  }
  char *scope = http_request_alloc(request, SCOPE_MAX);
  if (!scope) {
    http_reply_error(request, 503, "out_of_memory", "out of memory; try again");
    return false;
  }
  int len = snprintf(scope, SCOPE_MAX, "%s %s%s%.*s", auth_subject(request),
                     route, name.len ? " " : "", (int)name.len, name.ptr);
  out_key->scope =
      (tti_slice){scope, len < SCOPE_MAX ? (size_t)len : SCOPE_MAX - 1};
  out_key->key = key;
  return true;
}

bool api_call_key(api_call *call, const char *route) {
  tti_slice body = http_request_body(call->request);
  if (!api_key(call->request, route, (tti_slice){0}, &call->job.key))
    return false;
  SHA256((const unsigned char *)(body.len ? body.ptr : ""), body.len,
         call->job.key.body_sha256);
  return true;
}

void api_call_mismatch(api_call *call) {
  api_call_refuse(call, 422, "idempotency_mismatch",
                  "this Idempotency-Key came before with another body; use a "
                  "new key");
}
