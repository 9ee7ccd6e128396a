#include "server/sessions/table.h"

#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/event/category.h"
#include "lib/json/write.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <telltale/session.h>

/* ---- The vocabulary ---- */

static int by_type(const void *a, const void *b) {
  return tti_slice_compare(((const struct tti_known_type *)a)->type,
                           ((const struct tti_known_type *)b)->type);
}

static tt_error add_category(session_vocabulary *v, const char *name,
                             tti_buf *out_error) {
  tti_slice category = tti_slice_of(name);
  if (tti_vocabulary_find(&v->v, category) >= 0)
    return TT_OK;
  if (v->v.category_count == TTI_VOCABULARY_MAX) {
    tti_buf_printf(out_error,
                   "categories: %s is one too many; there may be %d beside "
                   "the six",
                   name, TTI_VOCABULARY_MAX - TTI_CATEGORIES);
    return TT_EINVAL;
  }
  v->categories[v->v.category_count++] = category;
  return TT_OK;
}

static tt_error add_type(session_vocabulary *v, const char *text,
                         tti_buf *out_error) {
  const char *equals = strchr(text, '=');
  int found =
      equals ? tti_vocabulary_find(&v->v, tti_slice_of(equals + 1)) : -1;
  if (found < 0) {
    tti_buf_printf(out_error,
                   "types: \"%s\" must be TYPE=CATEGORY, and the category one "
                   "of console, network, page, interaction, api, system or "
                   "those under categories",
                   text);
    return TT_EINVAL;
  }
  v->types[v->v.type_count++] = (struct tti_known_type){
      .type = {text, (size_t)(equals - text)}, .category = (unsigned)found};
  return TT_OK;
}

tt_error session_vocabulary_init(session_vocabulary *v, char *const *categories,
                                 char *const *types, tti_buf *out_error) {
  tt_error error = TT_OK;
  size_t count = 0;
  *v = (session_vocabulary){.v.categories = v->categories};
  for (int i = 0; i < TTI_CATEGORIES; i++)
    add_category(v, tt_all_categories[i], out_error);
  for (; !error && categories && *categories; categories++)
    error = add_category(v, *categories, out_error);
  while (types && types[count])
    count++;
  v->types = calloc(count + 1, sizeof(*v->types));
  if (!v->types)
    return TT_ENOMEM;
  for (size_t i = 0; i < count && !error; i++)
    error = add_type(v, types[i], out_error);
  qsort(v->types, v->v.type_count, sizeof(*v->types), by_type);
  v->v.types = v->types;
  return error;
}

void session_vocabulary_fini(session_vocabulary *v) {
  free(v->types);
}

uint64_t session_user_facing(const tti_vocabulary *v) {
  uint64_t all = v->category_count == 64
                     ? UINT64_MAX
                     : (UINT64_C(1) << v->category_count) - 1;
  return all & ~(UINT64_C(1) << TTI_CATEGORY_SYSTEM);
}

/* ---- Names and ids ---- */

bool session_name_ok(tti_slice name) {
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
      return false;
  }
  return name.len > 0 && name.len <= SESSION_NAME_MAX;
}

/* Letters of base 36, the first of them no digit, as cuid2 has them. */
static void write_letters(const unsigned char *bytes, bool first, char *out,
                          size_t len) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t i = 0; i < len; i++) {
    /* Of 16 bits the bias is below a thousandth. */
    unsigned value = bytes[2 * i] | (unsigned)bytes[2 * i + 1] << 8;
    out[i] = letters[value % (first && i == 0 ? 26 : 36)];
  }
  out[len] = '\0';
}

void session_id_of_name(const char *name,
                        char out_prefix[SESSION_ID_OF_NAME + 1]) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *)name, strlen(name), digest);
  write_letters(digest, true, out_prefix, SESSION_ID_OF_NAME);
}

void session_id_make(const char *name, char out_id[SESSION_ID + 1]) {
  unsigned char random[2 * (SESSION_ID - SESSION_ID_OF_NAME)];
  session_id_of_name(name, out_id);
  tti_random_bytes(random, sizeof(random));
  write_letters(random, false, out_id + SESSION_ID_OF_NAME,
                SESSION_ID - SESSION_ID_OF_NAME);
}

/* ---- The table ---- */

