#include "cli/commands.h"
#include "cli/here.h"
#include "cli/interrupt.h"
#include "cli/line.h"
#include "server/store/store.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { OPT_FORCE, OPT_STORE, OPT_CONFIG, OPT_JSON };
enum { ASK_EVERY_MS = 100 };

static const cli_option options[] = {
    {"--force", 'f', NULL, "replace FILE when it is there"},
    {"--store", 0, "STORE", "which store; default: as for serve"},
    {"--config", 0, "FILE", "the server's configuration file"},
    {"--json", 0, NULL, "print JSON"},
    {0},
};

static int run(int argc, char **argv);

const cli_command cli_backup = {
    .name = "backup",
    .help = "copy the store to a file",
    .run = run,
    .arguments = "FILE",
    .summary =
        "Copies the store to FILE, with the server running or not. The copy is "
        "one\n"
        "file, as the store was at one moment. A server that is given it as "
        "its\n"
        "store goes on above every number that was ever given out.",
    .examples = "telltale backup /backup/telltale.db --force",
    .options = options};

typedef struct backup_args {
  const char *values[OPT_JSON + 1];
} backup_args;

/* ---- What is shown ---- */

static void show_progress(uint64_t done_bytes, uint64_t total_bytes) {
  if (isatty(STDERR_FILENO) && total_bytes)
    fprintf(stderr, "\r%3.0f %% of %.1f MB ",
            100.0 * (double)done_bytes / (double)total_bytes,
            (double)total_bytes / 1e6);
}

static void end_progress(void) {
  if (isatty(STDERR_FILENO))
    fputs("\r\033[K", stderr);
}

static int report_made(const backup_args *args, const char *file,
                       uint64_t bytes, uint64_t head_seq) {
  end_progress();
  if (args->values[OPT_JSON]) {
    json_t *made =
        json_pack("{s:s, s:I, s:I}", "path", file, "bytes", (json_int_t)bytes,
                  "head_seq", (json_int_t)head_seq);
    json_dumpf(made, stdout, JSON_COMPACT);
    json_decref(made);
    putchar('\n');
  } else {
    printf("%s: %.1f MB, events up to %llu\n", file, (double)bytes / 1e6,
           (unsigned long long)head_seq);
  }
  return CLI_OK;
}

static int report_failed(const char *message) {
  end_progress();
  fputs("telltale backup: ", stderr);
  cli_text_print(stderr, tti_slice_of(message));
  fputc('\n', stderr);
  return CLI_FAILED;
}

/* ---- A server has the store: it makes the backup ---- */

static int report_state(const backup_args *args, const json_t *answer,
                        bool *out_running) {
  const char *state = json_string_value(json_object_get(answer, "state"));
  const char *path = json_string_value(json_object_get(answer, "path"));
  const char *message = json_string_value(json_object_get(answer, "message"));
  uint64_t bytes =
      (uint64_t)json_integer_value(json_object_get(answer, "bytes"));
  uint64_t total =
      (uint64_t)json_integer_value(json_object_get(answer, "total_bytes"));
  uint64_t head =
      (uint64_t)json_integer_value(json_object_get(answer, "head_seq"));
  *out_running = state && strcmp(state, "running") == 0;
  if (*out_running) {
    show_progress(bytes, total);
    return CLI_OK;
  }
  if (state && path && strcmp(state, "done") == 0)
    return report_made(args, path, bytes, head);
  return report_failed(message ? message
                               : "the server does not know of the backup any "
                                 "more: see its log");
}

static char *start_body(const backup_args *args, const char *file) {
  json_t *body = json_pack("{s:s, s:b}", "path", file, "force",
                           args->values[OPT_FORCE] != NULL);
  char *text = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  return text;
}

static int ask(client *c, const char *method, const char *body,
               client_answer *answer) {
  client_request request = {.method = method,
                            .path = "/api/v1/backup",
                            .content_type = body ? "application/json" : NULL,
                            .body = tti_slice_of(body ? body : "")};
  client_call(c, &request, answer);
  return answer->status;
}

/* CLI_UNREACHABLE in silence: there is no server. */
static int use_server(const backup_args *args, const char *source,
                      const char *file) {
  client *c = cli_store_client(source);
  char *body = start_body(args, file);
  bool running = true;
  int status = CLI_UNREACHABLE;
  const char *method = "POST";
  const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
  while (c && body && running) {
    client_answer answer;
    client_answer_init(&answer);
    bool began = strcmp(method, "POST") != 0;
    if (ask(c, method, began ? NULL : body, &answer) == 0) {
      running = false;
      if (began)
        status = report_failed("the server ended during the backup; start it "
                               "and try again");
    } else if ((status = client_report("backup", &answer)) != CLI_OK) {
      running = false;
    } else {
      json_t *state = json_loadb(answer.body.data, answer.body.len, 0, NULL);
      status = report_state(args, state, &running);
      json_decref(state);
    }
    client_answer_fini(&answer);
    method = cli_interrupts() ? "DELETE" : "GET";
    if (running)
      nanosleep(&pause, NULL);
  }
  free(body);
  client_free(c);
  return status;
}

/* ---- No server has it ---- */

static bool note_progress(void *context, uint64_t done_bytes,
                          uint64_t total_bytes) {
  (void)context;
  show_progress(done_bytes, total_bytes);
  return !cli_interrupts();
}

static int use_file(const backup_args *args, const char *source,
                    const char *file) {
  tti_buf why;
  tti_buf_init(&why, 4096);
  store_backup backup = {.path = file,
                         .force = args->values[OPT_FORCE] != NULL,
                         .progress = note_progress};
  tt_error error = store_sqlite_back_up(source, &backup, &why);
  tti_buf_append(&why, "", 1);
  int status =
      error ? report_failed(why.len > 1 ? why.data : tt_error_message(error))
            : report_made(args, file, backup.bytes, backup.head_seq);
  tti_buf_fini(&why);
  return status;
}

/* The server has another working directory. */
static char *absolute(const char *file) {
  char *folder = NULL, *path = NULL;
  if (*file == '/')
    return strdup(file);
  folder = getcwd(NULL, 0);
  if (!folder || asprintf(&path, "%s/%s", folder, file) < 0)
    path = NULL;
  free(folder);
  return path;
}

static int run(int argc, char **argv) {
  backup_args args = {.values = {0}};
  cli_words words = {.command = &cli_backup, .max = 1};
  bool done;
  char *source = NULL;
  int status = cli_options_take(&cli_backup, argc, argv, args.values,
                                cli_take_word, &words, &done);
  if (status || done)
    return status;
  if (!words.word[0] || !*words.word[0])
    return cli_usage_error(&cli_backup, "say which FILE to make");
  status = cli_store_path("backup", args.values[OPT_STORE],
                          args.values[OPT_CONFIG], &source);
  if (status)
    return status;
  char *file = absolute(words.word[0]);
  cli_catch_interrupts();
  if (!file)
    status = report_failed("the working directory is gone");
  else if (!*source)
    status = report_failed("a memory store has nothing to back up: keep events "
                           "with --store sqlite:FILE");
  else
    status = use_server(&args, source, file);
  if (status == CLI_UNREACHABLE)
    status = use_file(&args, source, file);
  free(file);
  free(source);
  return status;
}
