#include "lib/json/scan.h"

#include "lib/json/bytes.h"

/* Marks a failure; NULL, so that a walker can return what it returns. */
static const char *malformed(tti_json_scan *s, const char *at,
                             const char *reason) {
  s->error = (tti_json_error){(size_t)(at - s->begin), reason, -1};
  return NULL;
}

static const char ends_early[] = "the text ends too early";
static const char no_comma[] = "a comma or a closing bracket is missing";
static const char too_deep[] = "nested deeper than 128";

static const char *slow_space(tti_json_scan *s, const char *p) {
  for (; p < s->end; p++) {
    if (*p == ' ')
      p = tti_json_spaces(p, s->end) - 1;
    else if (*p == '\n' || *p == '\r')
      s->line_breaks = true;
    else if (*p != '\t')
      break;
  }
  return p;
}

static inline const char *skip_space(tti_json_scan *s, const char *p) {
  if (__builtin_expect(p < s->end && (unsigned char)*p > ' ', 1))
    return p;
  return slow_space(s, p);
}

static bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
         (c >= 'A' && c <= 'F');
}

/* p is at a backslash. */
static const char *skip_escape(tti_json_scan *s, const char *p) {
  s->escaped = true;
  if (s->end - p < 2)
    return malformed(s, s->end, ends_early);
  switch (p[1]) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't':
    return p + 2;
  case 'u':
    for (int i = 2; i < 6; i++) {
      if (p + i == s->end)
        return malformed(s, s->end, ends_early);
      if (!is_hex(p[i]))
        return malformed(s, p, "\\u wants four hexadecimal digits");
    }
    return p + 6;
  default:
    return malformed(s, p, "an escape that JSON does not have");
  }
}

/* p is at a special byte inside a string that is not its closing quote. */
static const char *skip_special(tti_json_scan *s, const char *p) {
  if (*p == '\\')
    return skip_escape(s, p);
  if ((unsigned char)*p < 0x20)
    return malformed(s, p, "a control character in a string must be escaped");
  do {
    size_t len = tti_json_utf8(p, s->end);
    if (len == 0)
      return malformed(s, p, "not valid UTF-8");
    p += len;
  } while (p < s->end && (unsigned char)*p >= 0x80);
  return p;
}

/* p is after the opening quote; answers the place after the closing one. */
static inline const char *skip_string(tti_json_scan *s, const char *p) {
  for (;;) {
    p = tti_json_plain(p, s->end);
    if (p == s->end)
      return malformed(s, p, ends_early);
    if (__builtin_expect(*p == '"', 1))
      return p + 1;
    p = skip_special(s, p);
    if (!p)
      return NULL;
  }
}

/* The same for a key. Keys come again and again, so the processor foretells a
 * jump to the code for this one's length and goes on from an address it knows;
 * p + length it would have to wait for (250 B events: half as fast again). The
 * empty asm keeps the compiler from folding the cases back into that sum. */
static inline const char *skip_key_string(tti_json_scan *s, const char *p) {
#if defined(__SSE2__) && !defined(TELLTALE_JSON_PORTABLE)
#define LENGTH(n)                                                              \
  case n:                                                                      \
    at = p + (n);                                                              \
    __asm__("" : "+r"(at));                                                    \
    break;
  unsigned mask = s->end - p >= 16 ? tti_json_special_mask(p) : 0;
  if (mask) {
    const char *at = p;
    switch (__builtin_ctz(mask)) {
      LENGTH(1)
      LENGTH(2)
      LENGTH(3)
      LENGTH(4)
      LENGTH(5)
      LENGTH(6)
      LENGTH(7)
      LENGTH(8)
      LENGTH(9)
      LENGTH(10)
      LENGTH(11)
      LENGTH(12)
      LENGTH(13)
      LENGTH(14)
      LENGTH(15)
    default:
      break;
    }
    if (*at == '"')
      return at + 1;
  }
#undef LENGTH
#endif
  return skip_string(s, p);
}

static inline bool is_digit(char c) {
  return (unsigned char)(c - '0') <= 9;
}

static inline const char *skip_digits(tti_json_scan *s, const char *p) {
  const char *first = p;
  p = tti_json_digits(p, s->end);
  if (__builtin_expect(p > first, 1))
    return p;
  return malformed(s, p,
                   p == s->end ? ends_early : "a digit is missing in a number");
}

