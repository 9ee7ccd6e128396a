#include "server/fleet/control.h"
#include "server/fleet/read_internal.h"

#include "lib/json/write.h"
#include "server/io/clock.h"
#include "server/store/tables/fleet_instances.h"
#include "server/store/tables/fleet_updates.h"

bool fleet_bounds_get(http_request *request, int64_t *out_since_us,
                      int64_t *out_until_us) {
  int64_t *const out[] = {out_since_us, out_until_us};
  for (size_t i = 0; i < 2; i++) {
    tti_slice text = http_parameter_get(request, &fleet_bounds[i]);
    if (!text.ptr || tti_rfc3339_parse(text, out[i]))
      continue;
    http_reply_error(request, 400, fleet_bounds[i].code,
                     "%s has to be a time such as 2026-01-02T15:04:05Z "
                     "(RFC 3339)",
                     fleet_bounds[i].name);
    return false;
  }
  return true;
}

/* ---- Instances ---- */

static const char *ended_name(int ended) {
  return ended == 410 ? "410" : ended == 451 ? "451" : "stop";
}

static bool is_late(const fleet_instance *i, int64_t now_us) {
  return i->expect_next_us > 0 && i->expect_next_us < now_us;
}

static void put_instance(tti_buf *out, const fleet_instance *i) {
  tti_buf_printf(out, "{\"id\":\"%s\"", i->id);
  api_put_time(out, "first_at", i->first_us);
  api_put_time(out, "last_at", i->last_us);
  if (i->expect_next_us)
    api_put_time(out, "expect_next", i->expect_next_us);
  if (i->ended)
    tti_buf_printf(out, ",\"ended\":\"%s\"", ended_name(i->ended));
  tti_buf_printf(out,
                 ",\"late\":%s,\"updates\":%llu,\"skewed\":%llu,\"fields\":",
                 is_late(i, server_wall_us()) ? "true" : "false",
                 (unsigned long long)i->updates, (unsigned long long)i->skewed);
  tti_buf_append(out, i->fields, i->fields_len);
}

/* Which instances are wanted. */
typedef struct selection {
  api_list list;
  fleet_instance row;
  tti_slice key; /* ptr NULL: any */
  fleet_fields where;
  bool late;
  int64_t since_us, until_us;
} selection;

static bool has_fields(const selection *s, bool *out_match) {
  fleet_fields fields;
  tti_arena arena = {0};
  *out_match = true;
  if (!s->where.count)
    return true;
  tt_error error = fleet_fields_read(
      (tti_slice){s->row.fields, s->row.fields_len}, &arena, &fields);
  for (size_t i = 0; !error && i < s->where.count; i++) {
    const tti_slice *value = fleet_fields_get(&fields, s->where.items[i].name);
    if (!value || !fleet_fits(s->where.items[i].value, *value))
      *out_match = false;
  }
  tti_arena_fini(&arena);
  return !error;
}

static tt_error is_selected(const selection *s, store_tx *tx, bool *out_match) {
  if (!has_fields(s, out_match))
    return TT_ENOMEM;
  if (s->row.last_us < s->since_us || s->row.last_us >= s->until_us)
    *out_match = false;
  return *out_match && s->key.ptr
             ? fleet_keys_match(tx, s->key, &s->row.keys, out_match)
             : TT_OK;
}

static tt_error read_instances(api_list *list, store_tx *tx) {
  selection *s = (selection *)list;
  tt_error error = TT_OK;
  api_place from = list->from;
  if (!s->late && from.at >= s->until_us)
    from = (api_place){s->until_us - 1, INT64_MAX};
  sqlite3_stmt *stmt =
      s->late ? fleet_instances_due(tx, from.at, from.n, server_wall_us())
              : fleet_instances_before(tx, from.at, from.n, s->since_us);
  while (!error && !list->over && fleet_instances_step(tx, stmt, &s->row)) {
    api_place at = {s->late ? s->row.expect_next_us : s->row.last_us, s->row.n};
    bool match;
    error = is_selected(s, tx, &match);
    if (error)
      break;
    if (!match) {
      api_list_pass(list, at);
    } else if (api_list_next(list, at)) {
      put_instance(&list->call.body, &s->row);
      tti_buf_append_char(&list->call.body, '}');
    }
  }
  tt_error end = tx_end(tx, stmt);
  return error ? error : end;
}

/* "version:1.*,os:linux". */
static bool parse_where(tti_slice text, fleet_fields *out_where) {
  while (text.len) {
    const char *comma = memchr(text.ptr, ',', text.len);
    size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
    const char *colon = memchr(text.ptr, ':', len);
    if (!colon || colon == text.ptr || out_where->count == FLEET_WHERE_MAX)
      return false;
    size_t name = (size_t)(colon - text.ptr);
    out_where->items[out_where->count++] =
        (fleet_field){{text.ptr, name}, {colon + 1, len - name - 1}};
    text.ptr += len + (comma != NULL);
    text.len -= len + (comma != NULL);
  }
  return true;
}

enum { WHERE, KEY, LATE };

