#ifndef TTI_STORAGE_LETTERS_H
#define TTI_STORAGE_LETTERS_H

#include "lib/event/record.h"

/* Dead letters: a bounded file of what a storage would not have, one line of
 * JSON each:
 *
 *   {"seq":7,"received_us":1700000000000000,"record":"<base64>",
 *    "at":"…","reason":"…","envelope":{…}}
 *
 * `record` is the encoded record, from which it is sent again; the rest is for
 * people. One thread at a time. */
typedef struct tti_letters {
  char *path; /* owned */
  size_t max_bytes;
} tti_letters;

/* Appends a line and brings it to disk. TT_EFULL: the file is at its ceiling;
 * TT_EIO, TT_ENOMEM. */
tt_error tti_letters_add(const tti_letters *letters, uint64_t seq,
                         int64_t received_us, tti_slice record,
                         const char *reason);

/* One letter as it was read; borrowed for the call. */
typedef struct tti_letter {
  uint64_t seq;
  int64_t received_us;
  tti_slice record;
} tti_letter;

/* What is to be done with a letter. */
typedef enum tti_letter_fate {
  TTI_LETTER_SENT,     /* remove it */
  TTI_LETTER_REJECTED, /* keep it, with the reason in out_reason */
  TTI_LETTER_KEPT,     /* keep it as it is */
} tti_letter_fate;

#define TTI_LETTER_REASON_MAX 256

typedef tti_letter_fate
tti_letter_visit(void *context, const tti_letter *letter,
                 char out_reason[TTI_LETTER_REASON_MAX]);

/* Before letters that were sent are removed: whether they are safe where they
 * are now. */
typedef tt_error tti_letters_settle(void *context);

/* Shows every letter to `visit` and writes the file anew with those that stay.
 * What is no letter stays as it is. A process that ends meanwhile loses none.
 * Counts are of lines. TT_ENOTFOUND: there is no file; TT_EIO, TT_ENOMEM, an
 * error of `settle`: the file is as it was, though letters may have been sent.
 */
tt_error tti_letters_walk(const tti_letters *letters, tti_letter_visit *visit,
                          tti_letters_settle *settle, void *context,
                          uint64_t *out_sent, uint64_t *out_left);

#endif
