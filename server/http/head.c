#include "server/http/head.h"

#include "server/http/http.h"
#include <llhttp.h>

#define BAD(message)                                                           \
  { 400, "bad_request", message }
static const http_refusal
    malformed = BAD("the request head is not valid HTTP/1.1"),
    bad_line = BAD("the request line is not \"METHOD target HTTP/1.1\" with "
                   "single spaces"),
    bad_name = BAD("a header name holds a character that is not allowed"),
    bad_target = BAD("the request target holds a character that is not "
                     "allowed; percent-encode it"),
    bad_escape = BAD("the path holds a '%' that is not followed by two hex "
                     "digits, or an encoded NUL"),
    bad_form = BAD("the request target must be a path or an http URL"),
    no_host = BAD("the Host header is missing; HTTP/1.1 requires it"),
    bad_host = BAD("the Host header is not a host name with an optional port, "
                   "or differs from the request target"),
    two_hosts = BAD("the Host header is given more than once"),
    bad_length = BAD("Content-Length is not a decimal number"),
    two_lengths = BAD("Content-Length is given more than once"),
    both = BAD("Content-Length and Transfer-Encoding are both given"),
    bad_transfer = BAD("Transfer-Encoding must be given once and be "
                       "\"chunked\""),
    transfer_1_0 = BAD("Transfer-Encoding is not part of HTTP/1.0"),
    bad_version = BAD("only HTTP/1.0 and HTTP/1.1 are spoken here"),
    too_many = {431, "head_too_large", "more than 100 headers"},
    unknown_method = {501, "not_implemented",
                      "the request method is not known"};

typedef struct parse {
  llhttp_t parser;
  const char *bytes;
  size_t len;
  http_head *head;
  tti_slice url;
  const http_refusal *refusal;
  bool complete;
} parse;

