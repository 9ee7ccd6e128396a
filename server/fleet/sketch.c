#include "server/fleet/sketch.h"

#include "lib/base/varint.h"
#include <math.h>
#include <stdlib.h>

/* A class of error e has the bounds g^i and g^(i+1) with g = (1+e)/(1-e). */
#define ERROR    0.02
#define SMALLEST 1e-9
#define LARGEST  1e15

static double log_growth(void) {
  return log((1 + ERROR) / (1 - ERROR));
}

static int32_t lowest(void) {
  return (int32_t)ceil(log(SMALLEST) / log_growth());
}

static int32_t class_of(double number) {
  double size = fabs(number);
  if (!(size >= SMALLEST))
    return 0;
  if (size > LARGEST)
    size = LARGEST;
  int32_t id = (int32_t)ceil(log(size) / log_growth()) - lowest() + 1;
  return number < 0 ? -id : id;
}

/* As far from its lower bound as from its upper one, relatively. */
static double middle_of(int32_t id) {
  if (id == 0)
    return 0;
  double upper = exp((abs(id) + lowest() - 1) * log_growth());
  double middle = upper * (1 - ERROR);
  return id < 0 ? -middle : middle;
}

void fleet_sketch_fini(fleet_sketch *s) {
  free(s->classes);
  *s = (fleet_sketch){0};
}

/* The first class that is not below `id`. */
static size_t place_of(const fleet_sketch *s, int32_t id) {
  size_t from = 0, to = s->count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (s->classes[middle].id < id)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

static bool grow(fleet_sketch *s) {
  size_t capacity = s->capacity ? s->capacity * 2 : 8;
  fleet_sketch_class *more = realloc(s->classes, capacity * sizeof *s->classes);
  if (!more)
    return false;
  s->classes = more;
  s->capacity = capacity;
  return true;
}

static bool add(fleet_sketch *s, int32_t id, uint64_t count) {
  size_t at = place_of(s, id);
  if (at < s->count && s->classes[at].id == id) {
    s->classes[at].count += count;
    return true;
  }
  if (s->count == s->capacity && !grow(s))
    return false;
  memmove(s->classes + at + 1, s->classes + at,
          (s->count - at) * sizeof *s->classes);
  s->classes[at] = (fleet_sketch_class){id, count};
  s->count++;
  return true;
}

bool fleet_sketch_add(fleet_sketch *s, double number) {
  return add(s, class_of(number), 1);
}

bool fleet_sketch_merge(fleet_sketch *s, const fleet_sketch *from) {
  for (size_t i = 0; i < from->count; i++)
    if (!add(s, from->classes[i].id, from->classes[i].count))
      return false;
  return true;
}

double fleet_sketch_quantile(const fleet_sketch *s, double share) {
  uint64_t all = 0, seen = 0;
  for (size_t i = 0; i < s->count; i++)
    all += s->classes[i].count;
  double rank = share * (double)all;
  for (size_t i = 0; i < s->count; i++) {
    seen += s->classes[i].count;
    if ((double)seen >= rank)
      return middle_of(s->classes[i].id);
  }
  return 0;
}

void fleet_sketch_write(const fleet_sketch *s, tti_buf *out) {
  int32_t before = 0;
  for (size_t i = 0; i < s->count; i++) {
    tti_varint_put(out, tti_varint_fold(s->classes[i].id - before));
    tti_varint_put(out, s->classes[i].count);
    before = s->classes[i].id;
  }
}

tt_error fleet_sketch_read(fleet_sketch *s, tti_slice bytes) {
  tti_bytes in = tti_bytes_of(bytes);
  int64_t id = 0, end = class_of(LARGEST);
  while (in.at < in.end) {
    int64_t step = tti_varint_unfold(tti_varint_take(&in));
    uint64_t count = tti_varint_take(&in);
    if (in.bad || step < -end || step > 2 * end)
      return TT_ECORRUPT;
    id += step;
    if (id < -end || id > end)
      return TT_ECORRUPT;
    if (!add(s, (int32_t)id, count))
      return TT_ENOMEM;
  }
  return TT_OK;
}
