#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "lib/base/buf.h"

#include <curl/curl.h>

/* One server, as the commands talk to it. */
typedef struct client client;

typedef struct client_options {
  const char *url;   /* base URL; NULL: TELLTALE_URL, else the default */
  const char *token; /* NULL: TELLTALE_TOKEN, else none */
  const char *ca;    /* PEM file of whom to trust; NULL: TELLTALE_CA, else the
                        system's */
  const char *cert;  /* PEM files of who we are; NULL: TELLTALE_CERT and */
  const char *key;   /* TELLTALE_KEY, else nobody */
  const char *unix_socket; /* talk over this instead of TCP; NULL: TCP */
} client_options;

#define CLIENT_DEFAULT_URL "http://127.0.0.1:6060"

/* The options of every command that asks a server, as rows of an option table.
 * Their values lie side by side. */
#define CLIENT_TLS_ROWS                                                        \
  {"--ca", 0, "FILE", "trust what this PEM file's CA signed (TELLTALE_CA)"},   \
      {"--cert", 0, "FILE", "show this certificate, PEM (TELLTALE_CERT)"}, {   \
    "--key", 0, "FILE", "with its private key, PEM (TELLTALE_KEY)"             \
  }
#define CLIENT_ROWS                                                            \
  {"--url", 0, "URL", "server (TELLTALE_URL; " CLIENT_DEFAULT_URL ")"},        \
      {"--token", 0, "TOKEN", "bearer token (TELLTALE_TOKEN)"},                \
      CLIENT_TLS_ROWS

enum { CLIENT_ROW_COUNT = 5 };

/* Strings are copied. NULL after a message on standard error: the URL is not
 * one. Freed with client_free. */
client *client_new(const client_options *options);
/* The same from the values of CLIENT_ROWS. */
client *client_new_from(const char *const values[CLIENT_ROW_COUNT]);
void client_free(client *c);

/* What the values of CLIENT_ROWS and the environment say together; borrowed
 * from both. */
client_options client_options_of(const char *const values[CLIENT_ROW_COUNT]);

typedef struct client_answer {
  int status;   /* 0: no answer; `body` is empty and error says why */
  tti_buf body; /* at most 64 MiB */
  char error[320];
  long retry_after_s; /* 0: none given */
  /* Telltale-Head: a stream behind it goes on without a gap; 0: none given. */
  unsigned long long head;
} client_answer;

void client_answer_init(client_answer *answer);
void client_answer_fini(client_answer *answer);

typedef struct client_request {
  const char *method; /* NULL: GET */
  const char *path;   /* "/events?…", appended to the base URL */
  const char *content_type;
  tti_slice body;
  const char *idempotency_key; /* NULL: none */
} client_request;

/* One request and its whole answer, within 30 s. */
void client_call(client *c, const client_request *request,
                 client_answer *answer);

/* A GET that is read as it comes: `take` gets the bytes and answers whether to
 * go on. Returns the status (0: not reached; *out_error says why). */
typedef bool (*client_take)(void *context, const char *bytes, size_t len);
int client_follow(client *c, const char *path, const char *last_event_id,
                  client_take take, void *context, char out_error[320]);

/* A connection of its own, TLS included, over which the caller speaks HTTP with
 * curl_easy_send and curl_easy_recv; ended with curl_easy_cleanup. NULL:
 * out_error says why. */
CURL *client_connect(const client *c, char out_error[320]);

/* Appends the request line and the headers that are the same for each request,
 * without the empty line. */
void client_put_head(const client *c, const char *method, const char *path,
                     tti_buf *out);

/* A CURLUPART of the base URL, freed with curl_free; NULL: it has none. */
char *client_url_part(const client *c, int part);

/* Says on standard error what the server answered (its message, with what to
 * do about a 401), and gives the exit status that goes with it: CLI_OK for a
 * 2xx. */
int client_report(const char *command, const client_answer *answer);

/* Appends `text` percent-encoded to a query. */
void client_escape(tti_buf *out, const char *text);

#endif
