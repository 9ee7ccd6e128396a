#include "cli/options.h"

#include "server/config/option.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

const cli_option cli_no_options[] = {{0}};

int cli_usage_error(const cli_command *command, const char *format, ...) {
  va_list args;
  fprintf(stderr, "telltale %s: ", command->name);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "\ntry: telltale %s --help\n", command->name);
  return CLI_USAGE;
}

/* ---- Help ---- */

static void print_option(const cli_option *o) {
  char left[64];
  snprintf(left, sizeof(left), "%s%c%s%s%s%s", o->letter ? "-" : "  ",
           o->letter ? o->letter : ' ', o->letter ? ", " : " ", o->name,
           o->argument ? " " : "", o->argument ? o->argument : "");
  printf("  %-28s %s\n", left, o->help);
}

static void print_serve_options(void) {
  tti_buf text;
  tti_buf_init(&text, 1 << 16);
  tti_buf_printf(&text, "  %-24s %s\n", "--config FILE", CLI_CONFIG_HELP);
  config_help(&text);
  fwrite(text.data, 1, text.len, stdout);
  tti_buf_fini(&text);
}

void cli_help(const cli_command *command) {
  printf("usage: telltale %s%s%s [options]\n\n%s\n\n", command->name,
         *command->arguments ? " " : "", command->arguments, command->summary);
  printf("%s:\n  %s\n\n",
         strchr(command->examples, '\n') ? "examples" : "example",
         command->examples);
  if (command->serve_options) {
    puts("options (defaults in parentheses; * is re-read on SIGHUP):");
    print_serve_options();
    return;
  }
  puts("options:");
  for (const cli_option *o = command->options; o->name; o++)
    print_option(o);
  print_option(&cli_help_option);
}

int cli_print_all(const cli_command *command, tti_buf *text) {
  bool failed = text->error ||
                fwrite(text->data, 1, text->len, stdout) != text->len ||
                fflush(stdout);
  tti_buf_fini(text);
  if (failed)
    fprintf(stderr, "telltale %s: standard output cannot be written\n",
            command->name);
  return failed ? CLI_FAILED : CLI_OK;
}

bool cli_wants_help(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

/* ---- Parsing ---- */

static int find_long(const cli_option *options, tti_slice name) {
  for (int i = 0; options[i].name; i++)
    if (tti_slice_eq(tti_slice_of(options[i].name), name))
      return i;
  return -1;
}

static int find_letter(const cli_option *options, char letter) {
  for (int i = 0; options[i].name; i++)
    if (options[i].letter == letter)
      return i;
  return -1;
}

static int unknown(const cli_command *command, tti_slice name) {
  tti_nearest near = tti_nearest_to(name);
  tti_nearest_try(&near, tti_slice_of(cli_help_option.name));
  for (const cli_option *o = command->options; o->name; o++)
    tti_nearest_try(&near, tti_slice_of(o->name));
  return near.name.ptr && name.len > 2
             ? cli_usage_error(command,
                               "%.*s is not an option; did you mean %s?",
                               (int)name.len, name.ptr, near.name.ptr)
             : cli_usage_error(command, "%.*s is not an option", (int)name.len,
                               name.ptr);
}

bool cli_option_has_words(const char *argument) {
  return argument && *argument >= 'a' && *argument <= 'z';
}

/* Whether `text` is one of "a|b|c". */
static bool is_among(const char *words, tti_slice text) {
  while (*words) {
    size_t len = strcspn(words, "|");
    if (tti_slice_eq((tti_slice){words, len}, text))
      return true;
    words += len + (words[len] == '|');
  }
  return false;
}

/* The option that argv[*at] names, and its value, which may be in the same
 * word or in the next. */
static int take_option(const cli_command *command, int argc, char **argv,
                       int *at, const char **values) {
  const char *word = argv[*at];
  tti_slice name = tti_slice_of(word);
  const char *inside = NULL;
  int index;
  if (word[1] == '-') {
    const char *equals = strchr(word, '=');
    name.len = equals ? (size_t)(equals - word) : name.len;
    index = find_long(command->options, name);
    inside = equals ? equals + 1 : NULL;
  } else {
    index = find_letter(command->options, word[1]);
    inside = word[2] ? word + 2 : NULL;
  }
  if (index < 0)
    return unknown(command, name);
  const char *argument = command->options[index].argument;
  if (!argument && inside)
    return cli_usage_error(command, "%s takes no value", word);
  if (argument && !inside) {
    if (*at + 1 >= argc)
      return cli_usage_error(command, "%s needs a value (%s)", word, argument);
    inside = argv[++*at];
  }
  if (cli_option_has_words(argument) &&
      !is_among(argument, tti_slice_of(inside)))
    return cli_usage_error(command, "%s takes %s, not %s",
                           command->options[index].name, argument, inside);
  values[index] = inside ? inside : "";
  return CLI_OK;
}

int cli_options_take(const cli_command *command, int argc, char **argv,
                     const char **values, cli_argument_fn fn, void *context,
                     bool *out_done) {
  bool only_arguments = false;
  *out_done = false;
  for (int i = 1; i < argc; i++) {
    int status;
    if (!only_arguments && !strcmp(argv[i], "--")) {
      only_arguments = true;
      continue;
    }
    if (only_arguments || argv[i][0] != '-' || !argv[i][1]) {
      status = fn ? fn(context, argv[i])
                  : cli_usage_error(command, "%s: no such argument", argv[i]);
    } else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
      cli_help(command);
      *out_done = true;
      return CLI_OK;
    } else {
      status = take_option(command, argc, argv, &i, values);
    }
    if (status)
      return status;
  }
  return CLI_OK;
}

int cli_take_word(void *words, const char *value) {
  cli_words *w = words;
  for (int i = 0; i < w->max; i++) {
    if (!w->word[i]) {
      w->word[i] = value;
      return CLI_OK;
    }
  }
  return cli_usage_error(w->command, "%s: no such argument", value);
}

int cli_option_number(const cli_command *command, const char *const *values,
                      int index, unsigned long long min, unsigned long long max,
                      unsigned long long *number) {
  const char *name = command->options[index].name;
  if (!values[index] ||
      (tti_slice_to_u64(tti_slice_of(values[index]), number) &&
       *number >= min && *number <= max))
    return CLI_OK;
  if (max < LLONG_MAX)
    return cli_usage_error(command, "%s %s is not a number from %llu to %llu",
                           name, values[index], min, max);
  return cli_usage_error(command, "%s %s is not a whole number%s", name,
                         values[index], min ? " above 0" : "");
}