void fleet_instances_list_serve(http_request *request, void *context) {
  fleet_read *r = context;
  size_t late = 1;
  selection *s = api_list_new(request, r->store, sizeof *s, read_instances);
  if (!s)
    return;
  s->until_us = INT64_MAX;
  s->key = http_parameter_get(request, &fleet_selection[KEY]);
  if (!parse_where(http_parameter_get(request, &fleet_selection[WHERE]),
                   &s->where))
    http_reply_error(request, 400, "invalid_where",
                     "where: has to be up to %d pairs such as "
                     "version:1.*,os:linux",
                     FLEET_WHERE_MAX);
  else if (http_parameter_word(request, &fleet_selection[LATE], &late) &&
           fleet_bounds_get(request, &s->since_us, &s->until_us)) {
    s->late = late == 0;
    api_list_run(&s->list);
  }
}

/* ---- One instance ---- */

/* The path's instance; false: answered. */
static bool path_instance(http_request *request, char out_id[FLEET_ID_TEXT]) {
  tti_slice text = http_request_param(request, "instance");
  if (fleet_id_parse(text, out_id))
    return true;
  http_reply_error(request, 404, "instance_not_found",
                   "an instance's id is a UUID; `telltale fleet instances` "
                   "lists them");
  return false;
}

static void refuse_unknown(api_call *call) {
  api_call_refuse(call, 404, "instance_not_found",
                  "no instance of this id has reported; `telltale fleet "
                  "instances` lists those that have");
}

typedef struct detail {
  api_call call;
  char id[FLEET_ID_TEXT];
  fleet_instance row;
} detail;

static tt_error read_detail(store_read *read, store_tx *tx) {
  detail *d = read->owner;
  fleet_update_row update;
  tti_buf *out = &d->call.body;
  tt_error error = fleet_instances_find(tx, d->id, &d->row);
  if (error)
    return error;
  put_instance(out, &d->row);
  sqlite3_stmt *stmt = fleet_updates_before(tx, d->row.n, INT64_MAX);
  if (fleet_updates_step(tx, stmt, &update) && update.data.ptr) {
    tti_buf_append_text(out, ",\"data\":");
    tti_json_write_one_line(out, update.data);
  }
  tti_buf_append_char(out, '}');
  return tx_end(tx, stmt);
}

static void answer_detail(api_call *call) {
  if (call->read.error == TT_ENOTFOUND)
    refuse_unknown(call);
  else
    api_call_reply(call, 200);
}

void fleet_instance_show_serve(http_request *request, void *context) {
  fleet_read *r = context;
  detail *d = api_call_new(request, sizeof *d, answer_detail);
  if (!d || !path_instance(request, d->id))
    return;
  d->call.read.run = read_detail;
  api_call_read(&d->call, r->store);
}

/* ---- Its updates ---- */

typedef struct history {
  api_list list;
  char id[FLEET_ID_TEXT];
  fleet_instance row;
} history;

static void put_update(tti_buf *out, const fleet_update_row *u) {
  char text[TTI_RFC3339_MAX];
  tti_rfc3339_format(u->received_us, text);
  tti_buf_printf(out, "{\"received_at\":\"%s\"", text);
  if (u->timestamp_us != INT64_MIN)
    api_put_time(out, "timestamp", u->timestamp_us);
  if (u->expect_next_us)
    api_put_time(out, "expect_next", u->expect_next_us);
  if (u->data.ptr) {
    tti_buf_append_text(out, ",\"data\":");
    tti_json_write_one_line(out, u->data);
  }
  tti_buf_append_char(out, '}');
}

static tt_error read_updates(api_list *list, store_tx *tx) {
  history *h = (history *)list;
  fleet_update_row row;
  tt_error error = fleet_instances_find(tx, h->id, &h->row);
  if (error)
    return error;
  sqlite3_stmt *stmt = fleet_updates_before(tx, h->row.n, list->from.n);
  while (!list->over && fleet_updates_step(tx, stmt, &row))
    if (api_list_next(list, (api_place){0, row.n}))
      put_update(&list->call.body, &row);
  return tx_end(tx, stmt);
}

static void refuse_history(api_list *list) {
  refuse_unknown(&list->call);
}

void fleet_updates_list_serve(http_request *request, void *context) {
  fleet_read *r = context;
  history *h = api_list_new(request, r->store, sizeof *h, read_updates);
  if (!h || !path_instance(request, h->id))
    return;
  h->list.missing = refuse_history;
  api_list_run(&h->list);
}

/* ---- Keys ---- */

static void put_key(tti_buf *out, const fleet_key_row *row) {
  const char *comma = "";
  tti_buf_append_text(out, "{\"key\":");
  tti_json_write_string(out, row->key);
  tti_buf_append_text(out, ",\"shapes\":[");
  for (int shape = 0; shape < FLEET_SHAPES; shape++)
    if (row->shapes >> shape & 1) {
      tti_buf_printf(out, "%s\"%s\"", comma,
                     fleet_shape_name((fleet_shape)shape));
      comma = ",";
    }
  tti_buf_printf(out, "],\"instances\":%lld", (long long)row->instances);
  api_put_time(out, "first_at", row->first_us);
  api_put_time(out, "last_at", row->last_us);
  tti_buf_append_char(out, '}');
}

static tt_error read_keys(api_list *list, store_tx *tx) {
  fleet_key_row row;
  sqlite3_stmt *stmt = fleet_keys_before(tx, list->from.n);
  while (!list->over && fleet_keys_step(tx, stmt, &row))
    if (api_list_next(list, (api_place){0, row.n}))
      put_key(&list->call.body, &row);
  return tx_end(tx, stmt);
}

void fleet_keys_list_serve(http_request *request, void *context) {
  fleet_read *r = context;
  api_list *list = api_list_new(request, r->store, sizeof *list, read_keys);
  if (list)
    api_list_run(list);
}
