#include "cli/commands.h"
#include "cli/options.h"
#include "lib/base/buf.h"
#include "server/config/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* Manual pages in man(7), written out of the commands' tables. */

static int run(int argc, char **argv);

enum { OPT_INTO };

static const cli_option options[] = {
    {"--into", 0, "DIR", "write all pages to files in this folder"},
    {0},
};

const cli_command cli_man = {
    .name = "man",
    .help = "print a manual page",
    .run = run,
    .arguments = "[COMMAND]",
    .summary =
        "Prints the manual page of telltale, or of one of its commands,\n"
        "for man(1).",
    .examples = "telltale man serve | man -l -",
    .options = options};

/* ---- Text ---- */

/* Text as it is: neither a backslash nor a dash nor a dot at the begin of a
 * line means anything. */
static void put_text(tti_buf *out, const char *text) {
  for (bool begin = true; *text; begin = *text++ == '\n') {
    if (begin && (*text == '.' || *text == '\''))
      tti_buf_append_text(out, "\\&");
    if (*text == '\\')
      tti_buf_append_text(out, "\\e");
    else if (*text == '-')
      tti_buf_append_text(out, "\\-");
    else
      tti_buf_append_char(out, *text);
  }
}

/* Paragraphs, with an empty line between two. */
static void put_paragraphs(tti_buf *out, const char *text) {
  const char *gap;
  while ((gap = strstr(text, "\n\n"))) {
    char part[2048];
    snprintf(part, sizeof(part), "%.*s", (int)(gap - text), text);
    put_text(out, part);
    tti_buf_append_text(out, "\n.PP\n");
    text = gap + 2;
  }
  put_text(out, text);
  tti_buf_append_char(out, '\n');
}

static void put_section(tti_buf *out, const char *name) {
  tti_buf_printf(out, ".SH %s\n", name);
}

static void put_name(tti_buf *out, const char *command, const char *help) {
  char title[64];
  size_t len = (size_t)snprintf(title, sizeof(title), "telltale%s%s",
                                command ? "-" : "", command ? command : "");
  tti_buf_append_text(out, ".TH ");
  for (size_t i = 0; i < len && i < sizeof(title) - 1; i++)
    if (title[i] == '-')
      tti_buf_append_text(out, "\\-");
    else
      tti_buf_append_char(out, (char)toupper((unsigned char)title[i]));
  tti_buf_append_text(out, " 1 \"\" \"Telltale " TELLTALE_VERSION
                           "\" \"User Commands\"\n");
  put_section(out, "NAME");
  put_text(out, title);
  tti_buf_append_text(out, " \\- ");
  put_text(out, help);
  tti_buf_append_char(out, '\n');
}

static void put_examples(tti_buf *out, const char *examples) {
  tti_buf_append_text(out, ".nf\n");
  put_text(out, examples);
  tti_buf_append_text(out, "\n.fi\n");
}

static void put_item(tti_buf *out, const char *name, const char *text) {
  tti_buf_append_text(out, ".TP\n.B ");
  put_text(out, name);
  tti_buf_append_char(out, '\n');
  put_paragraphs(out, text);
}

/* ---- Parts ---- */

static void put_flag(tti_buf *out, char letter, const char *name,
                     const char *argument) {
  tti_buf_append_text(out, ".TP\n.BR ");
  if (letter)
    tti_buf_printf(out, "\\-%c \", \" ", letter);
  put_text(out, name);
  if (argument && *argument) {
    tti_buf_append_text(out, " \" \\fI");
    put_text(out, argument);
    tti_buf_append_text(out, "\\fR\"");
  }
  tti_buf_append_char(out, '\n');
}

static void put_option(tti_buf *out, const cli_option *o) {
  put_flag(out, o->letter, o->name, o->argument);
  put_text(out, o->help);
  tti_buf_append_char(out, '\n');
}

static void put_serve_options(tti_buf *out) {
  put_option(out, &(cli_option){"--config", 0, "FILE", CLI_CONFIG_HELP});
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    put_option(out, &(cli_option){o->flag, 0, config_option_kind(o), o->help});
    tti_buf_append_text(out, ".br\nkey ");
    put_text(out, o->key);
    tti_buf_append_text(out, ", variable ");
    put_text(out, o->env);
    tti_buf_append_text(out, o->value[0] ? ", default " : "");
    put_text(out, o->value);
    tti_buf_append_text(out, o->live ? ", re\\-read on SIGHUP\n" : "\n");
  }
}

static void put_options(tti_buf *out, const cli_command *command) {
  put_section(out, "OPTIONS");
  for (const cli_option *o = command->options; o->name; o++)
    put_option(out, o);
  if (command == cli_command_named("serve"))
    put_serve_options(out);
  else if (command->serve_options)
    tti_buf_append_text(out, "The options of\n.BR telltale\\-serve (1).\n");
  put_option(out, &cli_help_option);
}

static bool has_option(const cli_command *command, const char *name) {
  for (const cli_option *o = command->options; o->name; o++)
    if (!strcmp(o->name, name))
      return true;
  return false;
}

/* An option names its variable in its help. */
static void put_environment(tti_buf *out, const cli_command *command) {
  bool is_local = command->serve_options || has_option(command, "--store");
  if (!is_local && !has_option(command, "--url"))
    return;
  put_section(out, "ENVIRONMENT");
  for (const cli_option *o = command->options; o->name; o++) {
    const char *at = strstr(o->help, "TELLTALE_");
    char name[64];
    if (!at)
      continue;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ";)"), at);
    tti_buf_append_text(out, ".TP\n.B ");
    put_text(out, name);
    tti_buf_append_text(out, "\nin place of\n.BR ");
    put_text(out, o->name);
    tti_buf_append_char(out, '\n');
  }
  if (is_local)
    put_item(out, "TELLTALE_*",
             "in place of the options of telltale-serve(1), which names the\n"
             "variable of each");
}

