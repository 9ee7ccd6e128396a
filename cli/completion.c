#include "cli/commands.h"
#include "lib/base/buf.h"
#include "server/config/option.h"

#include <stdio.h>
#include <string.h>

/* The scripts are written out whole from the commands' tables: a shell that
 * completes runs nothing. */

static int run(int argc, char **argv);

const cli_command cli_completion = {
    .name = "completion",
    .help = "print a shell's completion script",
    .run = run,
    .arguments = "bash|zsh",
    .summary =
        "Prints the script that makes a shell complete commands and options. "
        "An\n"
        "installed telltale has brought both. By hand, for this shell only:\n"
        "  source <(telltale completion bash)",
    .examples = "source <(telltale completion bash)",
    .words = "bash zsh",
    .options = cli_no_options};

/* An option, or what comes in an option's place, as the scripts need it. */
typedef struct shown {
  const char *name;
  char letter;
  const char *argument; /* NULL: a switch */
  const char *help;
  char words[160]; /* what its value may be; "": any text */
  bool file;       /* its value is a file's name */
  bool folder;     /* ... or a folder's */
} shown;

typedef void (*show_fn)(tti_buf *out, const shown *option);

/* What is known of a value by what the help calls it: "a|b" are the words
 * themselves. */
static void know_argument(shown *s) {
  const char *argument = s->argument ? s->argument : "";
  s->file = !strcmp(argument, "FILE");
  s->folder = !strcmp(argument, "DIR");
  if (!strcmp(argument, "LEVEL"))
    argument = "debug|info|warn|error|fatal";
  else if (!cli_option_has_words(argument))
    return;
  snprintf(s->words, sizeof(s->words), "%s", argument);
  for (char *at = s->words; *at; at++)
    *at = *at == '|' ? ' ' : *at;
}

static void show(tti_buf *out, show_fn fn, const cli_option *option,
                 const char *const *words) {
  shown s = {.name = option->name,
             .letter = option->letter,
             .argument = option->argument,
             .help = option->help};
  know_argument(&s);
  for (size_t len = 0; words && *words && len < sizeof(s.words); words++)
    len += (size_t)snprintf(s.words + len, sizeof(s.words) - len, "%s%s",
                            len ? " " : "", *words);
  fn(out, &s);
}

static void show_serve_options(tti_buf *out, show_fn fn) {
  show(out, fn, &(cli_option){"--config", 0, "FILE", CLI_CONFIG_HELP}, NULL);
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    show(out, fn,
         &(cli_option){o->flag, 0,
                       o->type == CONFIG_TYPE_BOOL ? NULL
                                                   : config_option_kind(o),
                       o->help},
         config_option_words(o));
  }
}

static void show_options(tti_buf *out, const cli_command *command, show_fn fn) {
  for (const cli_option *o = command->options; o->name; o++)
    show(out, fn, o, NULL);
  if (command->serve_options)
    show_serve_options(out, fn);
  show(out, fn, &cli_help_option, NULL);
}

static bool takes(const cli_command *command, const char *argument) {
  return !strcmp(command->arguments, argument);
}

static void put_command_names(tti_buf *out) {
  for (const cli_command *const *at = cli_commands; *at; at++)
    tti_buf_printf(out, "%s ", (*at)->name);
}

static bool has_words(const cli_command *command) {
  return command->words || takes(command, "[COMMAND]");
}

/* What may come first. */
static void put_words(tti_buf *out, const cli_command *command) {
  if (command->words)
    tti_buf_append_text(out, command->words);
  else
    put_command_names(out);
}

/* ---- bash ---- */

static void bash_value(tti_buf *out, const shown *o) {
  if (!o->argument)
    return;
  tti_buf_printf(out, "        %s", o->name);
  if (o->letter)
    tti_buf_printf(out, " | -%c", o->letter);
  if (o->file || o->folder)
    tti_buf_printf(out, ") names=%s ;;\n", o->file ? "-f" : "-d");
  else if (o->words[0])
    tti_buf_printf(out, ") words='%s' ;;\n", o->words);
  else
    tti_buf_append_text(out, ") return ;;\n");
}

static void bash_name(tti_buf *out, const shown *o) {
  tti_buf_printf(out, "%s ", o->name);
}

/* bash takes --name=value apart into three words, since "=" is one of its word
 * breaks. */