/* p is at the minus or the first digit. */
static inline const char *skip_number(tti_json_scan *s, const char *p) {
  if (*p == '-')
    p++;
  const char *first = p;
  p = skip_digits(s, p);
  if (!p)
    return NULL;
  if (*first == '0' && p - first > 1)
    return malformed(s, first, "a number must not begin with 0");
  if (p < s->end && *p == '.') {
    p = skip_digits(s, p + 1);
    if (!p)
      return NULL;
  }
  if (p < s->end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < s->end && (*p == '+' || *p == '-'))
      p++;
    p = skip_digits(s, p);
  }
  return p;
}

static const char *skip_word(tti_json_scan *s, const char *p, const char *word,
                             size_t len) {
  if ((size_t)(s->end - p) >= len && memcmp(p, word, len) == 0)
    return p + len;
  return malformed(s, p, "not a JSON value");
}

static const char *skip_literal(tti_json_scan *s, const char *p) {
  switch (*p) {
  case 't':
    return skip_word(s, p, "true", 4);
  case 'f':
    return skip_word(s, p, "false", 5);
  case 'n':
    return skip_word(s, p, "null", 4);
  default:
    return malformed(s, p, "not a JSON value");
  }
}

static inline const char *skip_scalar(tti_json_scan *s, const char *p) {
  if (p == s->end)
    return malformed(s, p, ends_early);
  if (*p == '"')
    return skip_string(s, p + 1);
  if (is_digit(*p) || *p == '-')
    return skip_number(s, p);
  return skip_literal(s, p);
}

/* A key and its colon; answers the place where the value begins. */
static inline const char *skip_key(tti_json_scan *s, const char *p) {
  if (p == s->end)
    return malformed(s, p, ends_early);
  if (*p != '"')
    return malformed(s, p, "a key in double quotes is missing");
  p = skip_key_string(s, p + 1);
  if (!p)
    return NULL;
  p = skip_space(s, p);
  if (p == s->end)
    return malformed(s, p, ends_early);
  if (*p != ':')
    return malformed(s, p, "a colon is missing after a key");
  return skip_space(s, p + 1);
}

/* Whether a container opens at p. The brackets differ in one bit. */
static inline bool is_opener(const tti_json_scan *s, const char *p) {
  return p < s->end && (*p | 0x20) == '{';
}

/* The two runs below read what a container holds from p on, where an item of
 * it begins, to the first bracket, and answer the place of that: a container
 * opens as an item, or this one ends. They are two for speed: in each, the
 * branches learn what usually comes next. */
static inline const char *skip_members(tti_json_scan *s, const char *p) {
  for (;;) {
    p = skip_key(s, p);
    if (!p || is_opener(s, p))
      return p;
    p = skip_scalar(s, p);
    if (!p)
      return NULL;
    p = skip_space(s, p);
    if (p == s->end)
      return malformed(s, p, ends_early);
    if (*p != ',')
      return *p == '}' ? p : malformed(s, p, no_comma);
    p = skip_space(s, p + 1);
  }
}

static inline const char *skip_items(tti_json_scan *s, const char *p) {
  for (;;) {
    if (is_opener(s, p))
      return p;
    p = skip_scalar(s, p);
    if (!p)
      return NULL;
    p = skip_space(s, p);
    if (p == s->end)
      return malformed(s, p, ends_early);
    if (*p != ',')
      return *p == ']' ? p : malformed(s, p, no_comma);
    p = skip_space(s, p + 1);
  }
}

/* Validates the container that opens at p; answers the place after it. An
 * explicit stack of one byte a level stands in for recursion. */
static const char *skip_container(tti_json_scan *s, const char *p) {
  char closers[TTI_JSON_MAX_DEPTH + 2];
  unsigned base = s->depth, depth = base;
  for (;;) {
    /* One opens at p. ']' and '}' come two after '[' and '{'. */
    if (depth == s->max_depth)
      return malformed(s, p, too_deep);
    char closer = (char)(*p + 2);
    closers[++depth] = closer;
    p = skip_space(s, p + 1);
    bool closes = p < s->end && *p == closer;
    for (;;) {
      if (!closes) {
        p = closer == '}' ? skip_members(s, p) : skip_items(s, p);
        if (!p)
          return NULL;
        if (*p != closer)
          break;
      }
      p++;
      if (--depth == base)
        return p;
      closer = closers[depth];
      p = skip_space(s, p);
      if (p == s->end)
        return malformed(s, p, ends_early);
      closes = *p == closer;
      if (!closes && *p != ',')
        return malformed(s, p, no_comma);
      if (!closes)
        p = skip_space(s, p + 1);
    }
  }
}

