/* A fleet client whose clock moves when it is told to, for a test that drives
 * it over its standard input, a line a command:
 *
 *   fleet-run URL INSTANCE-ID-FILE UNIX-SECONDS [DISABLED-KEY]...
 *
 *   text KEY TEXT     add KEY N     unique KEY TEXT     nested KEY SUB N
 *   start             begins to send
 *   pass              lets the time pass that it waits for
 *   stop              sends what is left, prints "stop RESULT", and ends
 *
 * It prints "wait SECONDS" whenever it waits, and "log TEXT" for its log. */
#include "lib/fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t now_us, until_us, began_s;

static void say(const char *what, const char *text) {
  printf("%s %s\n", what, text);
  fflush(stdout);
}

static int64_t monotonic_us(void *context) {
  (void)context;
  pthread_mutex_lock(&lock);
  int64_t now = now_us++; /* no two updates have the same time */
  pthread_mutex_unlock(&lock);
  return now;
}

static int64_t wall_us(void *context) {
  return began_s * 1000000 + monotonic_us(context);
}

static void wait_until(void *context, pthread_cond_t *condition,
                       pthread_mutex_t *mutex, int64_t instant_us) {
  char text[32];
  (void)context;
  pthread_mutex_lock(&lock);
  bool is_new = instant_us != until_us;
  until_us = instant_us;
  snprintf(text, sizeof text, "%.0f", (double)(until_us - now_us) / 1e6);
  pthread_mutex_unlock(&lock);
  if (is_new)
    say("wait", text);
  pthread_cond_wait(condition, mutex);
}

static void on_log(void *context, tt_level level, const char *message) {
  (void)context;
  (void)level;
  say("log", message);
}

static void pass(tt_fleet *fleet) {
  pthread_mutex_lock(&lock);
  now_us = until_us;
  pthread_mutex_unlock(&lock);
  tti_cycle_wake(tti_fleet_cycle(fleet));
}

static void must(tt_error error) {
  if (error) {
    say("failed", tt_error_name(error));
    exit(1);
  }
}

static void obey(tt_fleet *fleet, char *line) {
  char *word[4] = {NULL};
  char *rest = line;
  for (int i = 0; i < 4; i++) {
    word[i] = strsep(&rest, " \n");
    if (!rest)
      break;
  }
  if (strcmp(word[0], "text") == 0)
    must(tt_fleet_set_string(fleet, word[1], word[2]));
  else if (strcmp(word[0], "add") == 0)
    must(tt_fleet_add(fleet, word[1], atoll(word[2])));
  else if (strcmp(word[0], "unique") == 0)
    must(tt_fleet_append_unique(fleet, tt_str(word[1], word[2])));
  else if (strcmp(word[0], "nested") == 0)
    must(tt_fleet_set_nested(fleet, word[1], tt_int(word[2], atoll(word[3]))));
  else if (strcmp(word[0], "start") == 0)
    must(tt_fleet_start_emitting(fleet));
  else if (strcmp(word[0], "pass") == 0)
    pass(fleet);
  else if (strcmp(word[0], "stop") == 0)
    say("stop", tt_error_name(tt_fleet_stop_emitting(fleet, 60000)));
  else
    must(TT_EINVAL);
}

int main(int argc, char **argv) {
  const tti_clock clock = {wall_us, monotonic_us, NULL};
  const tti_cycle_time time = {&clock, wait_until, NULL};
  tt_fleet *fleet = NULL;
  char line[1000];
  if (argc < 4)
    return 2;
  began_s = atoll(argv[3]);
  tt_fleet_options options = {.url = argv[1],
                              .id_file = argv[2],
                              .disabled_keys = (const char *const *)argv + 4,
                              .disabled_key_count = (size_t)argc - 4,
                              .log = {on_log, NULL}};
  must(tti_fleet_new(&options, &time, &fleet));
  while (fgets(line, sizeof line, stdin))
    obey(fleet, line);
  tt_fleet_free(fleet);
  return 0;
}
