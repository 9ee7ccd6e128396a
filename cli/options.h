#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

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
  const char *name;     /* "--source" */
  char letter;          /* 's', or 0 */
  const char *argument; /* "NAME" in the help; NULL: a switch */
  const char *help;
} cli_option;

typedef struct cli_usage {
  const char *command;   /* "send" */
  const char *arguments; /* after the options, such as "[key=value …]" */
  const char *summary;   /* what it does, a sentence or more */
  const cli_option *options;
} cli_usage;

/* Called for each option (`index` in the table) and, with -1, for each other
 * argument. Answers CLI_OK, or CLI_USAGE after having said why. */
typedef int (*cli_option_fn)(void *context, int index, const char *value);

/* Walks argv[1…]. "--name value", "--name=value", "-n value", "-nvalue"; after
 * "--" nothing is an option. --help prints the help and answers CLI_OK with
 * *out_done true. Complaints go to standard error. */
int cli_options_parse(const cli_usage *usage, int argc, char **argv,
                      cli_option_fn fn, void *context, bool *out_done);

/* The same into a table: values[i] becomes what option i was given last, "" for
 * a switch. `fn` gets the other arguments; NULL: there may be none. */
typedef int (*cli_argument_fn)(void *context, const char *value);
int cli_options_take(const cli_usage *usage, int argc, char **argv,
                     const char **values, cli_argument_fn fn, void *context,
                     bool *out_done);

/* The value of an option that is a whole number from `min` to `max`. *number is
 * left as it is when the option was not given. */
int cli_option_number(const cli_usage *usage, const char *const *values,
                      int index, unsigned long long min, unsigned long long max,
                      unsigned long long *number);

/* "telltale send: …" on standard error; answers CLI_USAGE. */
int cli_usage_error(const cli_usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