static void write_bash(tti_buf *out) {
  tti_buf_append_text(
      out, "# bash completion for telltale, made by: telltale completion bash\n"
           "_telltale() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]}\n"
           "  local prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "  local words='' names=''\n"
           "  COMPREPLY=()\n"
           "  if [[ $cur == '=' ]]; then\n"
           "    cur=''\n"
           "  elif [[ $prev == '=' ]] && ((COMP_CWORD > 2)); then\n"
           "    prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "  fi\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    words='");
  put_command_names(out);
  tti_buf_append_text(out, "help'\n"
                           "  else\n"
                           "    case ${COMP_WORDS[1]} in\n");
  for (const cli_command *const *at = cli_commands; *at; at++) {
    const cli_command *c = *at;
    tti_buf_printf(out, "    %s)\n      case $prev in\n", c->name);
    show_options(out, c, bash_value);
    tti_buf_append_text(out, "        *)\n          words='");
    show_options(out, c, bash_name);
    tti_buf_append_text(out, "'\n");
    if (has_words(c)) {
      tti_buf_append_text(out, "          ((COMP_CWORD == 2)) && words+='");
      put_words(out, c);
      tti_buf_append_text(out, "'\n");
    }
    if (takes(c, "FILE"))
      tti_buf_append_text(out, "          names=-f\n");
    tti_buf_append_text(out, "          ;;\n      esac\n      ;;\n");
  }
  tti_buf_append_text(
      out, "    esac\n"
           "  fi\n"
           "  mapfile -t COMPREPLY < <(compgen $names -W \"$words\" -- "
           "\"$cur\")\n"
           "  if [[ $names ]]; then\n"
           "    compopt -o filenames 2>/dev/null\n"
           "  fi\n"
           "}\n"
           "complete -F _telltale telltale\n");
}

/* ---- zsh ---- */

/* Inside single quotes, and inside the brackets and between the colons of a
 * specification. */
static void zsh_text(tti_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '\'')
      tti_buf_append_text(out, "'\\''");
    else if (strchr("[]:\\", *text))
      tti_buf_printf(out, "\\%c", *text);
    else
      tti_buf_append_char(out, *text);
  }
}

static void zsh_option(tti_buf *out, const shown *o) {
  const char *value = o->argument ? "=" : "";
  if (o->letter)
    tti_buf_printf(out, " \\\n        '(-%c %s)'{-%c%s,%s%s}'[", o->letter,
                   o->name, o->letter, o->argument ? "+" : "", o->name, value);
  else
    tti_buf_printf(out, " \\\n        '*%s%s[", o->name, value);
  zsh_text(out, o->help);
  tti_buf_append_char(out, ']');
  if (o->argument) {
    tti_buf_append_char(out, ':');
    zsh_text(out, o->argument);
    tti_buf_append_char(out, ':');
    if (o->file || o->folder)
      tti_buf_append_text(out, o->file ? "_files" : "_files -/");
    else if (o->words[0])
      tti_buf_printf(out, "(%s)", o->words);
  }
  tti_buf_append_char(out, '\'');
}

static void write_zsh(tti_buf *out) {
  tti_buf_append_text(
      out, "#compdef telltale\n"
           "# zsh completion for telltale, made by: telltale completion zsh\n"
           "_telltale() {\n"
           "  local -a commands\n"
           "  commands=(\n");
  for (const cli_command *const *at = cli_commands; *at; at++) {
    const cli_command *c = *at;
    tti_buf_printf(out, "    '%s:", c->name);
    zsh_text(out, c->help);
    tti_buf_append_text(out, "'\n");
  }
  tti_buf_append_text(out, "    'help:list the commands'\n"
                           "  )\n"
                           "  if ((CURRENT == 2)); then\n"
                           "    _describe -t commands command commands\n"
                           "    return\n"
                           "  fi\n"
                           "  shift words\n"
                           "  ((CURRENT--))\n"
                           "  case $words[1] in\n");
  for (const cli_command *const *at = cli_commands; *at; at++) {
    const cli_command *c = *at;
    tti_buf_printf(out, "    %s)\n      _arguments", c->name);
    show_options(out, c, zsh_option);
    if (has_words(c)) {
      tti_buf_append_text(out, " \\\n        '1: :(");
      put_words(out, c);
      tti_buf_append_text(out, ")'");
    }
    if (takes(c, "FILE"))
      tti_buf_append_text(out, " \\\n        '*: :_files'");
    else if (c->arguments[0] && !has_words(c))
      /* Options may follow. An empty action would show a message instead of
       * completing them. */
      tti_buf_append_text(out, " \\\n        '*: :{:}'");
    tti_buf_append_text(out, "\n      ;;\n");
  }
  tti_buf_append_text(out, "  esac\n"
                           "}\n"
                           "if [[ $funcstack[1] == _telltale ]]; then\n"
                           "  _telltale \"$@\"\n"
                           "else\n"
                           "  compdef _telltale telltale\n"
                           "fi\n");
}

static int run(int argc, char **argv) {
  cli_words words = {.command = &cli_completion, .max = 1};
  bool done;
  int status = cli_options_take(&cli_completion, argc, argv, NULL,
                                cli_take_word, &words, &done);
  const char *shell = words.word[0];
  if (status || done)
    return status;
  if (!shell || (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0))
    return cli_usage_error(&cli_completion, "say bash or zsh");
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  if (!strcmp(shell, "bash"))
    write_bash(&out);
  else
    write_zsh(&out);
  return cli_print_all(&cli_completion, &out);
}
