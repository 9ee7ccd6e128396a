#include "lib/storage/letters.h"

#include "lib/base/time.h"
#include "lib/event/view.h"
#include "lib/json/write.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A record of the largest envelope in base64, its JSON, and room. */
#define LINE_MAX_BYTES ((size_t)64 << 20)

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648, 4, with padding. */
static void put_base64(tti_buf *out, tti_slice bytes) {
  const unsigned char *at = (const unsigned char *)bytes.ptr;
  for (size_t left = bytes.len; left; at += 3) {
    size_t n = left < 3 ? left : 3;
    unsigned group = (unsigned)at[0] << 16 |
                     (n > 1 ? (unsigned)at[1] << 8 : 0) | (n > 2 ? at[2] : 0);
    char text[4] = {digits[group >> 18], digits[group >> 12 & 63],
                    n > 1 ? digits[group >> 6 & 63] : '=',
                    n > 2 ? digits[group & 63] : '='};
    tti_buf_append(out, text, sizeof(text));
    left -= n;
  }
}

static bool get_base64(tti_slice text, tti_buf *out) {
  unsigned group = 0, bits = 0;
  while (text.len && text.ptr[text.len - 1] == '=')
    text.len--;
  for (size_t i = 0; i < text.len; i++) {
    const char *digit = memchr(digits, text.ptr[i], sizeof(digits) - 1);
    if (!digit)
      return false;
    group = group << 6 | (unsigned)(digit - digits);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      tti_buf_append_char(out, (char)(group >> bits & 0xff));
    }
  }
  return !out->error;
}

static void render(tti_buf *line, const tti_letter *letter,
                   const char *reason) {
  char at[TTI_RFC3339_MAX];
  tti_record record;
  tti_rfc3339_format(tti_wall_us(&tti_clock_system), at);
  tti_buf_printf(line, "{\"seq\":%llu,\"received_us\":%lld,\"record\":\"",
                 (unsigned long long)letter->seq,
                 (long long)letter->received_us);
  put_base64(line, letter->record);
  tti_buf_printf(line, "\",\"at\":\"%s\",\"reason\":", at);
  tti_json_write_string(line, tti_slice_of(reason));
  if (tti_record_decode(letter->record, &record) == TT_OK) {
    tti_buf_append_text(line, ",\"envelope\":");
    tti_view_render(line, TTI_VIEW_ENVELOPE, letter->seq, &record);
  }
  tti_buf_append_text(line, "}\n");
}

/* A letter of a line as render wrote it; its record goes to `bytes`. */
static bool parse(tti_slice line, tti_buf *bytes, tti_letter *out_letter) {
  static const char mark[] = "\"record\":\"";
  unsigned long long seq;
  long long received_us;
  char head[96];
  size_t len = line.len < sizeof(head) ? line.len : sizeof(head) - 1;
  memcpy(head, line.ptr, len);
  head[len] = '\0';
  if (sscanf(head, "{\"seq\":%llu,\"received_us\":%lld,", &seq, &received_us) !=
      2)
    return false;
  const char *at = memmem(line.ptr, line.len, mark, sizeof(mark) - 1);
  if (!at)
    return false;
  at += sizeof(mark) - 1;
  const char *end = memchr(at, '"', line.len - (size_t)(at - line.ptr));
  tti_buf_clear(bytes);
  if (!end || !get_base64((tti_slice){at, (size_t)(end - at)}, bytes))
    return false;
  *out_letter = (tti_letter){seq, received_us, tti_buf_slice(bytes)};
  tti_record record;
  return tti_record_decode(out_letter->record, &record) == TT_OK;
}

static tt_error write_all(int fd, tti_slice bytes) {
  while (bytes.len) {
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 && errno == ENOSPC ? TT_ENOSPACE : TT_EIO;
    bytes.ptr += n;
    bytes.len -= (size_t)n;
  }
  return TT_OK;
}

/* A line that could not be written whole is cut off again; one that a process
 * left when it ended gets an end. */
