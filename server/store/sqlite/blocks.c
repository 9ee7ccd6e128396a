#include "server/store/sqlite/sqlite.h"

#include "lib/base/hash.h"
#include <stdlib.h>

/* Summaries of rows that change no more. A block is BLOCK_SEQS numbers of a
 * table, counted from its first; its summary says which kinds and levels its
 * rows have, and a Bloom filter which values stand under the five filter keys:
 * a scan for something rare passes over almost every block without reading more
 * of it. Beside that lie the columns (columns.h), from which a scan learns
 * which rows it needs, and which are all that counting needs; and, for a search
 * for text, which four bytes occur in its rows (grams.h). */

#define VALUES_MAX      (5 * BLOCK_SEQS)
#define VALUE_SLOTS     8192 /* a power of two above VALUES_MAX */
#define BITS_A_VALUE    10   /* with 4 probes: 1 % false */
#define PROBES          4
#define BLOOM_MIN_BYTES 64
#define BLOOM_MAX_BYTES 8192

typedef struct summary {
  unsigned kinds;
  unsigned levels;
  size_t count;
  uint64_t values[VALUE_SLOTS]; /* hashes; 0: free */
  columns_builder columns;
  grams grams;
} summary;

/* One hash for a key and its value. FNV-1a goes on where it stopped, so the
 * key's name only separates equal values under different keys. */
static uint64_t value_hash(tti_slice key, tti_slice value) {
  uint64_t hash = tti_hash64(key.ptr, key.len) ^
                  tti_hash64(value.ptr, value.len) * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  return hash ? hash : 1;
}

static void add_value(summary *s, tti_slice key, tti_slice value) {
  uint64_t hash = value_hash(key, value);
  size_t at = hash & (VALUE_SLOTS - 1);
  while (s->values[at] && s->values[at] != hash)
    at = (at + 1) & (VALUE_SLOTS - 1);
  if (!s->values[at])
    s->count++;
  s->values[at] = hash;
}

static void add_record(summary *s, const tti_record *record) {
  s->kinds |= STORE_KIND_BIT(record->kind);
  s->levels |= 1u << record->level;
  add_value(s, TTI_SLICE("source"), record->source);
  add_value(s, TTI_SLICE("channel"), record->category);
  add_value(s, TTI_SLICE("action"), record->type);
  add_value(s, TTI_SLICE("level"), tti_record_level_text(record));
  add_value(s, TTI_SLICE("agent_id"), record->agent_id);
}

/* ---- The Bloom filter: a power of two of bytes ---- */

static size_t bloom_size(size_t values) {
  size_t bytes = BLOOM_MIN_BYTES;
  while (bytes < BLOOM_MAX_BYTES && bytes * 8 < values * BITS_A_VALUE)
    bytes *= 2;
  return bytes;
}

static size_t probe(uint64_t hash, size_t i, size_t bytes) {
  uint64_t step = (hash >> 17) | 1;
  return (size_t)(hash + i * step) & (bytes * 8 - 1);
}

static void bloom_add(unsigned char *bloom, size_t bytes, uint64_t hash) {
  for (size_t i = 0; i < PROBES; i++) {
    size_t bit = probe(hash, i, bytes);
    bloom[bit / 8] |= (unsigned char)(1u << (bit % 8));
  }
}

static bool bloom_has(const unsigned char *bloom, size_t bytes, uint64_t hash) {
  for (size_t i = 0; i < PROBES; i++) {
    size_t bit = probe(hash, i, bytes);
    if (!(bloom[bit / 8] & 1u << (bit % 8)))
      return false;
  }
  return true;
}

/* ---- Writing ---- */

