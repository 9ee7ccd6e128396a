#include "server/config/value.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct unit {
  const char *name;
  uint64_t factor;
} unit;

static const unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000u},
    {"MB", 1000u * 1000u},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
    {"KiB", 1u << 10},
    {"MiB", 1u << 20},
    {"GiB", 1u << 30},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};

static const unit durations[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60u * 1000u},
    {"h", 60u * 60u * 1000u},
    {"d", 24u * 60u * 60u * 1000u},
    {"w", 7u * 24u * 60u * 60u * 1000u},
    {NULL, 0},
};

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* A number and the unit that follows it, off the front of *rest. */
static bool take_quantity(tti_slice *rest, const unit *units,
                          uint64_t *out_value) {
  size_t digits = 0;
  while (digits < rest->len && is_digit(rest->ptr[digits]))
    digits++;
  size_t end = digits;
  while (end < rest->len && !is_digit(rest->ptr[end]))
    end++;
  unsigned long long number;
  if (!tti_slice_to_u64((tti_slice){rest->ptr, digits}, &number))
    return false;
  tti_slice name =
      tti_slice_trim((tti_slice){rest->ptr + digits, end - digits});
  for (const unit *u = units; u->name; u++) {
    if (!tti_slice_eq_nocase(name, tti_slice_of(u->name)))
      continue;
    if (number > UINT64_MAX / u->factor)
      return false;
    *out_value = number * u->factor;
    *rest = (tti_slice){rest->ptr + end, rest->len - end};
    return true;
  }
  return false;
}

bool config_parse_size(tti_slice text, uint64_t *out_bytes) {
  uint64_t value;
  if (!take_quantity(&text, sizes, &value) || text.len)
    return false;
  *out_bytes = value;
  return true;
}

bool config_parse_duration(tti_slice text, uint64_t *out_ms) {
  uint64_t total = 0, part;
  if (tti_slice_eq(text, TTI_SLICE("0"))) {
    *out_ms = 0;
    return true;
  }
  do {
    if (!take_quantity(&text, durations, &part) || part > UINT64_MAX - total)
      return false;
    total += part;
  } while (text.len);
  *out_ms = total;
  return true;
}

/* In the largest unit up to `last` that it is a whole number of. */
static void format_quantity(uint64_t value, const unit *units, const char *last,
                            char out_text[CONFIG_VALUE_MAX]) {
  const unit *best = units;
  for (const unit *u = units; u->name; u++) {
    if (value && value % u->factor == 0 && u->factor >= best->factor)
      best = u;
    if (!strcmp(u->name, last))
      break;
  }
  snprintf(out_text, CONFIG_VALUE_MAX, "%" PRIu64 "%s", value / best->factor,
           value ? best->name : "");
}

void config_format_size(uint64_t bytes, char out_text[CONFIG_VALUE_MAX]) {
  format_quantity(bytes, sizes, "TiB", out_text);
}

/* Without weeks: "7d" is what one writes. */
void config_format_duration(uint64_t ms, char out_text[CONFIG_VALUE_MAX]) {
  format_quantity(ms, durations, "d", out_text);
}

bool config_parse_bool(tti_slice text, bool *out_value) {
  static const char *const words[] = {"false", "true", "no", "yes",
                                      "off",   "on",   "0",  "1"};
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    if (tti_slice_eq_nocase(text, tti_slice_of(words[i]))) {
      *out_value = i % 2 == 1;
      return true;
    }
  }
  return false;
}
