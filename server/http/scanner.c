#include "server/http/head.h"

static const http_refusal too_large = {
    431, "head_too_large",
    "the request line and headers exceed the limit; send fewer or shorter "
    "headers"};
static const http_refusal bad_start = {
    400, "bad_request", "the bytes do not start with an HTTP/1.1 request line"};
static const http_refusal control = {
    400, "bad_request", "a control character stands in the request head"};
static const http_refusal lone_cr = {
    400, "bad_request", "a CR without LF stands in the request head"};
static const http_refusal lone_lf = {
    400, "bad_request",
    "a line of the request head ends in LF alone; end lines with CR LF"};
static const http_refusal folded = {
    400, "bad_request",
    "a header line starts with a space; folded header lines are not allowed"};
static const http_refusal empty_lines = {
    400, "bad_request", "more than one empty line before the request line"};

/* Eight bytes that all stand for themselves: none below 0x20, no DEL. */
static bool plain_word(const char *at) {
  const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
  uint64_t word;
  memcpy(&word, at, 8);
  uint64_t del = word ^ (ones * 0x7f);
  /* False alarms only send us down the slow path. */
  return !((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & highs);
}

static http_scan refuse(const http_refusal *why, const http_refusal **out) {
  *out = why;
  return HTTP_SCAN_REFUSED;
}

/* The LF at s->at ends a line. */
static http_scan line_end(http_scanner *s, const http_refusal **out) {
  bool empty = s->at - 1 == s->line;
  s->at++;
  s->line = s->at;
  s->after_cr = false;
  if (!empty) {
    s->lines++;
    return HTTP_SCAN_MORE;
  }
  if (s->lines)
    return HTTP_SCAN_DONE;
  if (s->start)
    return refuse(&empty_lines, out);
  /* Some clients send CR LF behind a body. RFC 9112, 2.2. */
  s->start = s->at;
  return HTTP_SCAN_MORE;
}

http_scan http_scanner_run(http_scanner *s, const char *bytes, size_t len,
                           size_t max_bytes, const http_refusal **out_refusal) {
  size_t end = len < max_bytes ? len : max_bytes;
  while (s->at < end) {
    unsigned char c = (unsigned char)bytes[s->at];
    if (s->after_cr) {
      if (c != '\n')
        return refuse(&lone_cr, out_refusal);
      http_scan scan = line_end(s, out_refusal);
      if (scan != HTTP_SCAN_MORE)
        return scan;
      continue;
    }
    if (s->at == s->line) {
      if (s->lines == 0 && c != '\r' && c != '\n' && (c < 'A' || c > 'Z'))
        return refuse(&bad_start, out_refusal);
      if (c == ' ' || c == '\t')
        return refuse(&folded, out_refusal);
    }
    if (c == '\r') {
      s->after_cr = true;
    } else if (c == '\n') {
      return refuse(&lone_lf, out_refusal);
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
      return refuse(&control, out_refusal);
    } else {
      while (end - s->at > 8 && plain_word(bytes + s->at + 1))
        s->at += 8;
    }
    s->at++;
  }
  if (s->at >= max_bytes)
    return refuse(&too_large, out_refusal);
  return HTTP_SCAN_MORE;
}
