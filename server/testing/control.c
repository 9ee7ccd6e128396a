#include "server/testing/control.h"

#include "lib/base/thread.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "server/testing/vfs.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX    16
#define LINE_MAX_BYTES 256
#define WORDS_MAX      6

/* ---- Commands ---- */

static const struct {
  const char *name;
  int number;
} errnos[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM},
    {"EACCES", EACCES}, {"EROFS", EROFS},   {"EMFILE", EMFILE},
    {"ENFILE", ENFILE}, {"EINTR", EINTR},   {"EAGAIN", EAGAIN},
    {"EPIPE", EPIPE},   {"EDQUOT", EDQUOT}, {"ECONNRESET", ECONNRESET},
};

static int errno_of(const char *name) {
  for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
    if (strcmp(errnos[i].name, name) == 0)
      return errnos[i].number;
  return 0;
}

static bool number(const char *word, unsigned *out_value) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(word, &end, 10);
  if (*word < '0' || *word > '9' || *end || errno || value > UINT_MAX)
    return false;
  *out_value = (unsigned)value;
  return true;
}

static void fault_fail(char **words, size_t count, char *out, size_t size) {
  unsigned times = UINT_MAX, skip = 0;
  int error_number = count > 3 ? errno_of(words[3]) : 0;
  if (error_number == 0)
    snprintf(out, size, "error fail wants one of the names of errno, as EIO");
  else if ((count > 4 && !number(words[4], &times)) ||
           (count > 5 && !number(words[5], &skip)))
    snprintf(out, size, "error times and skip are whole numbers");
  else if (!fault_arm(words[1], FAULT_FAIL, error_number, skip, times))
    snprintf(out, size, "error too many points, or too long a name");
}

static void fault_other(char **words, size_t count, char *out, size_t size) {
  static const struct {
    const char *name;
    fault_action action;
  } actions[] = {
      {"wait", FAULT_WAIT}, {"kill", FAULT_KILL}, {"exit", FAULT_EXIT}};
  unsigned skip = 0, times = UINT_MAX;
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
    if (strcmp(actions[i].name, words[2]) != 0)
      continue;
    if ((count > 3 && !number(words[3], &skip)) ||
        (count > 4 && !number(words[4], &times)))
      snprintf(out, size, "error skip and times are whole numbers");
    else if (!fault_arm(words[1], actions[i].action, 0, skip, times))
      snprintf(out, size, "error too many points, or too long a name");
    return;
  }
  snprintf(out, size, "error a point can fail, wait, kill or exit, not %s",
           words[2]);
}

static void advance_clock(const char *by, char *out, size_t size) {
  char *end;
  errno = 0;
  long long us = strtoll(by, &end, 10);
  if (end == by || *end || errno)
    snprintf(out, size, "error advance_us wants a whole number");
  else
    testing_clock_advance_us(us);
}

static size_t split(char *line, char **words) {
  size_t count = 0;
  char *rest = NULL;
  for (char *word = strtok_r(line, " \t\r", &rest); word && count < WORDS_MAX;
       word = strtok_r(NULL, " \t\r", &rest))
    words[count++] = word;
  return count;
}

static bool is(char **words, size_t count, size_t least, const char *command) {
  return count >= least && strcmp(words[0], command) == 0;
}

/* `out` has the answer, without a line end. */
static void run(char *line, char *out, size_t size) {
  char *words[WORDS_MAX];
  size_t count = split(line, words);
  snprintf(out, size, "ok");
  if (is(words, count, 3, "fault") && strcmp(words[2], "fail") == 0)
    fault_fail(words, count, out, size);
  else if (is(words, count, 3, "fault"))
    fault_other(words, count, out, size);
  else if (is(words, count, 2, "release"))
    fault_release(words[1]);
  else if (is(words, count, 1, "clear"))
    fault_clear();
  else if (is(words, count, 2, "hits"))
    snprintf(out, size, "ok %llu", fault_hits(words[1]));
  else if (is(words, count, 3, "clock") && strcmp(words[1], "advance_us") == 0)
    advance_clock(words[2], out, size);
  else if (is(words, count, 1, "held"))
    snprintf(out, size, "ok %zu", testing_vfs_held());
  else if (is(words, count, 1, "power-cut"))
    testing_power_cut();
  else
    snprintf(out, size,
             "error unknown or incomplete: fault, release, clear, hits, "
             "clock advance_us, held, power-cut");
}

