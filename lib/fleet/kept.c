#include "lib/fleet/kept.h"

#include "lib/json/scan.h"
#include "lib/json/write.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Twice the ceiling that an update has by default, for what JSON adds. */
#define KEPT_MAX_BYTES ((off_t)8 * 1024 * 1024)

static char *read_all(int fd, size_t size, size_t *out_len) {
  char *text = malloc(size + 1);
  size_t len = 0;
  ssize_t got = 1;
  while (text && len < size && got > 0) {
    got = read(fd, text + len, size - len);
    if (got < 0 && errno == EINTR)
      got = 1;
    else if (got > 0)
      len += (size_t)got;
  }
  *out_len = len;
  return text;
}

char *tti_kept_take(const char *path, size_t *out_len) {
  struct stat file;
  char *text = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return NULL;
  /* Of several processes with this id, who unlinks it has it. */
  if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && unlink(path) == 0 &&
      file.st_size <= KEPT_MAX_BYTES)
    text = read_all(fd, (size_t)file.st_size, out_len);
  close(fd);
  return text;
}

static int write_all(int fd, tti_slice body) {
  while (body.len) {
    ssize_t n = write(fd, body.ptr, body.len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : EIO;
    body.ptr += n;
    body.len -= (size_t)n;
  }
  return 0;
}

int tti_kept_write(const char *path, tti_slice body) {
  size_t size = strlen(path) + sizeof(".XXXXXX");
  char *temporary = malloc(size);
  if (!temporary)
    return ENOMEM;
  snprintf(temporary, size, "%s.XXXXXX", path);
  int fd = mkostemp(temporary, O_CLOEXEC); /* with mode 0600 */
  int error = fd < 0 ? errno : write_all(fd, body);
  if (fd >= 0 && close(fd) && !error)
    error = errno;
  if (fd >= 0 && !error && rename(temporary, path))
    error = errno;
  if (fd >= 0 && error)
    unlink(temporary);
  free(temporary);
  return error;
}

enum { INSTANCE_ID, TIMESTAMP, DATA, FIELDS };

/* The members of `data` that are not disabled; false: no memory. */
static bool render_data(tti_buf *out, tti_slice data,
                        tti_collector *collector) {
  tti_json_scan scan;
  tti_json_value key, value;
  bool more = false;
  char *name = malloc(data.len);
  if (!name)
    return false;
  tti_buf_append_text(out, ",\"data\":{");
  tti_json_scan_init(&scan, data);
  tti_json_scan_open_object(&scan);
  while (tti_json_scan_member(&scan, &key) &&
         tti_json_scan_value(&scan, &value)) {
    size_t len;
    if (tti_json_decode(key.text, name, &len, NULL) ||
        tti_collector_is_disabled(collector, (tti_slice){name, len}))
      continue;
    if (more)
      tti_buf_append_char(out, ',');
    more = true;
    tti_buf_append_slice(out, key.text);
    tti_buf_append_char(out, ':');
    tti_buf_append_slice(out, value.text);
  }
  tti_buf_append_char(out, '}');
  free(name);
  return true;
}

bool tti_kept_render(tti_buf *out, tti_slice body, const char *instance_id,
                     tti_collector *collector) {
  static const tti_slice names[FIELDS] = {
      {"instance_id", 11}, {"timestamp", 9}, {"data", 4}};
  tti_json_names table;
  tti_json_value fields[FIELDS];
  tti_json_names_init(&table, names, FIELDS);
  if (tti_json_check_fields(body, &table, fields, NULL) ||
      fields[INSTANCE_ID].type != TTI_JSON_STRING ||
      fields[TIMESTAMP].type != TTI_JSON_STRING ||
      !tti_slice_eq(tti_json_inside(fields[INSTANCE_ID].text),
                    tti_slice_of(instance_id)))
    return false;
  tti_buf_append_text(out, "{\"instance_id\":");
  tti_buf_append_slice(out, fields[INSTANCE_ID].text);
  tti_buf_append_text(out, ",\"timestamp\":");
  tti_buf_append_slice(out, fields[TIMESTAMP].text);
  if (fields[DATA].type == TTI_JSON_OBJECT &&
      !render_data(out, fields[DATA].text, collector))
    return false;
  tti_buf_append_char(out, '}');
  return out->error == TT_OK;
}