/* The place of the name, or where it would be. */
static size_t place(const session_table *t, tti_slice name, bool *out_found) {
  size_t low = 0, high = t->count;
  *out_found = false;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = tti_slice_compare(name, tti_slice_of(t->items[middle].name));
    if (order == 0) {
      *out_found = true;
      return middle;
    }
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

session *session_find(const session_table *t, tti_slice name) {
  bool found;
  size_t at = place(t, name, &found);
  return found ? &t->items[at] : NULL;
}

tt_error session_put(session_table *t, const session *one) {
  bool found;
  size_t at = place(t, tti_slice_of(one->name), &found);
  if (!found) {
    if (t->count == SESSIONS_MAX)
      return TT_EFULL;
    session *grown = realloc(t->items, (t->count + 1) * sizeof(*grown));
    if (!grown)
      return TT_ENOMEM;
    t->items = grown;
    memmove(grown + at + 1, grown + at, (t->count - at) * sizeof(*grown));
    t->count++;
  }
  t->items[at] = *one;
  return TT_OK;
}

void session_remove(session_table *t, tti_slice name) {
  bool found;
  size_t at = place(t, name, &found);
  if (found)
    memmove(t->items + at, t->items + at + 1,
            (--t->count - at) * sizeof(*t->items));
}

void session_table_fini(session_table *t) {
  free(t->items);
  *t = (session_table){0};
}

/* ---- For the store ---- */

/* What is off is kept, by name: a category that is configured later is on. */
static void write_one(const session *one, const tti_vocabulary *v,
                      tti_buf *out) {
  const char *comma = "";
  tti_buf_printf(out,
                 "{\"name\":\"%s\",\"id\":\"%s\",\"otlp\":%s,"
                 "\"start_seq\":%llu,\"started_us\":%lld,\"applied_us\":%lld,"
                 "\"off\":[",
                 one->name, one->id, one->otlp ? "true" : "false",
                 (unsigned long long)one->start_seq, (long long)one->started_us,
                 (long long)one->applied_us);
  for (size_t i = 0; i < v->category_count; i++) {
    if (one->captured >> i & 1)
      continue;
    tti_buf_append_text(out, comma);
    tti_json_write_string(out, v->categories[i]);
    comma = ",";
  }
  tti_buf_append_text(out, "]}");
}

void session_table_write(const session_table *t, const tti_vocabulary *v,
                         tti_buf *out) {
  tti_buf_append_char(out, '[');
  for (size_t i = 0; i < t->count; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    write_one(&t->items[i], v, out);
  }
  tti_buf_append_char(out, ']');
}

static bool read_one(json_t *item, const tti_vocabulary *v, session *out) {
  const char *name, *id;
  int otlp;
  json_int_t start_seq, started_us, applied_us;
  json_t *off, *word;
  size_t i;
  if (json_unpack(item, "{s:s, s:s, s:b, s:I, s:I, s:I, s:o}", "name", &name,
                  "id", &id, "otlp", &otlp, "start_seq", &start_seq,
                  "started_us", &started_us, "applied_us", &applied_us, "off",
                  &off) != 0 ||
      !session_name_ok(tti_slice_of(name)) || strlen(id) != SESSION_ID)
    return false;
  *out = (session){.captured = session_user_facing(v),
                   .otlp = otlp != 0,
                   .start_seq = (uint64_t)start_seq,
                   .started_us = started_us,
                   .applied_us = applied_us};
  memcpy(out->name, name, strlen(name) + 1);
  memcpy(out->id, id, SESSION_ID + 1);
  json_array_foreach(off, i, word) {
    int found = tti_vocabulary_find(v, tti_slice_of(json_string_value(word)));
    if (found >= 0)
      out->captured &= ~(UINT64_C(1) << found);
  }
  out->captured |= UINT64_C(1) << TTI_CATEGORY_SYSTEM;
  return true;
}

tt_error session_table_read(tti_slice text, const tti_vocabulary *v,
                            session_table *out_table) {
  session_table t = {0};
  tt_error error = TT_OK;
  json_t *items = json_loadb(text.len ? text.ptr : "", text.len, 0, NULL);
  json_t *item;
  size_t i;
  session one;
  if (!json_is_array(items))
    error = TT_EPARSE;
  json_array_foreach(items, i, item) {
    if (!error && !read_one(item, v, &one))
      error = TT_EPARSE;
    if (!error)
      error = session_put(&t, &one);
  }
  json_decref(items);
  if (error)
    session_table_fini(&t);
  else
    *out_table = t;
  return error;
}

/* ---- For clients ---- */

void session_show(const session *one, const tti_vocabulary *v, uint64_t seq,
                  uint64_t dropped, tti_buf *out) {
  uint64_t captured = one ? one->captured : 0;
  tti_buf_append_text(out, "\"config\":{\"browser\":{");
  for (size_t i = 0; i < v->category_count; i++) {
    if (i)
      tti_buf_append_char(out, ',');
    tti_json_write_key(out, v->categories[i]);
    tti_buf_printf(out, "{\"enabled\":%s}",
                   captured >> i & 1 ? "true" : "false");
  }
  tti_buf_printf(out, "},\"export\":{\"otlp\":{\"enabled\":%s}}}",
                 one && one->otlp ? "true" : "false");
  if (one)
    tti_buf_printf(out, ",\"session_id\":\"%s\",\"start_seq\":%llu", one->id,
                   (unsigned long long)one->start_seq);
  tti_buf_printf(out, ",\"seq\":%llu,\"dropped_events\":%llu",
                 (unsigned long long)seq, (unsigned long long)dropped);
  if (one) {
    char text[TTI_RFC3339_MAX];
    size_t len = tti_rfc3339_format(one->applied_us, text);
    tti_buf_printf(out, ",\"applied_at\":\"%.*s\"", (int)len, text);
  }
}