/* Validates one value at p, which is not whitespace; answers the place after
 * it. */
static inline const char *skip_value(tti_json_scan *s, const char *p) {
  return is_opener(s, p) ? skip_container(s, p) : skip_scalar(s, p);
}

static tti_json_type type_of(char first) {
  switch (first) {
  case '"':
    return TTI_JSON_STRING;
  case '{':
    return TTI_JSON_OBJECT;
  case '[':
    return TTI_JSON_ARRAY;
  case 't':
    return TTI_JSON_TRUE;
  case 'f':
    return TTI_JSON_FALSE;
  case 'n':
    return TTI_JSON_NULL;
  default:
    return TTI_JSON_NUMBER;
  }
}

/* skip_value, and what it found. */
static inline const char *read_value(tti_json_scan *s, const char *p,
                                     tti_json_value *out_value) {
  s->escaped = false;
  s->line_breaks = false;
  const char *end = skip_value(s, p);
  if (!end)
    return NULL;
  out_value->type = type_of(*p);
  out_value->escaped = s->escaped;
  out_value->line_breaks = s->line_breaks;
  out_value->text = (tti_slice){p, (size_t)(end - p)};
  return end;
}

/* Takes a walker's answer; false when it failed. */
static bool move_to(tti_json_scan *s, const char *p) {
  if (!p)
    return false;
  s->at = p;
  return true;
}

void tti_json_scan_init(tti_json_scan *s, tti_slice text) {
  /* Pointers are compared and subtracted, so an empty text needs one too. */
  const char *begin = text.ptr ? text.ptr : "";
  *s = (tti_json_scan){.begin = begin,
                       .at = begin,
                       .end = begin + text.len,
                       .max_depth = TTI_JSON_MAX_DEPTH,
                       .error = {0, NULL, -1}};
}

bool tti_json_scan_value(tti_json_scan *s, tti_json_value *out_value) {
  if (tti_json_scan_failed(s))
    return false;
  return move_to(s, read_value(s, skip_space(s, s->at), out_value));
}

bool tti_json_scan_end(tti_json_scan *s) {
  if (tti_json_scan_failed(s))
    return false;
  s->at = skip_space(s, s->at);
  if (s->at == s->end)
    return true;
  malformed(s, s->at, "bytes follow the value");
  return false;
}

static bool open_container(tti_json_scan *s, char opener, const char *reason) {
  if (tti_json_scan_failed(s))
    return false;
  const char *p = skip_space(s, s->at);
  if (p == s->end)
    malformed(s, p, ends_early);
  else if (*p != opener)
    malformed(s, p, reason);
  else if (s->depth == s->max_depth)
    malformed(s, p, too_deep);
  if (tti_json_scan_failed(s))
    return false;
  s->at = p + 1;
  s->depth++;
  s->fresh = true;
  return true;
}

/* Steps over a comma, or over the closer, which answers false. */
static bool next_in_container(tti_json_scan *s, char closer) {
  if (tti_json_scan_failed(s))
    return false;
  const char *p = skip_space(s, s->at);
  bool fresh = s->fresh;
  s->fresh = false;
  if (p == s->end) {
    malformed(s, p, ends_early);
    return false;
  }
  if (*p == closer) {
    s->at = p + 1;
    s->depth--;
    return false;
  }
  if (!fresh && *p != ',') {
    malformed(s, p, no_comma);
    return false;
  }
  s->at = skip_space(s, fresh ? p : p + 1);
  return true;
}

bool tti_json_scan_open_array(tti_json_scan *s) {
  return open_container(s, '[', "an array is wanted");
}

bool tti_json_scan_item(tti_json_scan *s) {
  return next_in_container(s, ']');
}

bool tti_json_scan_open_object(tti_json_scan *s) {
  return open_container(s, '{', "an object is wanted");
}

