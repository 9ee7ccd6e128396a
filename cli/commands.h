#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

/* A command of `telltale`: --help, the man page's list and the shells'
 * completions come from these. */
typedef struct cli_command {
  const char *name;
  const char *help;
  /* Answers the exit status of the process (cli/options.h). argv[0] is the
   * command's own name. */
  int (*run)(int argc, char **argv);
  const cli_usage *usage; /* NULL: it has no table of its own */
  bool serve_options;     /* takes what serve takes */
  const char *words; /* what may come first, such as "create list revoke" */
} cli_command;

/* Ends with an all-zero row. */
extern const cli_command cli_commands[];

int cli_send(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_events(int argc, char **argv);
int cli_recent(int argc, char **argv);
int cli_sessions(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_completion(int argc, char **argv);

extern const cli_usage cli_send_usage;
extern const cli_usage cli_tail_usage;
extern const cli_usage cli_events_usage;
extern const cli_usage cli_recent_usage;
extern const cli_usage cli_sessions_usage;
extern const cli_usage cli_status_usage;
extern const cli_usage cli_token_usage;
extern const cli_usage cli_completion_usage;
extern const cli_usage cli_backup_usage;
extern const cli_usage cli_bench_usage;

#endif