static void put_files(tti_buf *out) {
  put_section(out, "FILES");
  put_item(out, "$XDG_STATE_HOME/telltale/",
           "the default place of the store; without the variable\n"
           "~/.local/state/telltale/");
  put_item(out, "$XDG_CONFIG_HOME/telltale/telltale.yaml",
           "the configuration file that is read where it exists; without the\n"
           "variable ~/.config/telltale/telltale.yaml");
}

static void put_exit_status(tti_buf *out) {
  put_section(out, "EXIT STATUS");
  put_item(out, "0", "done");
  put_item(out, "1", "failed, or the server refused");
  put_item(out, "2", "the command line or the configuration is not right");
  put_item(out, "3", "no server answered");
}

static void put_reference(tti_buf *out, const char *name, const char *end) {
  tti_buf_append_text(out, ".BR telltale");
  tti_buf_append_text(out, *name ? "\\-" : "");
  put_text(out, name);
  tti_buf_printf(out, " (1)%s\n", end);
}

/* ---- Pages ---- */

static void put_command_page(tti_buf *out, const cli_command *command) {
  put_name(out, command->name, command->help);
  put_section(out, "SYNOPSIS");
  tti_buf_append_text(out, ".B telltale ");
  put_text(out, command->name);
  tti_buf_append_text(out, "\n[options]\n");
  put_text(out, command->arguments);
  tti_buf_append_char(out, '\n');
  put_section(out, "DESCRIPTION");
  put_paragraphs(out, command->summary);
  if (command->details) {
    tti_buf_append_text(out, ".PP\n");
    put_paragraphs(out, command->details);
  }
  put_options(out, command);
  put_exit_status(out);
  put_environment(out, command);
  if (command->serve_options || has_option(command, "--store"))
    put_files(out);
  put_section(out, "EXAMPLES");
  put_examples(out, command->examples);
  put_section(out, "SEE ALSO");
  put_reference(out, "", "");
}

static void put_main_page(tti_buf *out) {
  put_name(out, NULL,
           "telemetry for programs: collect, stream and store events");
  put_section(out, "SYNOPSIS");
  tti_buf_append_text(out, ".B telltale\n.I command\n[options]\n");
  put_section(out, "DESCRIPTION");
  put_paragraphs(
      out,
      "Collects the events that programs emit, keeps them, and shows them "
      "to\nwhoever watches. One event is one JSON object with a source, an "
      "action, a\nlevel and any data.");
  put_section(out, "COMMANDS");
  for (const cli_command *const *c = cli_commands; *c; c++) {
    tti_buf_append_text(out, ".TP\n");
    put_reference(out, (*c)->name, "");
    put_text(out, (*c)->help);
    tti_buf_append_char(out, '\n');
  }
  put_exit_status(out);
  put_files(out);
  put_section(out, "EXAMPLES");
  tti_buf_append_text(out, ".nf\n");
  for (const cli_command *const *c = cli_commands; *c; c++) {
    put_text(out, (*c)->examples);
    tti_buf_append_char(out, '\n');
  }
  tti_buf_append_text(out, ".fi\n");
  put_section(out, "SEE ALSO");
  tti_buf_append_text(out, ".BR libtelltale (3)\n");
}

static int no_such(const char *name) {
  const char *near = cli_command_near(name);
  return cli_usage_error(&cli_man, "there is no command %s%s%s%s", name,
                         near ? "; did you mean " : "", near ? near : "",
                         near ? "?" : "");
}

static void put_page(tti_buf *out, const cli_command *command) {
  tti_buf_init(out, 1 << 20);
  if (command)
    put_command_page(out, command);
  else
    put_main_page(out);
}

static int write_page(const char *folder, const cli_command *command) {
  tti_buf page;
  char path[4096];
  snprintf(path, sizeof(path), "%s/telltale%s%s.1", folder, command ? "-" : "",
           command ? command->name : "");
  put_page(&page, command);
  FILE *file = fopen(path, "w");
  bool ok =
      file && !page.error && fwrite(page.data, 1, page.len, file) == page.len;
  if (file && fclose(file))
    ok = false;
  tti_buf_fini(&page);
  if (!ok)
    fprintf(stderr, "telltale man: %s cannot be written: %s\n", path,
            strerror(errno));
  return ok ? CLI_OK : CLI_FAILED;
}

static int run(int argc, char **argv) {
  const char *values[OPT_INTO + 1] = {0};
  cli_words words = {.command = &cli_man, .max = 1};
  const cli_command *command = NULL;
  bool done;
  int status = cli_options_take(&cli_man, argc, argv, values, cli_take_word,
                                &words, &done);
  if (status || done)
    return status;
  if (words.word[0] && !(command = cli_command_named(words.word[0])))
    return no_such(words.word[0]);
  if (!values[OPT_INTO]) {
    tti_buf page;
    put_page(&page, command);
    return cli_print_all(&cli_man, &page);
  }
  status = write_page(values[OPT_INTO], NULL);
  for (const cli_command *const *c = cli_commands; *c && !status; c++)
    status = write_page(values[OPT_INTO], *c);
  return status;
}