static int read_block(writer *w, const log_table *table, uint64_t from,
                      uint64_t to, summary *out_summary) {
  char sql[128];
  sqlite3_snprintf(sizeof sql, sql,
                   "SELECT seq, received_us, record FROM log_%llu"
                   " WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
                   (unsigned long long)table->id);
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(w->db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  bind_u64(stmt, 1, from);
  bind_u64(stmt, 2, to);
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tti_record record;
    if (tti_record_decode(column_blob(stmt, 2), &record) != TT_OK)
      continue;
    add_record(out_summary, &record);
    columns_add(&out_summary->columns, column_u64(stmt, 0),
                sqlite3_column_int64(stmt, 1), &record);
    grams_add(&out_summary->grams, record.type);
    grams_add(&out_summary->grams, record.data);
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_block(writer *w, uint64_t from, const summary *s) {
  unsigned char bloom[BLOOM_MAX_BYTES] = {0};
  size_t bytes = bloom_size(s->count);
  for (size_t i = 0; i < VALUE_SLOTS; i++)
    if (s->values[i])
      bloom_add(bloom, bytes, s->values[i]);
  tti_buf encoded;
  tti_buf_init(&encoded, SIZE_MAX);
  columns_write(&s->columns, &encoded);
  int rc = encoded.error ? SQLITE_NOMEM : SQLITE_OK;
  sqlite3_stmt *put = rc ? NULL : writer_statement(w, STMT_PUT_BLOCK, &rc);
  if (put) {
    bind_u64(put, 1, from);
    bind_u64(put, 2, s->kinds);
    bind_u64(put, 3, s->levels);
    bind_blob(put, 4, bloom, bytes);
    if (encoded.len)
      bind_blob(put, 5, encoded.data, encoded.len);
    if (!grams_are_many(&s->grams))
      bind_blob(put, 6, &s->grams, sizeof s->grams);
    rc = database_run(put);
    sqlite3_clear_bindings(put);
  }
  tti_buf_fini(&encoded);
  return rc;
}

bool block_due(const writer *w, const log_table *table) {
  /* Numbers that a crash skipped may go on beyond the open table's end. */
  if (table->state == TABLE_DOOMED || table->summarised_to >= table->to_seq)
    return false;
  return table->state == TABLE_CLOSED ||
         table->summarised_to + BLOCK_SEQS < w->position.next_seq;
}

int block_summarise(sqlite_store *s, log_table *table) {
  writer *w = &s->writer;
  uint64_t from = table->summarised_to + 1;
  uint64_t to = from + BLOCK_SEQS - 1;
  if (to > table->to_seq)
    to = table->to_seq;
  summary *made = calloc(1, sizeof *made);
  if (!made)
    return SQLITE_NOMEM;
  int rc = read_block(w, table, from, to, made);
  if (rc == SQLITE_OK)
    rc = write_block(w, from, made);
  free(made);
  if (rc != SQLITE_OK)
    return rc;
  table->summarised_to = to;
  return table_update(w, table);
}

/* ---- Reading ---- */

bool block_of(const log_table *table, uint64_t seq, uint64_t *out_from,
              uint64_t *out_to) {
  if (seq > table->summarised_to) {
    *out_from = table->summarised_to + 1;
    *out_to = table->to_seq;
    return false;
  }
  uint64_t index = (seq - table->from_seq) / BLOCK_SEQS;
  *out_from = table->from_seq + index * BLOCK_SEQS;
  *out_to = *out_from + BLOCK_SEQS - 1;
  if (*out_to > table->to_seq)
    *out_to = table->to_seq;
  return true;
}

static bool may_have(const void *context, tti_slice key, tti_slice value) {
  const tti_slice *bloom = context;
  return bloom_has((const unsigned char *)bloom->ptr, bloom->len,
                   value_hash(key, value));
}

int blocks_init(blocks *b, sqlite3 *db) {
  *b = (blocks){0};
  int rc = sqlite3_prepare_v2(
      db, "SELECT kinds, levels, bloom FROM log_blocks WHERE from_seq = ?1", -1,
      &b->get, NULL);
  if (rc == SQLITE_OK)
    rc = sqlite3_prepare_v2(
        db, "SELECT columns FROM log_blocks WHERE from_seq = ?1", -1,
        &b->get_columns, NULL);
  if (rc == SQLITE_OK)
    rc = sqlite3_prepare_v2(db,
                            "SELECT grams FROM log_blocks WHERE from_seq = ?1",
                            -1, &b->get_grams, NULL);
  return rc;
}

void blocks_fini(blocks *b) {
  sqlite3_finalize(b->get);
  sqlite3_finalize(b->get_columns);
  sqlite3_finalize(b->get_grams);
  free(b->columns);
}

int blocks_columns(blocks *b, uint64_t from, const columns **out_columns) {
  *out_columns = NULL;
  if (!b->columns && !(b->columns = malloc(sizeof *b->columns)))
    return SQLITE_NOMEM;
  sqlite3_reset(b->get_columns);
  bind_u64(b->get_columns, 1, from);
  int rc = sqlite3_step(b->get_columns);
  if (rc != SQLITE_ROW)
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
  tti_slice bytes = column_blob(b->get_columns, 0);
  if (!bytes.ptr)
    return SQLITE_OK;
  if (columns_read(bytes, b->columns) != TT_OK)
    return SQLITE_CORRUPT;
  *out_columns = b->columns;
  return SQLITE_OK;
}

int blocks_may_have(blocks *b, uint64_t from, tti_slice text, bool *out_may) {
  sqlite3_stmt *get = b->get_grams;
  bind_u64(get, 1, from);
  int rc = sqlite3_step(get);
  *out_may = true;
  if (rc == SQLITE_ROW) {
    tti_slice bytes = column_blob(get, 0);
    if (bytes.len == sizeof(grams))
      *out_may = grams_may_have((const grams *)(const void *)bytes.ptr, text);
  }
  int reset = sqlite3_reset(get);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

int blocks_may_match(blocks *b, uint64_t from, const store_read *read,
                     bool *out_may) {
  sqlite3_stmt *get = b->get;
  bind_u64(get, 1, from);
  int rc = sqlite3_step(get);
  *out_may = true;
  if (rc == SQLITE_ROW) {
    tti_slice bloom = column_blob(get, 2);
    tti_filter_hint hint = {.may_have = may_have,
                            .context = &bloom,
                            .levels = (unsigned)column_u64(get, 1)};
    bool kinds = !read->kinds || (read->kinds & column_u64(get, 0));
    *out_may = kinds && (bloom.len < BLOOM_MIN_BYTES ||
                         tti_filter_may_match(read->filter, &hint));
  }
  int reset = sqlite3_reset(get);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}
