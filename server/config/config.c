#include "server/config/option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, TOKEN_FILE_MAX = 4096 };

static tt_error set_defaults(tti_buf *out_error, config *c) {
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    tt_error error = config_option_set(o, tti_slice_of(o->value), false,
                                       "default", out_error, c);
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

/* A whole file of at most `max` bytes, NUL-terminated; freed by the caller. */
static tt_error read_file(const char *path, size_t max, tti_buf *out_error,
                          struct stat *out_info, char **out_text,
                          size_t *out_len) {
  char *text = NULL;
  tt_error error = TT_EIO;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, out_info) != 0) {
    tti_buf_printf(out_error, "%s: cannot be read: %s", path, strerror(errno));
    error = errno == ENOENT ? TT_ENOTFOUND : TT_EIO;
    goto out;
  }
  if (!(text = malloc(max + 2))) {
    error = TT_ENOMEM;
    goto out;
  }
  size_t len = 0;
  ssize_t got;
  while (len <= max && (got = read(fd, text + len, max + 1 - len)) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      tti_buf_printf(out_error, "%s: cannot be read: %s", path,
                     strerror(errno));
      goto out;
    }
    len += (size_t)got;
  }
  if (len > max) {
    tti_buf_printf(out_error, "%s: larger than %zu bytes", path, max);
    error = TT_ETOOBIG;
    goto out;
  }
  text[len] = '\0';
  *out_text = text;
  *out_len = len;
  text = NULL;
  error = TT_OK;
out:
  free(text);
  if (fd >= 0)
    close(fd);
  return error;
}

/* "$XDG_…/telltale/NAME" or "$HOME/FALLBACK/telltale/NAME"; NULL when neither
 * variable is set (or memory ran out). Freed by the caller. */
static char *xdg_path(const char *variable, const char *fallback,
                      const char *name) {
  /* The XDG base directory specification: a relative path is to be ignored. */
  const char *base = getenv(variable);
  const char *home = getenv("HOME");
  char *path = NULL;
  if (base && base[0] == '/') {
    if (asprintf(&path, "%s/telltale/%s", base, name) < 0)
      return NULL;
  } else if (home && home[0] == '/') {
    if (asprintf(&path, "%s/%s/telltale/%s", home, fallback, name) < 0)
      return NULL;
  }
  return path;
}

static tt_error read_config_file(const char *given, tti_buf *out_error,
                                 config *c) {
  struct stat info;
  char *text;
  size_t len;
  char *path = given ? strdup(given)
                     : xdg_path("XDG_CONFIG_HOME", ".config", "telltale.yaml");
  if (!path)
    return given ? TT_ENOMEM : TT_OK;
  if (!given && access(path, F_OK) != 0) {
    free(path);
    return TT_OK;
  }
  tt_error error = read_file(path, FILE_MAX, out_error, &info, &text, &len);
  if (error == TT_OK) {
    error = config_read_yaml(path, (tti_slice){text, len}, out_error, c);
    free(text);
  }
  if (error == TT_OK)
    c->config_path = path;
  else
    free(path);
  return error;
}

