#ifndef TTI_EVENT_PARSER_H
#define TTI_EVENT_PARSER_H

#include "lib/event/parse.h"
#include "lib/json/scan.h"

/* What the parsers of each kind of record share. One object becomes one record
 * by a dialect: the names of its own fields and what to make of their values.
 */
typedef struct tti_parser tti_parser;

#define TTI_PARSER_FIELDS_MAX 10

typedef struct tti_dialect {
  const tti_slice *names; /* NUL-terminated texts, NAMES_MAX at most */
  size_t count;
  /* One object, which begins at `begin`, into the batch; `values` are in the
   * order of `names`. */
  tt_error (*add)(tti_parser *p, const char *begin,
                  const tti_json_value *values);
} tti_dialect;

/* One call's state. The two buffers hold what the record at hand needs decoded
 * or composed until it is encoded into the batch. */
struct tti_parser {
  const char *text; /* the whole of it: offsets count from here */
  const tti_dialect *dialect;
  const tti_parse_options *options;
  tti_batch *batch;
  tti_parse_error *error;
  size_t index; /* of the object at hand */
  tti_json_names names;
  tti_buf decoded;
  tti_buf composed;
};

/* Parses the text by the dialect, all or nothing. */
tt_error tti_parse(tti_slice text, const tti_dialect *dialect,
                   const tti_parse_options *options, tti_batch *batch,
                   tti_parse_error *out_error);

/* Fills the error and answers TT_EPARSE. `at` is in the text. */
tt_error tti_parser_refuse(tti_parser *p, const char *at, const char *format,
                           ...) TELLTALE_PRINTF(3, 4);
tt_error tti_parser_no_memory(tti_parser *p, const char *at);

static inline bool tti_parser_is_absent(const tti_json_value *value) {
  return value->type == TTI_JSON_NONE || value->type == TTI_JSON_NULL;
}

/* Makes room for the texts that are to be decoded, at once, so that those
 * already decoded never move. `except` is the field that is kept as it is. */
tt_error tti_parser_begin(tti_parser *p, const char *begin,
                          const tti_json_value *values, size_t except);

/* The field as text, borrowed from the input or decoded; *out_text stays as it
 * is when there is none. */
tt_error tti_parser_string(tti_parser *p, const tti_json_value *values,
                           size_t field, tti_slice *out_text);

/* A string value as text: borrowed from the input or decoded, for which
 * tti_parser_begin made room. `what` names it in messages. */
tt_error tti_parser_text(tti_parser *p, const tti_json_value *value,
                         const char *what, tti_slice *out_text);

/* An object of strings, pair by pair, to `take`; nothing when there is none. */
tt_error tti_parser_pairs(tti_parser *p, const tti_json_value *value,
                          tt_error (*take)(tti_parser *p, tti_record *record,
                                           tti_slice key, tti_slice value,
                                           const char *at),
                          tti_record *record);

/* A `take` that keeps the pair, and tells the record all that are kept. */
tt_error tti_parser_keep_pair(tti_parser *p, tti_record *record, tti_slice key,
                              tti_slice value, const char *at);

/* Fills the error of a failed scan. */
tt_error tti_parser_syntax(tti_parser *p, const char *begin,
                           const tti_json_error *error, const tti_slice *keys);

/* The instants that RFC 3339 can write. The first is also the zero time of Go,
 * whose clients send it for "not set". */
#define TTI_PARSER_FIRST_US INT64_C(-62135596800000000)
#define TTI_PARSER_LAST_US  INT64_C(253402300799999999)

/* An RFC 3339 time; what the options call now when there is none. */
tt_error tti_parser_ts(tti_parser *p, const tti_json_value *values,
                       size_t field, int64_t *out_us);

/* Encodes the record into the batch. `line_breaks`: its data has some between
 * its tokens, which become spaces. */
tt_error tti_parser_add(tti_parser *p, const char *begin, tti_record *record,
                        bool line_breaks);

#endif
