#include "lib/base/time.h"

#include <time.h>

static int64_t read_clock_us(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t system_wall_us(void *context) {
  (void)context;
  return read_clock_us(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(void *context) {
  (void)context;
  return read_clock_us(CLOCK_MONOTONIC);
}

const tti_clock tti_clock_system = {system_wall_us, system_monotonic_us, NULL};

/* Days since 1970-01-01 of a proleptic Gregorian date, by the era method (400
 * years are 146,097 days; March is month 0, so the leap day comes last). */
static int64_t days_of(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  unsigned year_of_era = (unsigned)(year - era * 400);
  unsigned day_of_year =
      (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
  unsigned day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + (int64_t)day_of_era - 719468;
}

static void date_of(int64_t days, int64_t *year, unsigned *month,
                    unsigned *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  unsigned doe = (unsigned)(days - era * 146097);
  unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  unsigned mp = (5 * doy + 2) / 153;
  *day = doy - (153 * mp + 2) / 5 + 1;
  *month = mp < 10 ? mp + 3 : mp - 9;
  *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

static char *put(char *at, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; i--) {
    at[i] = (char)('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

#define YEAR_1_US    (-62135596800LL * 1000000)
#define YEAR_9999_US (253402300799LL * 1000000 + 999999)

size_t tti_rfc3339_format(int64_t unix_us, char out_text[TTI_RFC3339_MAX]) {
  if (unix_us < YEAR_1_US)
    unix_us = YEAR_1_US;
  if (unix_us > YEAR_9999_US)
    unix_us = YEAR_9999_US;
  int64_t day_us = 86400LL * 1000000;
  int64_t days = unix_us / day_us;
  int64_t rest = unix_us % day_us;
  if (rest < 0) {
    rest += day_us;
    days--;
  }
  int64_t year;
  unsigned month, day;
  date_of(days, &year, &month, &day);
  unsigned seconds = (unsigned)(rest / 1000000);
  char *at = put(out_text, (unsigned)year, 4);
  *at++ = '-';
  at = put(at, month, 2);
  *at++ = '-';
  at = put(at, day, 2);
  *at++ = 'T';
  at = put(at, seconds / 3600, 2);
  *at++ = ':';
  at = put(at, seconds / 60 % 60, 2);
  *at++ = ':';
  at = put(at, seconds % 60, 2);
  *at++ = '.';
  at = put(at, (unsigned)(rest % 1000000), 6);
  *at++ = 'Z';
  *at = '\0';
  return (size_t)(at - out_text);
}

static bool number(tti_slice *s, int digits, unsigned *out_value) {
  unsigned value = 0;
  if (s->len < (size_t)digits)
    return false;
  for (int i = 0; i < digits; i++) {
    unsigned d = (unsigned)(s->ptr[i] - '0');
    if (d > 9)
      return false;
    value = value * 10 + d;
  }
  s->ptr += digits;
  s->len -= (size_t)digits;
  *out_value = value;
  return true;
}

static bool one_of(tti_slice *s, const char *set, char *out_char) {
  if (s->len == 0 || s->ptr[0] == '\0' || !strchr(set, s->ptr[0]))
    return false;
  *out_char = s->ptr[0];
  s->ptr++;
  s->len--;
  return true;
}

static unsigned days_in(unsigned year, unsigned month) {
  static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                       31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : days[month - 1];
}

static bool fraction(tti_slice *s, int64_t *out_us) {
  int64_t us = 0, unit = 100000;
  size_t digits = 0;
  while (s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9') {
    us += (s->ptr[0] - '0') * unit;
    unit /= 10;
    s->ptr++;
    s->len--;
    digits++;
  }
  *out_us = us;
  return digits > 0;
}

bool tti_rfc3339_parse(tti_slice s, int64_t *out_unix_us) {
  unsigned year, month, day, hour, minute, second;
  unsigned offset_hour = 0, offset_minute = 0;
  int64_t us = 0;
  char c, sign;
  if (!number(&s, 4, &year) || !one_of(&s, "-", &c) || !number(&s, 2, &month) ||
      !one_of(&s, "-", &c) || !number(&s, 2, &day) || !one_of(&s, "Tt ", &c) ||
      !number(&s, 2, &hour) || !one_of(&s, ":", &c) ||
      !number(&s, 2, &minute) || !one_of(&s, ":", &c) ||
      !number(&s, 2, &second))
    return false;
  if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) ||
      hour > 23 || minute > 59 || second > 60)
    return false;
  if (s.len && s.ptr[0] == '.') {
    s.ptr++;
    s.len--;
    if (!fraction(&s, &us))
      return false;
  }
  if (!one_of(&s, "Zz+-", &sign))
    return false;
  if (sign == '+' || sign == '-') {
    if (!number(&s, 2, &offset_hour) || !one_of(&s, ":", &c) ||
        !number(&s, 2, &offset_minute) || offset_hour > 23 ||
        offset_minute > 59)
      return false;
  }
  if (s.len)
    return false;
  if (second == 60)
    second = 59;
  int64_t offset = (int64_t)offset_hour * 3600 + offset_minute * 60;
  int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 +
                    minute * 60 + second - (sign == '-' ? -offset : offset);
  *out_unix_us = seconds * 1000000 + us;
  return true;
}
