#include "server/fleet/distinct.h"

#include "lib/base/varint.h"
#include <math.h>
#include <stdlib.h>

/* The upper bits of a hash choose its register, which keeps the greatest rank
 * (leading zeros of the others, and one) that came: at most 22, in 5 bits. */
enum { INDEX_BITS = 11, RANK_BITS = 5, HASH_BITS = 32 };
enum { RANK_MAX = HASH_BITS - INDEX_BITS + 1 };
enum { FORM_HASHES, FORM_REGISTERS };

void fleet_distinct_fini(fleet_distinct *d) {
  free(d->hashes);
  free(d->registers);
  *d = (fleet_distinct){0};
}

/* The finish of MurmurHash3: neighbours end far from each other. */
static uint32_t hash_of(uint64_t id) {
  id = (id ^ id >> 33) * UINT64_C(0xff51afd7ed558ccd);
  id = (id ^ id >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return (uint32_t)((id ^ id >> 33) >> 32);
}

/* ---- Registers ---- */

static void note(unsigned char *registers, size_t index, unsigned char rank) {
  if (registers[index] < rank)
    registers[index] = rank;
}

static void note_hash(unsigned char *registers, uint32_t hash) {
  unsigned char rank = 1;
  for (uint32_t rest = hash << INDEX_BITS; rank < RANK_MAX && !(rest >> 31);
       rest <<= 1)
    rank++;
  note(registers, hash >> (HASH_BITS - INDEX_BITS), rank);
}

static bool use_registers(fleet_distinct *d) {
  if (d->registers)
    return true;
  d->registers = calloc(FLEET_DISTINCT_REGISTERS, 1);
  if (!d->registers)
    return false;
  for (size_t i = 0; i < d->count; i++)
    note_hash(d->registers, d->hashes[i]);
  free(d->hashes);
  d->hashes = NULL;
  d->count = d->capacity = 0;
  return true;
}

/* ---- Hashes ---- */

static bool grow(fleet_distinct *d) {
  size_t capacity = d->capacity ? d->capacity * 2 : 4;
  uint32_t *more = realloc(d->hashes, capacity * sizeof *more);
  if (!more)
    return false;
  d->hashes = more;
  d->capacity = capacity;
  return true;
}

static bool add_hash(fleet_distinct *d, uint32_t hash) {
  size_t from = 0, to = d->count;
  if (d->registers) {
    note_hash(d->registers, hash);
    return true;
  }
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (d->hashes[middle] < hash)
      from = middle + 1;
    else
      to = middle;
  }
  if (from < d->count && d->hashes[from] == hash)
    return true;
  if (d->count == FLEET_DISTINCT_EXACT)
    return use_registers(d) && add_hash(d, hash);
  if (d->count == d->capacity && !grow(d))
    return false;
  memmove(d->hashes + from + 1, d->hashes + from,
          (d->count - from) * sizeof *d->hashes);
  d->hashes[from] = hash;
  d->count++;
  return true;
}

bool fleet_distinct_add(fleet_distinct *d, uint64_t id) {
  return add_hash(d, hash_of(id));
}

bool fleet_distinct_merge(fleet_distinct *d, const fleet_distinct *from) {
  if (from->registers) {
    if (!use_registers(d))
      return false;
    for (size_t i = 0; i < FLEET_DISTINCT_REGISTERS; i++)
      note(d->registers, i, from->registers[i]);
  }
  for (size_t i = 0; i < from->count; i++)
    if (!add_hash(d, from->hashes[i]))
      return false;
  return true;
}

/* ---- The estimate ---- */

static double sigma(double x) {
  double y = 1, z = x, before;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

static double tau(double x) {
  double y = 1, z = 1 - x, before;
  if (x <= 0 || x >= 1)
    return 0;
  do {
    x = sqrt(x);
    before = z;
    y /= 2;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

uint64_t fleet_distinct_count(const fleet_distinct *d) {
  double m = FLEET_DISTINCT_REGISTERS;
  unsigned of_rank[RANK_MAX + 1] = {0};
  if (!d->registers)
    return d->count;
  for (size_t i = 0; i < FLEET_DISTINCT_REGISTERS; i++)
    of_rank[d->registers[i]]++;
  double z = m * tau(1 - of_rank[RANK_MAX] / m);
  for (unsigned rank = RANK_MAX - 1; rank >= 1; rank--)
    z = (z + of_rank[rank]) / 2;
  if (of_rank[0] < FLEET_DISTINCT_REGISTERS)
    z += m * sigma(of_rank[0] / m);
  else
    return 0;
  return (uint64_t)llround(m * m / (2 * log(2) * z));
}

/* ---- Bytes ---- */

void fleet_distinct_write(const fleet_distinct *d, tti_buf *out) {
  uint32_t before = 0, bits = 0;
  unsigned held = 0;
  tti_buf_append_char(out, d->registers ? FORM_REGISTERS : FORM_HASHES);
  for (size_t i = 0; i < d->count; i++) {
    tti_varint_put(out, d->hashes[i] - before);
    before = d->hashes[i];
  }
  for (size_t i = 0; d->registers && i < FLEET_DISTINCT_REGISTERS; i++) {
    bits |= (uint32_t)d->registers[i] << held;
    for (held += RANK_BITS; held >= 8; held -= 8, bits >>= 8)
      tti_buf_append_char(out, (char)bits);
  }
}

static tt_error read_hashes(fleet_distinct *d, tti_bytes in) {
  uint64_t hash = 0;
  while (in.at < in.end) {
    hash += tti_varint_take(&in);
    if (in.bad || hash > UINT32_MAX)
      return TT_ECORRUPT;
    if (!add_hash(d, (uint32_t)hash))
      return TT_ENOMEM;
  }
  return TT_OK;
}

static tt_error read_registers(fleet_distinct *d, tti_bytes in) {
  uint32_t bits = 0;
  unsigned held = 0;
  if (in.end - in.at != FLEET_DISTINCT_REGISTERS * RANK_BITS / 8)
    return TT_ECORRUPT;
  if (!use_registers(d))
    return TT_ENOMEM;
  for (size_t i = 0; i < FLEET_DISTINCT_REGISTERS; i++) {
    for (; held < RANK_BITS; held += 8)
      bits |= (uint32_t)*in.at++ << held;
    unsigned char rank = bits & ((1u << RANK_BITS) - 1);
    if (rank > RANK_MAX)
      return TT_ECORRUPT;
    note(d->registers, i, rank);
    bits >>= RANK_BITS;
    held -= RANK_BITS;
  }
  return TT_OK;
}

tt_error fleet_distinct_read(fleet_distinct *d, tti_slice bytes) {
  tti_bytes in = tti_bytes_of(bytes);
  if (in.at == in.end)
    return TT_OK;
  unsigned char form = *in.at++;
  return form == FORM_HASHES      ? read_hashes(d, in)
         : form == FORM_REGISTERS ? read_registers(d, in)
                                  : TT_ECORRUPT;
}
