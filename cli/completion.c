#include "cli/commands.h"
#include "lib/base/buf.h"
#include "server/config/option.h"

#include <stdio.h>
#include <string.h>

/* The scripts are written out whole from the commands' tables: a shell that
 * completes runs nothing. */

static const cli_option options[] = {{0}};

const cli_usage cli_completion_usage = {
    "completion", "bash|zsh",
    "Prints the script that makes a shell complete commands and options. An\n"
    "installed telltale has brought both. By hand, for this shell only:\n"
    "  source <(telltale completion bash)",
    options};

/* An option as the scripts need it. */
typedef struct shown {
  const char *name;
  char letter;
  const char *argument; /* NULL: a switch */
  const char *help;
  char words[160]; /* what its value may be; "": any text */
  bool file;       /* its value is a file's name */
} shown;

typedef void (*show_fn)(tti_buf *out, const shown *option);

static void show(tti_buf *out, show_fn fn, const cli_option *option,
                 const char *const *words) {
  static const char *const levels[] = {"debug", "info",  "warn",
                                       "error", "fatal", NULL};
  static const char *const views[] = {"relay", "envelope", NULL};
  shown s = {.name = option->name,
             .letter = option->letter,
             .argument = option->argument,
             .help = option->help};
  if (s.argument && !strcmp(s.argument, "LEVEL"))
    words = levels;
  if (s.argument && !strcmp(s.argument, "VIEW"))
    words = views;
  s.file = s.argument && !strcmp(s.argument, "FILE");
  for (size_t len = 0; words && *words && len < sizeof(s.words); words++)
    len += (size_t)snprintf(s.words + len, sizeof(s.words) - len, "%s%s",
                            len ? " " : "", *words);
  fn(out, &s);
}

static void show_serve_options(tti_buf *out, show_fn fn) {
  show(out, fn,
       &(cli_option){"--config", 0, "FILE", "a YAML file with these options"},
       NULL);
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    show(out, fn,
         &(cli_option){o->flag, 0, o->type == CONFIG_TYPE_BOOL ? NULL : "VALUE",
                       o->help},
         config_option_words(o));
  }
}

static void show_options(tti_buf *out, const cli_command *command, show_fn fn) {
  if (command->usage)
    for (const cli_option *o = command->usage->options; o->name; o++)
      show(out, fn, o, NULL);
  if (command->serve_options)
    show_serve_options(out, fn);
  if (command->usage || command->serve_options)
    show(out, fn, &(cli_option){"--help", 'h', NULL, "show this"}, NULL);
}

static void put_command_names(tti_buf *out) {
  for (const cli_command *c = cli_commands; c->name; c++)
    tti_buf_printf(out, "%s ", c->name);
  tti_buf_append_text(out, "help");
}

/* ---- bash ---- */

static void bash_value(tti_buf *out, const shown *o) {
  if (!o->argument)
    return;
  tti_buf_printf(out, "        %s", o->name);
  if (o->letter)
    tti_buf_printf(out, " | -%c", o->letter);
  if (o->file)
    tti_buf_append_text(out, ") files=1 ;;\n");
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
           "  local words='' files=''\n"
           "  COMPREPLY=()\n"
           "  if [[ $cur == '=' ]]; then\n"
           "    cur=''\n"
           "  elif [[ $prev == '=' ]] && ((COMP_CWORD > 2)); then\n"
           "    prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "  fi\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    words='");
  put_command_names(out);
  tti_buf_append_text(out, "'\n"
                           "  else\n"
                           "    case ${COMP_WORDS[1]} in\n");
  for (const cli_command *c = cli_commands; c->name; c++) {
    tti_buf_printf(out, "    %s)\n      case $prev in\n", c->name);
    show_options(out, c, bash_value);
    tti_buf_append_text(out, "        *)\n          words='");
    show_options(out, c, bash_name);
    tti_buf_append_text(out, "'\n");
    if (c->words)
      tti_buf_printf(out, "          ((COMP_CWORD == 2)) && words+='%s'\n",
                     c->words);
    tti_buf_append_text(out, "          ;;\n      esac\n      ;;\n");
  }
  tti_buf_append_text(
      out, "    esac\n"
           "  fi\n"
           "  if [[ $files ]]; then\n"
           "    compopt -o filenames 2>/dev/null\n"
           "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
           "  else\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
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
    if (o->file)
      tti_buf_append_text(out, "_files");
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
  for (const cli_command *c = cli_commands; c->name; c++) {
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
  for (const cli_command *c = cli_commands; c->name; c++) {
    tti_buf_printf(out, "    %s)\n      _arguments", c->name);
    show_options(out, c, zsh_option);
    if (c->words)
      tti_buf_printf(out, " \\\n        '1: :(%s)'", c->words);
    else if (c->usage && c->usage->arguments[0])
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

static int take_option(void *context, int index, const char *value) {
  const char **shell = context;
  (void)index; /* there is no option */
  if (*shell)
    return cli_usage_error(&cli_completion_usage, "%s: no such argument",
                           value);
  *shell = value;
  return CLI_OK;
}

int cli_completion(int argc, char **argv) {
  const char *shell = NULL;
  bool done;
  int status = cli_options_parse(&cli_completion_usage, argc, argv, take_option,
                                 &shell, &done);
  if (status || done)
    return status;
  if (!shell || (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0))
    return cli_usage_error(&cli_completion_usage, "say bash or zsh");
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  if (!strcmp(shell, "bash"))
    write_bash(&out);
  else
    write_zsh(&out);
  bool failed = out.error || fwrite(out.data, 1, out.len, stdout) != out.len ||
                fflush(stdout);
  tti_buf_fini(&out);
  if (failed)
    fprintf(stderr, "telltale completion: the script could not be written\n");
  return failed ? CLI_FAILED : CLI_OK;
}