static const char *read_key(tti_json_scan *s, const char *p,
                            tti_json_value *out_key) {
  const char *begin = p;
  s->escaped = false;
  if (p < s->end && *p == '"') {
    p = skip_key_string(s, p + 1);
    if (!p)
      return NULL;
    *out_key = (tti_json_value){
        TTI_JSON_STRING, s->escaped, false, {begin, (size_t)(p - begin)}};
    p = skip_space(s, p);
    if (p < s->end && *p == ':')
      return skip_space(s, p + 1);
  }
  if (p == s->end)
    return malformed(s, p, ends_early);
  return malformed(s, p,
                   p == begin ? "a key in double quotes is missing"
                              : "a colon is missing after a key");
}

bool tti_json_scan_member(tti_json_scan *s, tti_json_value *out_key) {
  if (!next_in_container(s, '}'))
    return false;
  return move_to(s, read_key(s, s->at, out_key));
}

void tti_json_names_init(tti_json_names *table, const tti_slice *names,
                         size_t count) {
  memset(table, 0, sizeof(*table));
  table->names = names;
  table->count = count;
  for (size_t i = 0; i < count; i++)
    table->of_length[names[i].len] |= (uint32_t)1 << i;
}

static inline int find_name(const tti_json_names *table, const char *ptr,
                            size_t len) {
  if (len > TTI_JSON_NAME_LEN_MAX)
    return -1;
  for (uint32_t left = table->of_length[len]; left; left &= left - 1) {
    int i = __builtin_ctz(left);
    if (memcmp(table->names[i].ptr, ptr, len) == 0)
      return i;
  }
  return -1;
}

/* A key with escapes: "\u0073ource" is source. */
static int find_escaped_name(const tti_json_names *table, tti_slice quoted) {
  char text[TTI_JSON_NAME_LEN_MAX * 6 + 2];
  size_t len;
  if (quoted.len > sizeof(text) ||
      tti_json_decode(quoted, text, &len, NULL) != TT_OK)
    return -1;
  return find_name(table, text, len);
}

/* One member; answers the place after it. */
static inline const char *read_member(tti_json_scan *s, const char *p,
                                      const tti_json_names *names,
                                      tti_json_value *out_values) {
  const char *begin = p;
  tti_json_value key;
  p = read_key(s, p, &key);
  if (!p)
    return NULL;
  tti_slice inside = tti_json_inside(key.text);
  int i = key.escaped ? find_escaped_name(names, key.text)
                      : find_name(names, inside.ptr, inside.len);
  if (i < 0)
    return skip_value(s, p);
  if (out_values[i].type != TTI_JSON_NONE) {
    malformed(s, begin, "a key is given twice");
    s->error.name = i;
    return NULL;
  }
  return read_value(s, p, &out_values[i]);
}

bool tti_json_scan_fields(tti_json_scan *s, const tti_json_names *names,
                          tti_json_value *out_values) {
  for (size_t i = 0; i < names->count; i++)
    out_values[i] = (tti_json_value){0};
  if (!tti_json_scan_open_object(s))
    return false;
  while (next_in_container(s, '}'))
    if (!move_to(s, read_member(s, s->at, names, out_values)))
      return false;
  return !tti_json_scan_failed(s);
}

static tt_error verdict(const tti_json_scan *s, tti_json_error *out_error) {
  if (!tti_json_scan_failed(s))
    return TT_OK;
  if (out_error)
    *out_error = s->error;
  return TT_EPARSE;
}

tt_error tti_json_check(tti_slice text, tti_json_value *out_value,
                        tti_json_error *out_error) {
  tti_json_scan s;
  tti_json_value value;
  tti_json_scan_init(&s, text);
  if (tti_json_scan_value(&s, &value) && tti_json_scan_end(&s) && out_value)
    *out_value = value;
  return verdict(&s, out_error);
}

tt_error tti_json_check_fields(tti_slice text, const tti_json_names *names,
                               tti_json_value *out_values,
                               tti_json_error *out_error) {
  tti_json_scan s;
  tti_json_scan_init(&s, text);
  if (tti_json_scan_fields(&s, names, out_values))
    tti_json_scan_end(&s);
  return verdict(&s, out_error);
}