static tt_error read_environment(tti_buf *out_error, config *c) {
  for (size_t i = 0; i < config_option_count; i++) {
    const config_option *o = &config_options[i];
    const char *value = getenv(o->env);
    if (!value)
      continue;
    tt_error error =
        config_option_set(o, tti_slice_of(value), false, o->env, out_error, c);
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

static bool is_token_text(tti_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
      return false;
  return text.len > 0 && text.len <= 1024;
}

/* One of TELLTALE_TOKEN_…, or the first line of the file …_FILE names. */
static tt_error read_token(const char *name, tti_buf *out_error,
                           tti_buf *warnings, char **out_token) {
  char file_name[64];
  snprintf(file_name, sizeof(file_name), "%s_FILE", name);
  const char *value = getenv(name);
  const char *path = getenv(file_name);
  char *text = NULL;
  size_t len;
  struct stat info;
  tt_error error;
  if (!value && !path)
    return TT_OK;
  if (value && path) {
    tti_buf_printf(out_error, "%s and %s are both set: keep one", name,
                   file_name);
    return TT_EINVAL;
  }
  if (path) {
    error = read_file(path, TOKEN_FILE_MAX, out_error, &info, &text, &len);
    if (error != TT_OK)
      return error;
    if (info.st_mode & S_IROTH)
      tti_buf_printf(warnings,
                     "%s is readable by everyone; `chmod 600 %s` keeps the "
                     "token yours\n",
                     path, path);
  }
  tti_slice token = tti_slice_trim(tti_slice_of(path ? text : value));
  if (!is_token_text(token)) {
    tti_buf_printf(out_error,
                   "%s: a token is 1 to 1024 visible ASCII characters without "
                   "spaces; `telltale token create` makes a good one",
                   path ? path : name);
    error = TT_EINVAL;
  } else {
    *out_token = strndup(token.ptr, token.len);
    error = *out_token ? TT_OK : TT_ENOMEM;
  }
  if (text)
    explicit_bzero(text, len);
  free(text);
  return error;
}

static tt_error read_tokens(tti_buf *out_error, config *c) {
  tti_buf warnings;
  tti_buf_init(&warnings, 4096);
  tt_error error = read_token("TELLTALE_TOKEN_INGEST", out_error, &warnings,
                              &c->token_ingest);
  if (error == TT_OK)
    error =
        read_token("TELLTALE_TOKEN_READ", out_error, &warnings, &c->token_read);
  if (error == TT_OK)
    error = read_token("TELLTALE_TOKEN_ADMIN", out_error, &warnings,
                       &c->token_admin);
  if (error == TT_OK && warnings.len)
    c->warnings = tti_buf_take(&warnings, NULL);
  tti_buf_fini(&warnings);
  return error;
}

/* ---- Flags ---- */

typedef struct flag {
  tti_slice name;  /* with its dashes */
  tti_slice value; /* ptr NULL: none was given */
} flag;

/* Takes "--name value" or "--name=value" at argv[*at] apart. A BOOL needs no
 * value and takes only one behind "=". */
static tt_error next_flag(int argc, char **argv, int *at, tti_buf *out_error,
                          flag *out_flag) {
  const char *text = argv[(*at)++];
  if (strncmp(text, "--", 2) != 0 || !text[2]) {
    tti_buf_printf(out_error,
                   "unexpected argument \"%s\"; options begin with --", text);
    return TT_EINVAL;
  }
  const char *equals = strchr(text, '=');
  flag f = {tti_slice_of(text), {NULL, 0}};
  if (equals) {
    f.name.len = (size_t)(equals - text);
    f.value = tti_slice_of(equals + 1);
  } else {
    const config_option *o = config_option_by_flag(f.name);
    bool wants_value = !o || o->type != CONFIG_TYPE_BOOL;
    if (wants_value && *at < argc)
      f.value = tti_slice_of(argv[(*at)++]);
  }
  *out_flag = f;
  return TT_OK;
}

static bool is_config_flag(const flag *f) {
  return tti_slice_eq(f->name, TTI_SLICE("--config"));
}

/* --test-control PATH exists in the test build only. */
static bool is_test_flag(const flag *f) {
#ifdef TELLTALE_TESTING
  return tti_slice_eq(f->name, TTI_SLICE("--test-control"));
#else
  (void)f;
  return false;
#endif
}

static tt_error set_flag(const flag *f, uint64_t *seen, tti_buf *out_error,
                         config *c) {
  const config_option *o = config_option_by_flag(f->name);
  char where[64];
  snprintf(where, sizeof(where), "%.*s", (int)f->name.len, f->name.ptr);
  if (!o && !is_config_flag(f) && !is_test_flag(f)) {
    const char *near = config_nearest_flag(f->name);
    tti_buf_printf(out_error, "unknown option %s", where);
    if (near)
      tti_buf_printf(out_error, "; did you mean %s?", near);
    else
      tti_buf_printf(out_error, "; `telltale serve --help` lists them");
    return TT_EINVAL;
  }
  if (!f->value.ptr && !(o && o->type == CONFIG_TYPE_BOOL)) {
    tti_buf_printf(out_error, "%s needs a value", where);
    return TT_EINVAL;
  }
  if (is_config_flag(f))
    return TT_OK; /* read before */
  if (is_test_flag(f)) {
    free(c->test_control);
    c->test_control = strdup(f->value.ptr);
    return c->test_control ? TT_OK : TT_ENOMEM;
  }
  uint64_t bit = UINT64_C(1) << (o - config_options);
  bool again = *seen & bit; /* --host a --host b: both */
  *seen |= bit;
  return config_option_set(o, f->value.ptr ? f->value : TTI_SLICE("true"),
                           again, where, out_error, c);
}

/* `find_config`: only looks for --config; else sets everything. */
static tt_error read_flags(int argc, char **argv, bool find_config,
                           tti_buf *out_error, const char **out_path,
                           config *c) {
  uint64_t seen = 0;
  for (int at = 1; at < argc;) {
    flag f;
    tt_error error = next_flag(argc, argv, &at, out_error, &f);
    if (error == TT_OK && !find_config)
      error = set_flag(&f, &seen, out_error, c);
    else if (error == TT_OK && is_config_flag(&f) && f.value.ptr)
      *out_path = f.value.ptr;
    if (error != TT_OK)
      return error;
  }
  return TT_OK;
}

tt_error config_load(int argc, char **argv, tti_buf *out_error,
                     config *out_config) {
  config c = {0};
  const char *path = getenv("TELLTALE_CONFIG");
  if (path && !path[0])
    path = NULL;
  tt_error error = set_defaults(out_error, &c);
  if (error == TT_OK)
    error = read_flags(argc, argv, true, out_error, &path, &c);
  if (error == TT_OK)
    error = read_config_file(path, out_error, &c);
  if (error == TT_OK)
    error = read_environment(out_error, &c);
  if (error == TT_OK)
    error = read_flags(argc, argv, false, out_error, &path, &c);
  if (error == TT_OK)
    error = config_sink_of_environment(&c, out_error);
  if (error == TT_OK)
    error = read_tokens(out_error, &c);
  if (error == TT_ENOMEM && !out_error->len)
    tti_buf_append_text(out_error, "out of memory while reading options");
  if (error != TT_OK) {
    config_fini(&c);
    return error;
  }
  *out_config = c;
  return TT_OK;
}

/* ---- Places ---- */

/* mkdir -p of the folder that holds `path`; what is made is the owner's. */
static tt_error make_folder_of(char *path, tti_buf *out_error) {
  for (char *slash = strchr(path + 1, '/'); slash;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
    if (failed)
      tti_buf_printf(out_error,
                     "%s: the folder for the store cannot be made: %s; name "
                     "another place with --store sqlite:PATH",
                     path, strerror(errno));
    *slash = '/';
    if (failed)
      return TT_EIO;
  }
  return TT_OK;
}

tt_error config_store_place(const config *c, tti_buf *out_error,
                            char **out_path) {
  static const char prefix[] = "sqlite:";
  size_t n = sizeof(prefix) - 1;
  char *path;
  if (strcmp(c->store, "memory") == 0)
    path = strdup("");
  else if (strncmp(c->store, prefix, n) == 0)
    path = strdup(c->store + n);
  else {
    path = xdg_path("XDG_STATE_HOME", ".local/state", "telltale.db");
    if (!path) {
      tti_buf_append_text(out_error,
                          "neither XDG_STATE_HOME nor HOME is set, so there is "
                          "no default place for the store: name one with "
                          "--store sqlite:PATH");
      return TT_ENOTFOUND;
    }
  }
  if (!path)
    return TT_ENOMEM;
  *out_path = path;
  return TT_OK;
}

tt_error config_store_path(const config *c, tti_buf *out_error,
                           char **out_path) {
  char *path;
  tt_error error = config_store_place(c, out_error, &path);
  if (error != TT_OK)
    return error;
  bool is_default = !c->store[0];
  if (is_default && (error = make_folder_of(path, out_error)) != TT_OK) {
    free(path);
    return error;
  }
  *out_path = path;
  return TT_OK;
}
