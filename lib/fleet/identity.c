#include "lib/fleet/identity.h"

#include "lib/base/random.h"
#include "lib/base/slice.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <telltale/fleet.h>
#include <unistd.h>

static bool is_one_of(const char *text, const char *const *words) {
  tti_slice slice = tti_slice_trim(tti_slice_of(text));
  for (; *words; words++) {
    if (tti_slice_eq_nocase(slice, tti_slice_of(*words)))
      return true;
  }
  return false;
}

bool tt_fleet_consent(void) {
  static const char *const no[] = {"0", "false", "off", "no", NULL};
  static const char *const none[] = {"", "0", "false", "off", "no", NULL};
  const char *telemetry = getenv("TELLTALE_TELEMETRY");
  const char *do_not_track = getenv("DO_NOT_TRACK");
  return !(telemetry && is_one_of(telemetry, no)) &&
         !(do_not_track && !is_one_of(do_not_track, none));
}

bool tti_is_instance_id(const char *text) {
  bool zero = true;
  if (!text || strlen(text) != TTI_UUID_TEXT - 1)
    return false;
  for (int i = 0; i < TTI_UUID_TEXT - 1; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
      return false;
    zero = zero && (dash || text[i] == '0');
  }
  return !zero;
}

static tt_error error_of(int error) {
  return error == ENOENT                      ? TT_ENOTFOUND
         : error == ENOMEM                    ? TT_ENOMEM
         : error == ENOSPC || error == EDQUOT ? TT_ENOSPACE
                                              : TT_EIO;
}

static tt_error read_id(const char *path, char out_id[TTI_UUID_TEXT]) {
  char text[TTI_UUID_TEXT + 1];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return error_of(errno);
  ssize_t len = read(fd, text, sizeof(text));
  int error = errno;
  close(fd);
  if (len < 0)
    return error_of(error);
  if (len < TTI_UUID_TEXT - 1)
    return TT_ECORRUPT;
  text[TTI_UUID_TEXT - 1] = '\0'; /* in the place of a line end */
  if (!tti_is_instance_id(text))
    return TT_ECORRUPT;
  memcpy(out_id, text, TTI_UUID_TEXT);
  return TT_OK;
}

/* Written beside it first, and linked: whoever reads it reads all of it, and of
 * two processes that make one at the same time the first one wins. */
static tt_error make_id(const char *path) {
  char id[TTI_UUID_TEXT];
  size_t size = strlen(path) + sizeof(".XXXXXX");
  char *temporary = malloc(size);
  if (!temporary)
    return TT_ENOMEM;
  snprintf(temporary, size, "%s.XXXXXX", path);
  tti_uuid4(id);
  id[TTI_UUID_TEXT - 1] = '\n';
  int fd = mkostemp(temporary, O_CLOEXEC); /* with mode 0600 */
  int error = fd < 0 ? errno : 0;
  if (!error && write(fd, id, sizeof(id)) != (ssize_t)sizeof(id))
    error = errno ? errno : EIO;
  if (fd >= 0 && close(fd) && !error)
    error = errno;
  if (!error && link(temporary, path) && errno != EEXIST)
    error = errno;
  if (fd >= 0)
    unlink(temporary);
  free(temporary);
  return error ? error_of(error) : TT_OK;
}

tt_error tt_fleet_instance_id(const char *path,
                              char out_id[TELLTALE_UUID_TEXT]) {
  if (!path || !*path || !out_id)
    return TT_EINVAL;
  if (!tt_fleet_consent())
    return TT_ESTATE;
  tt_error error = read_id(path, out_id);
  if (error != TT_ENOTFOUND)
    return error;
  error = make_id(path);
  return error ? error : read_id(path, out_id);
}