/* ---- The socket ---- */

typedef struct client {
  int fd; /* -1: none */
  size_t len;
  char line[LINE_MAX_BYTES];
} client;

typedef struct control {
  int listener;
  client clients[CLIENTS_MAX];
} control;

static void hang_up(client *c) {
  close(c->fd);
  *c = (client){.fd = -1};
}

static bool answer(const client *c, char *line) {
  char out[LINE_MAX_BYTES];
  run(line, out, sizeof out - 1);
  strcat(out, "\n");
  size_t len = strlen(out);
  return send(c->fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Runs the lines that are whole; keeps the rest. False: hang up. */
static bool take_lines(client *c) {
  char *end;
  while ((end = memchr(c->line, '\n', c->len))) {
    *end = '\0';
    if (!answer(c, c->line))
      return false;
    size_t used = (size_t)(end + 1 - c->line);
    memmove(c->line, end + 1, c->len - used);
    c->len -= used;
  }
  return c->len < sizeof c->line;
}

static void serve_client(client *c) {
  ssize_t got = read(c->fd, c->line + c->len, sizeof c->line - c->len);
  if (got <= 0) {
    hang_up(c);
    return;
  }
  c->len += (size_t)got;
  if (!take_lines(c))
    hang_up(c);
}

static void greet(control *all) {
  int fd = accept4(all->listener, NULL, NULL, SOCK_CLOEXEC);
  for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++)
    if (all->clients[i].fd < 0) {
      all->clients[i] = (client){.fd = fd};
      return;
    }
  if (fd >= 0)
    close(fd);
}

static void *serve(void *arg) {
  control *all = arg;
  for (;;) {
    struct pollfd polls[CLIENTS_MAX + 1];
    polls[CLIENTS_MAX] = (struct pollfd){all->listener, POLLIN, 0};
    for (size_t i = 0; i < CLIENTS_MAX; i++)
      polls[i] = (struct pollfd){all->clients[i].fd, POLLIN, 0};
    if (poll(polls, CLIENTS_MAX + 1, -1) < 0)
      continue;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
      if (polls[i].revents)
        serve_client(&all->clients[i]);
    if (polls[CLIENTS_MAX].revents)
      greet(all);
  }
  return NULL;
}

/* A socket that an earlier process left is in the way; anything else is not
 * ours to remove. */
static void remove_old(const char *path) {
  struct stat found;
  if (lstat(path, &found) == 0 && S_ISSOCK(found.st_mode))
    unlink(path);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  remove_old(path);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      chmod(path, 0600) != 0 || listen(fd, CLIENTS_MAX) != 0) {
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
  }
  return fd;
}

static bool start_thread(control *all) {
  pthread_t thread;
  bool started = tti_thread_start(&thread, serve, all);
  if (started)
    pthread_detach(thread);
  return started;
}

tt_error testing_control_start(const char *path) {
  if (!path || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
    fprintf(stderr, "control socket: the path is too long for a socket\n");
    return TT_EINVAL;
  }
  control *all = calloc(1, sizeof(*all));
  if (!all)
    return TT_ENOMEM;
  for (size_t i = 0; i < CLIENTS_MAX; i++)
    all->clients[i].fd = -1;
  all->listener = listen_at(path);
  if (all->listener < 0) {
    fprintf(stderr, "control socket %s: %s\n", path, strerror(errno));
    free(all);
    return TT_EIO;
  }
  if (!start_thread(all)) {
    close(all->listener);
    free(all);
    return TT_ENOMEM;
  }
  return TT_OK;
}
