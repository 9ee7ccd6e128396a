#ifndef HTTP_DESCRIBE_H
#define HTTP_DESCRIBE_H

#include "server/http/http.h"

/* What a route takes and answers, declared once beside its handler: the handler
 * reads its parameters by these rows, and the API document is written from
 * them. All static. */

typedef enum http_place {
  HTTP_IN_QUERY,
  HTTP_IN_HEADER,
  HTTP_IN_PATH
} http_place;

typedef enum http_type {
  HTTP_TEXT,   /* at most `max` bytes, where it is not 0 */
  HTTP_NUMBER, /* from `min` to `max`; max 0: without a ceiling */
  HTTP_TIME,   /* RFC 3339 */
  HTTP_WORD    /* one of `words` */
} http_type;

typedef struct http_parameter {
  const char *name; /* NULL ends a list */
  const char *help;
  http_place in;
  http_type type;
  unsigned long long min, max;
  const char *const *words; /* NULL-terminated */
  const char *fallback;     /* stands for one that is not given; may be NULL */
  bool required;
  const char *code; /* of the 400 for a wrong one; NULL: none is sent */
} http_parameter;

typedef struct http_content {
  const char *type;   /* "application/json" */
  const char *schema; /* a name of components.json, or a schema as JSON */
} http_content;

typedef struct http_answer {
  int status;          /* 0 ends a list */
  const char *help;    /* when it is given */
  const char *codes;   /* of an error, "a,b": its content is then Error */
  const char *type;    /* NULL: no content */
  const char *schema;  /* as above */
  const char *headers; /* names in components.json, "A,B"; may be NULL */
} http_answer;

enum { HTTP_GROUPS_MAX = 12, HTTP_CONTENTS_MAX = 4, HTTP_ANSWERS_MAX = 12 };

/* What follows from the route itself (its scope, its body limit, its
 * parameters' codes) is not repeated here: see openapi.h. Answers of one status
 * with several content types stand together. */
typedef struct http_description {
  const char *summary;
  const char *help; /* Markdown; may be NULL */
  const char *tag;
  const http_parameter *parameters[HTTP_GROUPS_MAX]; /* lists */
  http_content body[HTTP_CONTENTS_MAX];
  http_answer answers[HTTP_ANSWERS_MAX];
} http_description;

/* The first value of a query parameter, else its fallback; ptr NULL: neither.
 * An empty value is one that is not given. */
tti_slice http_parameter_get(http_request *request, const http_parameter *p);

/* The same, of its type; where there is neither value nor fallback the output
 * is left as it is. False: answered 400 with the parameter's code. */
bool http_parameter_number(http_request *request, const http_parameter *p,
                           unsigned long long *out_number);
bool http_parameter_word(http_request *request, const http_parameter *p,
                         size_t *out_index);

#endif