static int on_url(llhttp_t *parser, const char *at, size_t len) {
  parse *p = parser->data;
  p->url = (tti_slice){at, len};
  return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t len) {
  parse *p = parser->data;
  if (p->head->field_count == HTTP_FIELDS_MAX) {
    p->refusal = &too_many;
    return -1;
  }
  http_field *field = &p->head->fields[p->head->field_count++];
  *field = (http_field){.name = (uint32_t)(at - p->bytes),
                        .name_len = (uint32_t)len};
  return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len) {
  parse *p = parser->data;
  if (p->head->field_count == 0)
    return -1;
  http_field *field = &p->head->fields[p->head->field_count - 1];
  if (field->value_len)
    return -1; /* in two pieces: a folded line */
  while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
    len--;
  field->value = (uint32_t)(at - p->bytes);
  field->value_len = (uint32_t)len;
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  parse *p = parser->data;
  p->complete = true;
  parser->upgrade = 0;
  return 1; /* the body is framed by http_framing */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

/* RFC 9110, 5.6.2. */
static bool is_token_char(unsigned char c) {
  unsigned char letter = c | 0x20;
  return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
         (c && strchr("-_!#$%&'*+.^`|~", c));
}

static bool check_names(const parse *p) {
  for (size_t i = 0; i < p->head->field_count; i++) {
    const http_field *f = &p->head->fields[i];
    const char *name = p->bytes + f->name;
    if (f->name_len == 0 || name[-1] != '\n' || name[f->name_len] != ':')
      return false;
    for (size_t j = 0; j < f->name_len; j++)
      if (!is_token_char((unsigned char)name[j]))
        return false;
  }
  return true;
}

static bool is_hex(unsigned char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static const http_refusal *check_target(http_head *head) {
  for (size_t i = 0; i < head->path.len; i++) {
    unsigned char c = (unsigned char)head->path.ptr[i];
    if (c <= 0x20 || c >= 0x7f || c == '#')
      return &bad_target;
    if (c != '%')
      continue;
    if (head->path.len - i < 3)
      return &bad_escape;
    unsigned char high = (unsigned char)head->path.ptr[i + 1];
    unsigned char low = (unsigned char)head->path.ptr[i + 2];
    if (!is_hex(high) || !is_hex(low) || (high == '0' && low == '0'))
      return &bad_escape;
  }
  for (size_t i = 0; i < head->query.len; i++) {
    unsigned char c = (unsigned char)head->query.ptr[i];
    if (c <= 0x20 || c >= 0x7f || c == '#')
      return &bad_target;
  }
  return NULL;
}

static bool starts_nocase(tti_slice s, tti_slice prefix) {
  return s.len >= prefix.len &&
         tti_slice_eq_nocase((tti_slice){s.ptr, prefix.len}, prefix);
}

/* Origin-form, "*" for OPTIONS, or absolute-form, whose authority goes to
 * *authority. RFC 9112, 3.2. */
static const http_refusal *split_target(http_head *head, tti_slice url,
                                        tti_slice *authority) {
  *authority = (tti_slice){NULL, 0};
  if (head->is_options && tti_slice_eq(url, TTI_SLICE("*"))) {
    head->path = url;
    return NULL;
  }
  tti_slice scheme = starts_nocase(url, TTI_SLICE("http://"))
                         ? TTI_SLICE("http://")
                         : TTI_SLICE("https://");
  if (starts_nocase(url, scheme)) {
    size_t end = scheme.len;
    while (end < url.len && url.ptr[end] != '/' && url.ptr[end] != '?')
      end++;
    *authority = (tti_slice){url.ptr + scheme.len, end - scheme.len};
    url = (tti_slice){url.ptr + end, url.len - end};
  } else if (url.len == 0 || url.ptr[0] != '/') {
    return &bad_form;
  }
  const char *mark = url.len ? memchr(url.ptr, '?', url.len) : NULL;
  size_t path_len = mark ? (size_t)(mark - url.ptr) : url.len;
  head->path = path_len ? (tti_slice){url.ptr, path_len} : TTI_SLICE("/");
  if (mark)
    head->query = (tti_slice){mark + 1, url.len - path_len - 1};
  return NULL;
}

/* The line must read METHOD SP target SP HTTP/1.x, byte for byte: llhttp
 * overlooks more spaces and other protocols. */
static const http_refusal *check_line(parse *p) {
  http_head *head = p->head;
  const char *space = strchr(p->bytes, ' ');
  const char *url_end = p->url.ptr + p->url.len;
  /* HTTP/0.9 has no version to look at. */
  if (!space || p->url.ptr != space + 1 || p->url.len == 0 ||
      (size_t)(url_end - p->bytes) + 10 > p->len ||
      memchr(p->url.ptr, ' ', p->url.len) ||
      memcmp(url_end, " HTTP/", 6) != 0 || url_end[9] != '\r')
    return &bad_line;
  if (memcmp(url_end + 6, "1.0", 3) != 0 && memcmp(url_end + 6, "1.1", 3) != 0)
    return &bad_version;
  head->http_1_0 = url_end[8] == '0';
  head->method_name = (tti_slice){p->bytes, (size_t)(space - p->bytes)};
  switch (p->parser.method) {
  case HTTP_GET:
    head->method = HTTP_GET_;
    break;
  case HTTP_HEAD:
    head->method = HTTP_GET_;
    head->is_head = true;
    break;
  case HTTP_POST:
    head->method = HTTP_POST_;
    break;
  case HTTP_PUT:
    head->method = HTTP_PUT_;
    break;
  case HTTP_PATCH:
    head->method = HTTP_PATCH_;
    break;
  case HTTP_DELETE:
    head->method = HTTP_DELETE_;
    break;
  case HTTP_OPTIONS:
    head->is_options = true;
    break;
  default:
    break;
  }
  return NULL;
}

/* The digits of a port behind a host; "host:" alone is allowed. */
static bool is_port(tti_slice text) {
  if (text.len == 0)
    return true;
  if (text.ptr[0] != ':' || text.len > 6)
    return false;
  for (size_t i = 1; i < text.len; i++)
    if (text.ptr[i] < '0' || text.ptr[i] > '9')
      return false;
  return true;
}

/* RFC 3986, 3.2.2, without user names and escapes. */
static bool is_host(tti_slice host) {
  bool v6 = host.len > 0 && host.ptr[0] == '[';
  size_t at = v6 ? 1 : 0;
  for (; at < host.len; at++) {
    unsigned char c = (unsigned char)host.ptr[at];
    bool digit = c >= '0' && c <= '9';
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= (v6 ? 'f' : 'z');
    if (!digit && !letter && (c == '\0' || !strchr(v6 ? ":." : ".-_", c)))
      break;
  }
  if (at == (v6 ? 1 : 0))
    return false;
  if (v6 && (at == host.len || host.ptr[at++] != ']'))
    return false;
  return is_port((tti_slice){host.ptr + at, host.len - at});
}

/* Takes the next member off a comma list. */
static bool next_member(tti_slice *list, tti_slice *member) {
  if (list->len == 0)
    return false;
  const char *comma = memchr(list->ptr, ',', list->len);
  size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
  *member = tti_slice_trim((tti_slice){list->ptr, len});
  size_t taken = len + (comma ? 1 : 0);
  *list = (tti_slice){list->ptr + taken, list->len - taken};
  return true;
}

typedef struct framing_headers {
  size_t hosts, lengths, transfers;
  bool close, keep_alive;
} framing_headers;

static http_coding coding_of(tti_slice name) {
  if (tti_slice_eq_nocase(name, TTI_SLICE("zstd")))
    return HTTP_CODING_ZSTD;
  return tti_slice_eq_nocase(name, TTI_SLICE("gzip")) ||
                 tti_slice_eq_nocase(name, TTI_SLICE("x-gzip"))
             ? HTTP_CODING_GZIP
             : HTTP_CODING_UNKNOWN;
}

/* One coding at most. */
static void read_coding(http_head *head, tti_slice value) {
  tti_slice member;
  while (next_member(&value, &member)) {
    if (member.len == 0 || tti_slice_eq_nocase(member, TTI_SLICE("identity")))
      continue;
    head->coding = head->coding == HTTP_CODING_IDENTITY ? coding_of(member)
                                                        : HTTP_CODING_UNKNOWN;
  }
}

static const http_refusal *read_field(http_head *head, framing_headers *seen,
                                      tti_slice name, tti_slice value) {
  tti_slice member;
  switch (name.len) {
  case 4:
    if (!tti_slice_eq_nocase(name, TTI_SLICE("host")))
      break;
    head->host = value;
    if (seen->hosts++)
      return &two_hosts;
    return is_host(value) ? NULL : &bad_host;
  case 6:
    if (!tti_slice_eq_nocase(name, TTI_SLICE("expect")))
      break;
    if (tti_slice_eq_nocase(value, TTI_SLICE("100-continue")))
      head->expects_continue = true;
    else
      head->expects_other = true;
    break;
  case 10:
    if (!tti_slice_eq_nocase(name, TTI_SLICE("connection")))
      break;
    while (next_member(&value, &member)) {
      seen->close |= tti_slice_eq_nocase(member, TTI_SLICE("close"));
      seen->keep_alive |= tti_slice_eq_nocase(member, TTI_SLICE("keep-alive"));
    }
    break;
  case 14:
    if (!tti_slice_eq_nocase(name, TTI_SLICE("content-length")))
      break;
    if (seen->lengths++)
      return &two_lengths;
    unsigned long long length;
    if (value.len > 18 || !tti_slice_to_u64(value, &length))
      return &bad_length;
    head->has_length = true;
    head->length = length;
    break;
  case 16:
    if (tti_slice_eq_nocase(name, TTI_SLICE("content-encoding")))
      read_coding(head, value);
    break;
  case 17:
    if (!tti_slice_eq_nocase(name, TTI_SLICE("transfer-encoding")))
      break;
    if (seen->transfers++ || !tti_slice_eq_nocase(value, TTI_SLICE("chunked")))
      return &bad_transfer;
    head->chunked = true;
    break;
  default:
    break;
  }
  return NULL;
}

static const http_refusal *read_fields(http_head *head, tti_slice authority) {
  framing_headers seen = {.hosts = 0};
  for (size_t i = 0; i < head->field_count; i++) {
    const http_field *f = &head->fields[i];
    const http_refusal *why =
        read_field(head, &seen, (tti_slice){head->bytes + f->name, f->name_len},
                   (tti_slice){head->bytes + f->value, f->value_len});
    if (why)
      return why;
  }
  /* Who looks at the Host must see what an absolute target names. */
  if (seen.hosts == 0 && (!head->http_1_0 || authority.ptr))
    return &no_host;
  if (authority.ptr && seen.hosts &&
      !tti_slice_eq_nocase(authority, head->host))
    return &bad_host;
  if (authority.ptr && !is_host(authority))
    return &bad_host;
  if (seen.lengths && seen.transfers)
    return &both;
  if (seen.transfers && head->http_1_0)
    return &transfer_1_0;
  head->keep_alive = !seen.close && (!head->http_1_0 || seen.keep_alive);
  if (head->http_1_0)
    head->expects_continue = false; /* RFC 9110, 10.1.1 */
  return NULL;
}

bool http_head_parse(const char *bytes, size_t len, size_t lines,
                     http_field *fields, http_head *out_head,
                     const http_refusal **out_refusal) {
  http_head head = {.bytes = bytes, .fields = fields};
  parse p = {.bytes = bytes, .len = len, .head = &head};
  tti_slice authority;
  llhttp_init(&p.parser, HTTP_REQUEST, &settings);
  p.parser.data = &p;
  llhttp_errno_t failed = llhttp_execute(&p.parser, bytes, len);
  const http_refusal *why = p.refusal;
  if (why)
    goto out;
  why = failed == HPE_INVALID_METHOD ? &unknown_method
        : !p.complete                ? &malformed
                                     : NULL;
  if (why)
    goto out;
  why = &bad_name;
  if (!check_names(&p))
    goto out;
  /* A line that llhttp did not see as a field of its own. */
  why = &malformed;
  if (head.field_count + 1 != lines)
    goto out;
  why = check_line(&p);
  if (why)
    goto out;
  why = split_target(&head, p.url, &authority);
  if (why)
    goto out;
  why = check_target(&head);
  if (why)
    goto out;
  why = read_fields(&head, authority);
  if (why)
    goto out;
  *out_head = head;
  return true;
out:
  *out_refusal = why;
  return false;
}

tti_slice http_head_field(const http_head *head, tti_slice name, size_t n) {
  for (size_t i = 0; i < head->field_count; i++) {
    const http_field *f = &head->fields[i];
    if (f->name_len == name.len &&
        tti_slice_eq_nocase((tti_slice){head->bytes + f->name, f->name_len},
                            name) &&
        n-- == 0)
      return (tti_slice){head->bytes + f->value, f->value_len};
  }
  return (tti_slice){NULL, 0};
}
