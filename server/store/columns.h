#ifndef STORE_COLUMNS_H
#define STORE_COLUMNS_H

#include "lib/event/record.h"

/* What filters and counts need of a block of rows, apart from the rows and a
 * twentieth of their size: seq, time of receipt, kind, level, source, channel,
 * action, agent id and duration, column by column. Exact, nothing is summed.
 * Pure.
 *
 *   u8 version (1)
 *   varint rows | varint first seq | varint first time of receipt
 *   5 dictionaries: varint values (at least 1), of each varint length and bytes
 *   5 columns: of each row the place of its value in the dictionary, a u8 where
 *       there are at most 256 values, else a u16; nothing where there is one
 *   of each row the distance to the row before (varint): its seq, less 1 …
 *   … and its time of receipt
 *   of each row varint 0, or 1 + its duration (0, -1, 1, -2 … as 0, 1, 2, 3 …)
 *
 * A varint has 7 bits a byte, the lowest first, at most 10 bytes. Integers are
 * little-endian. The first dictionary's values are u8 kind, u8 level and the
 * level's name; the others are source, category, type and agent id. */

#define COLUMNS_ROWS 1024
/* Of one value, and of all values of a block. With more it has no columns. */
#define COLUMNS_VALUE_BYTES 256
#define COLUMNS_TEXT_BYTES  (64u << 10)

enum {
  COLUMN_CLASS,
  COLUMN_SOURCE,
  COLUMN_CATEGORY,
  COLUMN_TYPE,
  COLUMN_AGENT_ID,
  COLUMN_COUNT
};

typedef struct columns {
  size_t rows;
  size_t value_count[COLUMN_COUNT];
  tti_slice values[COLUMN_COUNT][COLUMNS_ROWS];
  uint16_t value[COLUMN_COUNT][COLUMNS_ROWS];
  uint64_t seq[COLUMNS_ROWS]; /* rising */
  int64_t received_us[COLUMNS_ROWS];
  int64_t duration_ms[COLUMNS_ROWS];
  bool has_duration[COLUMNS_ROWS];
} columns;

typedef struct columns_builder {
  columns of;
  bool failed; /* something had no place: there will be no columns */
  uint16_t slots[COLUMN_COUNT][2 * COLUMNS_ROWS]; /* 1 + value; 0: free */
  size_t used;
  char text[COLUMNS_TEXT_BYTES]; /* the values */
} columns_builder;

/* A builder begins all zero. Seq rises and time does not fall from row to row;
 * at most COLUMNS_ROWS rows. The record is not needed afterwards. */
void columns_add(columns_builder *b, uint64_t seq, int64_t received_us,
                 const tti_record *record);

/* Appends the block; nothing where it has no columns. */
void columns_write(const columns_builder *b, tti_buf *out);

/* TT_ECORRUPT when the bytes are not a whole block; never reads past them.
 * Values are borrowed from the bytes. */
tt_error columns_read(tti_slice bytes, columns *out_columns);

/* Row i as far as it is known: the record's other members are empty. */
void columns_record(const columns *c, size_t i, tti_record *out_record);

#endif
