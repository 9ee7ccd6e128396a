#include "server/http/framing.h"

/*            digit          ;
 *  SIZE_FIRST ──► SIZE ──────────► EXTENSION
 *      ▲           │ CR               │ CR
 *      │           ▼                  │
 *      │        SIZE_LF ◄─────────────┘
 *      │           │ LF, size > 0          LF, size 0
 *      │ LF        ▼                          ▼
 *   DATA_LF ◄── DATA_CR ◄── DATA        TRAILER_START ──► END_LF ──► END
 *                                          ▲    │          CR
 *                                 TRAILER_LF ◄─ TRAILER_NAME/_VALUE */
enum {
  LENGTH,
  SIZE_FIRST,
  SIZE,
  EXTENSION,
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  TRAILER_START,
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_LF,
  END_LF,
  END
};

#define SIZE_DIGITS_MAX 15
#define EXTRA_MAX       8192

static const http_refusal bad_size = {
    400, "bad_request", "a chunk's size is not a hexadecimal number"};
static const http_refusal bad_end = {
    400, "bad_request", "a chunk does not end in CR LF where its size says"};
static const http_refusal bad_trailer = {
    400, "bad_request", "a trailer of the chunked body is malformed"};
static const http_refusal too_much = {
    400, "bad_request",
    "the chunk extensions and trailers of the body exceed 8 KiB"};

void http_framing_init(http_framing *framing, const http_head *head) {
  *framing = (http_framing){.left = head->length,
                            .state = head->chunked       ? SIZE_FIRST
                                     : head->length == 0 ? END
                                                         : LENGTH};
}

static int hex_value(unsigned char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const http_refusal *extra(http_framing *f) {
  return ++f->extra_bytes > EXTRA_MAX ? &too_much : NULL;
}

static const http_refusal *size_byte(http_framing *f, unsigned char c) {
  int value = hex_value(c);
  if (value >= 0) {
    f->left = f->left * 16 + (unsigned)value;
    f->state = SIZE;
    return ++f->digits > SIZE_DIGITS_MAX ? &bad_size : NULL;
  }
  if (f->state == SIZE && c == '\r')
    f->state = SIZE_LF;
  else if (f->state == SIZE && c == ';')
    f->state = EXTENSION;
  else
    return &bad_size;
  return NULL;
}

static const http_refusal *trailer_byte(http_framing *f, unsigned char c) {
  bool text = c == '\t' || (c >= 0x20 && c != 0x7f);
  if (c == '\r' && f->state == TRAILER_START)
    f->state = END_LF;
  else if (c == '\r' && f->state == TRAILER_VALUE)
    f->state = TRAILER_LF;
  else if (c == ':' && f->state == TRAILER_NAME)
    f->state = TRAILER_VALUE;
  else if (!text ||
           (f->state != TRAILER_VALUE && (c <= 0x20 || c >= 0x7f || c == ':')))
    return &bad_trailer;
  else if (f->state == TRAILER_START)
    f->state = TRAILER_NAME;
  return extra(f);
}

/* One byte of the framing; NULL: fine. */
static const http_refusal *frame_byte(http_framing *f, unsigned char c) {
  switch (f->state) {
  case SIZE_FIRST:
  case SIZE:
    return size_byte(f, c);
  case EXTENSION:
    if (c == '\r')
      f->state = SIZE_LF;
    else if ((c < 0x20 && c != '\t') || c == 0x7f)
      return &bad_size;
    return extra(f);
  case SIZE_LF:
    f->digits = 0;
    f->state = f->left ? DATA : TRAILER_START;
    return c == '\n' ? NULL : &bad_size;
  case DATA_CR:
    f->state = DATA_LF;
    return c == '\r' ? NULL : &bad_end;
  case DATA_LF:
    f->state = SIZE_FIRST;
    return c == '\n' ? NULL : &bad_end;
  case TRAILER_START:
  case TRAILER_NAME:
  case TRAILER_VALUE:
    return trailer_byte(f, c);
  case TRAILER_LF:
    f->state = TRAILER_START;
    return c == '\n' ? NULL : &bad_trailer;
  default: /* END_LF */
    f->state = END;
    return c == '\n' ? NULL : &bad_trailer;
  }
}

http_framed http_framing_next(http_framing *f, tti_slice *rest,
                              tti_slice *out_data,
                              const http_refusal **out_refusal) {
  while (f->state != END) {
    if (rest->len == 0)
      return HTTP_FRAMED_MORE;
    if (f->state == LENGTH || f->state == DATA) {
      size_t take = rest->len < f->left ? rest->len : (size_t)f->left;
      *out_data = (tti_slice){rest->ptr, take};
      f->left -= take;
      if (f->left == 0)
        f->state = f->state == DATA ? DATA_CR : END;
      *rest = (tti_slice){rest->ptr + take, rest->len - take};
      return HTTP_FRAMED_DATA;
    }
    const http_refusal *why = frame_byte(f, (unsigned char)rest->ptr[0]);
    if (why) {
      *out_refusal = why;
      return HTTP_FRAMED_REFUSED;
    }
    *rest = (tti_slice){rest->ptr + 1, rest->len - 1};
  }
  return HTTP_FRAMED_END;
}
