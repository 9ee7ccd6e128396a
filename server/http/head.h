#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "lib/base/slice.h"
#include <stdint.h>

/* The head of a request: where it ends, what it says, and whether it may be
 * believed. llhttp takes it apart; what llhttp 8 lets pass although two readers
 * could understand it differently (a lone CR for a line end, CVE-2023-30589;
 * spaces in names; folded lines) is refused here. RFC 9112. */

/* Why a request is refused. Static. */
typedef struct http_refusal {
  int status;
  const char *code;
  const char *message;
} http_refusal;

/* Looks for the end of the head, byte by byte as they arrive, so the verdict is
 * the same however they were split. Zero it before each request. */
typedef struct http_scanner {
  size_t at;     /* bytes looked at */
  size_t line;   /* where the current line starts */
  size_t start;  /* where the head starts: behind one empty line at most */
  size_t lines;  /* complete ones, the request line included */
  bool after_cr; /* the last byte was CR */
} http_scanner;

typedef enum http_scan {
  HTTP_SCAN_MORE,
  HTTP_SCAN_DONE, /* the head is [start, at) */
  HTTP_SCAN_REFUSED
} http_scan;

/* `bytes` begins where the request does; earlier bytes are given again. */
http_scan http_scanner_run(http_scanner *scanner, const char *bytes, size_t len,
                           size_t max_bytes, const http_refusal **out_refusal);

#define HTTP_FIELDS_MAX 100

typedef struct http_field {
  uint32_t name, name_len; /* offsets into the head's bytes */
  uint32_t value, value_len;
} http_field;

typedef enum http_coding {
  HTTP_CODING_IDENTITY,
  HTTP_CODING_GZIP,
  HTTP_CODING_ZSTD,
  HTTP_CODING_UNKNOWN
} http_coding;

typedef struct http_head {
  const char *bytes; /* borrowed */
  http_field *fields;
  size_t field_count;
  tti_slice method_name;
  tti_slice path; /* as sent; starts with '/', or is "*" */
  tti_slice query;
  tti_slice host;
  uint64_t length; /* Content-Length; 0 without */
  unsigned method; /* http_method; 0: one that no route can have */
  bool is_head;
  bool is_options;
  bool http_1_0;
  bool keep_alive;
  bool has_length;
  bool chunked;
  bool expects_continue;
  bool expects_other;
  http_coding coding;
} http_head;

/* Parses and checks a scanned head of `lines` lines. The result borrows `bytes`
 * and fields (HTTP_FIELDS_MAX places). */
bool http_head_parse(const char *bytes, size_t len, size_t lines,
                     http_field *fields, http_head *out_head,
                     const http_refusal **out_refusal);

/* The n-th (from 0) field of that name; ptr NULL: there is none. */
tti_slice http_head_field(const http_head *head, tti_slice name, size_t n);

#endif
