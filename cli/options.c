#include "cli/options.h"

#include "lib/base/slice.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cli_usage_error(const cli_usage *usage, const char *format, ...) {
  va_list args;
  fprintf(stderr, "telltale %s: ", usage->command);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "\ntry: telltale %s --help\n", usage->command);
  return CLI_USAGE;
}

static void print_help(const cli_usage *usage) {
  printf("usage: telltale %s [options] %s\n\n%s\n\noptions:\n", usage->command,
         usage->arguments, usage->summary);
  for (const cli_option *o = usage->options; o->name; o++) {
    char left[64];
    snprintf(left, sizeof(left), "%s%c%s%s%s%s", o->letter ? "-" : "  ",
             o->letter ? o->letter : ' ', o->letter ? ", " : " ", o->name,
             o->argument ? " " : "", o->argument ? o->argument : "");
    printf("  %-28s %s\n", left, o->help);
  }
  printf("  %-28s %s\n", "-h, --help", "show this");
}

static int find_long(const cli_option *options, const char *name, size_t len) {
  for (int i = 0; options[i].name; i++)
    if (strlen(options[i].name) == len && !memcmp(options[i].name, name, len))
      return i;
  return -1;
}

static int find_letter(const cli_option *options, char letter) {
  for (int i = 0; options[i].name; i++)
    if (options[i].letter == letter)
      return i;
  return -1;
}

/* The option that argv[*at] names, and its value, which may be in the same
 * word or in the next. */
static int take_option(const cli_usage *usage, int argc, char **argv, int *at,
                       int *out_index, const char **out_value) {
  const char *word = argv[*at];
  const char *inside = NULL;
  int index;
  if (word[1] == '-') {
    const char *equals = strchr(word, '=');
    index = find_long(usage->options, word,
                      equals ? (size_t)(equals - word) : strlen(word));
    inside = equals ? equals + 1 : NULL;
  } else {
    index = find_letter(usage->options, word[1]);
    inside = word[2] ? word + 2 : NULL;
  }
  if (index < 0)
    return cli_usage_error(usage, "%s is not an option", word);
  if (!usage->options[index].argument) {
    if (inside)
      return cli_usage_error(usage, "%s takes no value", word);
  } else if (!inside) {
    if (*at + 1 >= argc)
      return cli_usage_error(usage, "%s needs a value (%s)", word,
                             usage->options[index].argument);
    inside = argv[++*at];
  }
  *out_index = index;
  *out_value = inside;
  return CLI_OK;
}

int cli_options_parse(const cli_usage *usage, int argc, char **argv,
                      cli_option_fn fn, void *context, bool *out_done) {
  bool only_arguments = false;
  *out_done = false;
  for (int i = 1; i < argc; i++) {
    int index = -1;
    const char *value = argv[i];
    if (!only_arguments && !strcmp(argv[i], "--")) {
      only_arguments = true;
      continue;
    }
    if (!only_arguments && argv[i][0] == '-' && argv[i][1]) {
      if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
        print_help(usage);
        *out_done = true;
        return CLI_OK;
      }
      int status = take_option(usage, argc, argv, &i, &index, &value);
      if (status)
        return status;
    }
    int status = fn(context, index, value);
    if (status)
      return status;
  }
  return CLI_OK;
}

typedef struct taking {
  const cli_usage *usage;
  const char **values;
  cli_argument_fn fn;
  void *context;
} taking;

static int take_value(void *context, int index, const char *value) {
  taking *t = context;
  if (index == -1)
    return t->fn ? t->fn(t->context, value)
                 : cli_usage_error(t->usage, "%s: no such argument", value);
  t->values[index] = value ? value : "";
  return CLI_OK;
}

int cli_options_take(const cli_usage *usage, int argc, char **argv,
                     const char **values, cli_argument_fn fn, void *context,
                     bool *out_done) {
  taking t = {usage, values, fn, context};
  return cli_options_parse(usage, argc, argv, take_value, &t, out_done);
}

int cli_option_number(const cli_usage *usage, const char *const *values,
                      int index, unsigned long long min, unsigned long long max,
                      unsigned long long *number) {
  const char *name = usage->options[index].name;
  if (!values[index])
    return CLI_OK;
  if (tti_slice_to_u64(tti_slice_of(values[index]), number) && *number >= min &&
      *number <= max)
    return CLI_OK;
  return max == ULLONG_MAX
             ? cli_usage_error(usage, "%s %s is not a whole number%s", name,
                               values[index], min ? " above 0" : "")
             : cli_usage_error(usage, "%s %s is not a number from %llu to %llu",
                               name, values[index], min, max);
}
