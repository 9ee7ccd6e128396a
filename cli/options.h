#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "lib/base/buf.h"

/* Exit statuses, the same for every command. */
enum {
  CLI_OK = 0,
  CLI_FAILED = 1,     /* the server refused, or an operation failed */
  CLI_USAGE = 2,      /* the command line is not right */
  CLI_UNREACHABLE = 3 /* no server answered */
};

/* One option of a command. A table of these ends with an all-zero row; parsing,
 * --help and the messages come from it. */
typedef struct cli_option {
  const char *name; /* "--source" */
  char letter;      /* 's', or 0 */
  /* "NAME" in the help, or "on|off": all that it may be; NULL: a switch */
  const char *argument;
  const char *help;
} cli_option;

/* What every command has. */
static const cli_option cli_help_option = {"--help", 'h', NULL, "show this"};

/* The table of a command that has none of its own. */
extern const cli_option cli_no_options[];

#define CLI_CONFIG_HELP                                                        \
  "a YAML file with these options; default: "                                  \
  "~/.config/telltale/telltale.yaml"

/* A command of `telltale`: parsing, --help, the manual pages and the shells'
 * completions come from these. Texts are plain; in the longer ones an empty
 * line is between paragraphs. */
typedef struct cli_command {
  const char *name;
  const char *help; /* a few words */
  /* Answers the exit status of the process. argv[0] is the command's name. */
  int (*run)(int argc, char **argv);
  const char *arguments; /* after the options, such as "[key=value …]" */
  const char *words;     /* what may come first, such as "create list" */
  const char *summary;   /* what it does, a sentence or more */
  const char *details;   /* further paragraphs for the manual page */
  const char *examples;  /* command lines */
  const cli_option *options;
  bool serve_options; /* takes what serve takes */
} cli_command;

/* Takes an argument that is no option. Answers CLI_OK, or CLI_USAGE after
 * having said why. */
typedef int (*cli_argument_fn)(void *context, const char *value);

/* Walks argv[1…]. "--name value", "--name=value", "-n value", "-nvalue"; after
 * "--" nothing is an option. values[i] becomes what option i was given last, ""
 * for a switch; `fn` gets the other arguments (NULL: there may be none). --help
 * prints the help and answers CLI_OK with *out_done true. Complaints go to
 * standard error. */
int cli_options_take(const cli_command *command, int argc, char **argv,
                     const char **values, cli_argument_fn fn, void *context,
                     bool *out_done);

/* A cli_argument_fn that keeps up to `max` words. */
typedef struct cli_words {
  const cli_command *command;
  int max;
  const char *word[3]; /* NULL: not given */
} cli_words;
int cli_take_word(void *words, const char *value);

/* The value of an option that is a whole number from `min` to `max`. *number is
 * left as it is when the option was not given. */
int cli_option_number(const cli_command *command, const char *const *values,
                      int index, unsigned long long min, unsigned long long max,
                      unsigned long long *number);

/* Whether an option's argument is the words that it may be. */
bool cli_option_has_words(const char *argument);

/* Prints the help. */
void cli_help(const cli_command *command);

/* Whether --help or -h is among the arguments. */
bool cli_wants_help(int argc, char **argv);

/* Prints a text and frees it; an exit status. */
int cli_print_all(const cli_command *command, tti_buf *text);

/* "telltale send: …" on standard error; answers CLI_USAGE. */
int cli_usage_error(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