static tt_error append(int fd, tti_slice line, size_t max_bytes) {
  struct stat file;
  char last = '\n';
  if (fstat(fd, &file) || !S_ISREG(file.st_mode) ||
      (file.st_size && pread(fd, &last, 1, file.st_size - 1) != 1))
    return TT_EIO;
  if ((size_t)file.st_size + line.len >= max_bytes)
    return TT_EFULL;
  tt_error error = last == '\n' ? TT_OK : write_all(fd, TTI_SLICE("\n"));
  if (!error)
    error = write_all(fd, line);
  if (error)
    return ftruncate(fd, file.st_size) ? TT_EIO : error;
  return fdatasync(fd) ? TT_EIO : TT_OK;
}

tt_error tti_letters_add(const tti_letters *letters, uint64_t seq,
                         int64_t received_us, tti_slice record,
                         const char *reason) {
  tti_letter letter = {seq, received_us, record};
  tti_buf line;
  tti_buf_init(&line, LINE_MAX_BYTES);
  render(&line, &letter, reason);
  tt_error error = line.error;
  if (error)
    goto out;
  int fd = open(letters->path,
                O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) {
    error = TT_EIO;
    goto out;
  }
  error = append(fd, tti_buf_slice(&line), letters->max_bytes);
  close(fd);
out:
  tti_buf_fini(&line);
  return error;
}

typedef struct walk {
  tti_letter_visit *visit;
  void *context;
  int fd; /* of the new file */
  tti_buf record;
  tti_buf line;
  uint64_t sent;
  uint64_t left;
} walk;

/* `line` has its line end, if there was one. */
static tt_error walk_line(walk *w, tti_slice line) {
  char reason[TTI_LETTER_REASON_MAX] = "";
  tti_letter letter;
  tti_letter_fate fate = TTI_LETTER_KEPT;
  if (parse(line, &w->record, &letter))
    fate = w->visit(w->context, &letter, reason);
  if (fate == TTI_LETTER_SENT) {
    w->sent++;
    return TT_OK;
  }
  w->left++;
  if (fate == TTI_LETTER_KEPT)
    return write_all(w->fd, line);
  tti_buf_clear(&w->line);
  render(&w->line, &letter, reason);
  return w->line.error ? w->line.error
                       : write_all(w->fd, tti_buf_slice(&w->line));
}

static tt_error walk_file(walk *w, FILE *in) {
  char *line = NULL;
  size_t cap = 0;
  ssize_t len;
  tt_error error = TT_OK;
  while (!error && (len = getline(&line, &cap, in)) > 0)
    error = walk_line(w, (tti_slice){line, (size_t)len});
  if (!error && !feof(in)) /* getline without memory is no error of `in` */
    error = ferror(in) ? TT_EIO : TT_ENOMEM;
  free(line);
  return error;
}

/* What is sent and the file's new form are two things; when the process ends
 * between them the old file is whole, and the letters are sent twice. */
tt_error tti_letters_walk(const tti_letters *letters, tti_letter_visit *visit,
                          tti_letters_settle *settle, void *context,
                          uint64_t *out_sent, uint64_t *out_left) {
  walk w = {.visit = visit, .context = context, .fd = -1};
  size_t len = strlen(letters->path);
  char *temporary = malloc(len + sizeof(".new"));
  FILE *in = fopen(letters->path, "re");
  tt_error error = in ? TT_OK : errno == ENOENT ? TT_ENOTFOUND : TT_EIO;
  tti_buf_init(&w.record, LINE_MAX_BYTES);
  tti_buf_init(&w.line, LINE_MAX_BYTES);
  if (!temporary)
    error = TT_ENOMEM;
  if (error)
    goto out;
  memcpy(temporary, letters->path, len);
  memcpy(temporary + len, ".new", sizeof(".new"));
  w.fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  error = w.fd < 0 ? TT_EIO : walk_file(&w, in);
  if (!error && w.sent)
    error = settle(context);
  if (!error && (fdatasync(w.fd) || rename(temporary, letters->path)))
    error = TT_EIO;
  if (error && w.fd >= 0)
    unlink(temporary);
  if (!error) {
    *out_sent = w.sent;
    *out_left = w.left;
  }
out:
  if (w.fd >= 0)
    close(w.fd);
  if (in)
    fclose(in);
  free(temporary);
  tti_buf_fini(&w.record);
  tti_buf_fini(&w.line);
  return error;
}
