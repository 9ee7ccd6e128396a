/* What every store promises: webhooks, published events and deliveries. */
#include "tests/contract/support/store.h"

#include "server/store/tables/deliveries.h"
#include "server/store/tables/expiry.h"
#include "server/store/tables/outbox.h"
#include "server/store/tables/webhooks.h"

/* Steps of a test run on the threads where such work belongs. */
typedef struct step {
  void (*work)(struct step *s, store_tx *tx);
  char text[400]; /* what was seen */
  tt_error result;
  int64_t next;
  bool inserted;
} step;

static tt_error work(store_job *job, store_tx *tx) {
  step *s = job->owner;
  s->work(s, tx);
  return TT_OK;
}

static tt_error look(store_read *read, store_tx *tx) {
  step *s = read->owner;
  s->work(s, tx);
  return TT_OK;
}

static step change(fixture *f, void (*body)(step *s, store_tx *tx)) {
  step s = {.work = body};
  waited w = {.job = {.kind = STORE_JOB_RUN, .run = work, .owner = &s}};
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_OK);
  return s;
}

static step ask(fixture *f, void (*body)(step *s, store_tx *tx)) {
  step s = {.work = body};
  waited_read r = {.read = {.run = look, .owner = &s}};
  assert_int_equal(try_read(f, &r), TT_OK);
  return s;
}

static void note(step *s, tti_slice text) {
  size_t len = strlen(s->text);
  snprintf(s->text + len, sizeof s->text - len, "%.*s ", (int)text.len,
           text.ptr);
}

static bool see_webhook(void *context, const webhook *row) {
  note(context, row->id);
  return true;
}

static bool see_event(void *context, const outbox_row *row) {
  note(context, row->event.id);
  return true;
}

/* ---- Webhooks ---- */

static const webhook full = {.id = {"wh_b", 4},
                             .url = {"https://b", 9},
                             .description = {"B", 1},
                             .events = {"[\"*\"]", 5},
                             .filters = {"{}", 2},
                             .headers = {"{}", 2},
                             .format = {"slack", 5},
                             .ordered = true,
                             .secret = {"s", 1},
                             .previous_secret = {"p", 1},
                             .previous_until_us = 1,
                             .enabled = true,
                             .auto_disabled_us = 2,
                             .last_delivered_us = 3,
                             .created_us = 20,
                             .updated_us = 4};

static webhook simple(const char *id, int64_t created_us, bool enabled) {
  return (webhook){.id = tti_slice_of(id),
                   .url = TTI_SLICE("https://x"),
                   .events = TTI_SLICE("[\"*\"]"),
                   .format = TTI_SLICE("standard"),
                   .secret = TTI_SLICE("s"),
                   .enabled = enabled,
                   .created_us = created_us,
                   .updated_us = created_us};
}

static void insert_webhooks(step *s, store_tx *tx) {
  webhook rows[] = {simple("wh_d", 10, true), simple("wh_a", 20, false), full,
                    simple("wh_c", 30, true)};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(webhooks_insert(tx, &rows[i]), TT_OK);
  s->result = webhooks_insert(tx, &full);
}

static void get_full(step *s, store_tx *tx) {
  tti_buf texts;
  webhook row;
  uint64_t count;
  tti_buf_init(&texts, 4096);
  assert_int_equal(webhooks_get(tx, TTI_SLICE("wh_b"), &texts, &row), TT_OK);
  assert_true(tti_slice_eq(row.url, full.url));
  assert_true(tti_slice_eq(row.previous_secret, full.previous_secret));
  assert_true(row.ordered && row.enabled);
  assert_int_equal(row.previous_until_us, 1);
  assert_int_equal(row.auto_disabled_us, 2);
  assert_int_equal(row.last_delivered_us, 3);
  assert_int_equal(row.created_us, 20);
  assert_int_equal(row.updated_us, 4);
  assert_int_equal(webhooks_get(tx, TTI_SLICE("wh_a"), &texts, &row), TT_OK);
  assert_null(row.description.ptr);
  assert_int_equal(row.auto_disabled_us, 0);
  s->result = webhooks_get(tx, TTI_SLICE("wh_z"), &texts, &row);
  tti_buf_fini(&texts);
  assert_int_equal(webhooks_count(tx, &count), TT_OK);
  assert_int_equal(count, 4);
}

static void list_pages(step *s, store_tx *tx) {
  assert_int_equal(webhooks_list(tx, 0, (tti_slice){0}, 2, see_webhook, s),
                   TT_OK);
  note(s, TTI_SLICE("|"));
  assert_int_equal(webhooks_list(tx, 20, TTI_SLICE("wh_b"), 5, see_webhook, s),
                   TT_OK);
}

static void walk_by_id(step *s, store_tx *tx) {
  assert_int_equal(webhooks_by_id(tx, true, (tti_slice){0}, 2, see_webhook, s),
                   TT_OK);
  note(s, TTI_SLICE("|"));
  assert_int_equal(
      webhooks_by_id(tx, false, TTI_SLICE("wh_b"), 9, see_webhook, s), TT_OK);
}

static void webhooks_are_kept_as_given(void **state) {
  fixture *f = *state;
  assert_int_equal(change(f, insert_webhooks).result, TT_ECONFLICT);
  assert_int_equal(ask(f, get_full).result, TT_ENOTFOUND);
  assert_string_equal(ask(f, list_pages).text, "wh_c wh_b | wh_a wh_d ");
  assert_string_equal(ask(f, walk_by_id).text, "wh_b wh_c | wh_c wh_d ");
}

static void update_and_delete(step *s, store_tx *tx) {
  tti_buf texts;
  webhook row = simple("wh_b", 999, false);
  tti_buf_init(&texts, 4096);
  assert_int_equal(webhooks_update(tx, &row), TT_OK);
  assert_int_equal(webhooks_get(tx, row.id, &texts, &row), TT_OK);
  assert_null(row.description.ptr);
  assert_false(row.enabled);
  assert_int_equal(row.created_us, 20);
  assert_int_equal(row.updated_us, 999);
  assert_int_equal(webhooks_delete(tx, TTI_SLICE("wh_b")), TT_OK);
  assert_int_equal(webhooks_delete(tx, TTI_SLICE("wh_b")), TT_ENOTFOUND);
  s->result = webhooks_update(tx, &full);
  tti_buf_fini(&texts);
}

static void webhooks_are_changed_and_deleted(void **state) {
  fixture *f = *state;
  change(f, insert_webhooks);
  assert_int_equal(change(f, update_and_delete).result, TT_ENOTFOUND);
}

/* ---- Events ---- */

static bool publish(store_tx *tx, const char *id, const char *type,
                    int64_t created_us) {
  bool inserted;
  outbox_row row = {.event = {.id = tti_slice_of(id),
                              .type = tti_slice_of(type),
                              .labels = TTI_SLICE("[\"vip\"]"),
                              .body = TTI_SLICE("{}"),
                              .created_us = created_us,
                              .next_poll_us = created_us,
                              .expires_us = created_us + 1000},
                    .seq = 7,
                    .request = TTI_SLICE("hash")};
  assert_int_equal(outbox_insert(tx, &row, &inserted), TT_OK);
  return inserted;
}

static void publish_some(step *s, store_tx *tx) {
  (void)s;
  assert_true(publish(tx, "evt_1", "a", 10));
  assert_false(publish(tx, "evt_1", "b", 20));
  assert_true(publish(tx, "evt_2", "b", 20));
  assert_true(publish(tx, "evt_3", "a", 30));
  assert_true(publish(tx, "evt_4", "a", 40));
}

static bool see_first(void *context, const outbox_row *row) {
  step *s = context;
  assert_true(tti_slice_eq(row->event.type, TTI_SLICE("a")));
  assert_true(tti_slice_eq(row->event.body, TTI_SLICE("{}")));
  assert_true(tti_slice_eq(row->event.labels, TTI_SLICE("[\"vip\"]")));
  assert_true(tti_slice_eq(row->request, TTI_SLICE("hash")));
  assert_null(row->event.subject.ptr);
  assert_int_equal(row->seq, 7);
  assert_int_equal(row->status, OUTBOX_PENDING);
  assert_int_equal(row->event.created_us, 10);
  s->inserted = true;
  return true;
}

static void get_event(step *s, store_tx *tx) {
  assert_int_equal(outbox_get(tx, TTI_SLICE("evt_1"), see_first, s), TT_OK);
  s->result = outbox_get(tx, TTI_SLICE("evt_9"), see_first, s);
}

static void list_events(step *s, store_tx *tx) {
  outbox_filter filter = {.type = TTI_SLICE("a")};
  assert_int_equal(outbox_list(tx, &filter, 2, 100, see_event, s, &s->next),
                   TT_OK);
  note(s, TTI_SLICE("|"));
  filter.before_n = s->next;
  assert_int_equal(outbox_list(tx, &filter, 1, 100, see_event, s, &s->next),
                   TT_OK);
  assert_int_equal(s->next, 0);
  note(s, TTI_SLICE("|"));
  outbox_filter times = {.since_us = 20, .until_us = 40, .now_us = 1025};
  assert_int_equal(outbox_list(tx, &times, 9, 100, see_event, s, &s->next),
                   TT_OK);
  note(s, TTI_SLICE("|"));
  outbox_filter done = {.has_status = true, .status = OUTBOX_PROCESSED};
  assert_int_equal(outbox_list(tx, &done, 9, 2, see_event, s, &s->next), TT_OK);
}

static void an_id_is_published_once(void **state) {
  fixture *f = *state;
  change(f, publish_some);
  step s = ask(f, get_event);
  assert_true(s.inserted);
  assert_int_equal(s.result, TT_ENOTFOUND);
}

static void events_are_listed_newest_first(void **state) {
  fixture *f = *state;
  change(f, publish_some);
  step s = ask(f, list_events);
  assert_string_equal(s.text, "evt_4 evt_3 | evt_1 | evt_3 | ");
  assert_true(s.next > 0); /* two rows were looked at: there are more */
}

static void expire_large_ones(step *s, store_tx *tx) {
  static char body[100000];
  char id[20];
  int64_t place = 0;
  expiry gone = {.more = true};
  for (int i = 0; i < 10; i++) {
    snprintf(id, sizeof id, "evt_%d", i);
    outbox_row row = {.event = {.id = tti_slice_of(id),
                                .type = TTI_SLICE("a"),
                                .body = {body, sizeof body},
                                .created_us = 1,
                                .next_poll_us = 1,
                                .expires_us = 2}};
    uint64_t matched;
    bool done;
    assert_int_equal(outbox_insert(tx, &row, &done), TT_OK);
    assert_int_equal(
        outbox_close(tx, tx_last_rowid(tx), row.event.id, 1, &matched, &done),
        TT_OK);
  }
  for (s->next = 0; gone.more; s->next++) {
    assert_int_equal(expiry_events(tx, 3, 1000, &place, &gone), TT_OK);
    assert_in_range(gone.rows, 0, 3);
  }
}

static void large_events_expire_a_few_at_a_time(void **state) {
  step s = change(*state, expire_large_ones);
  assert_int_equal(s.next, 4);
}

/* ---- Deliveries ---- */

static bool deliver(store_tx *tx, const char *webhook_id, const char *replay,
                    bool enabled_only) {
  char id[TABLES_ID_SIZE];
  bool inserted;
  delivery row = {.webhook_id = tti_slice_of(webhook_id),
                  .event_id = TTI_SLICE("evt_1"),
                  .replay_id = tti_slice_of(replay),
                  .event_type = TTI_SLICE("a"),
                  .created_us = 5};
  assert_int_equal(deliveries_insert(tx, &row, enabled_only, id, &inserted),
                   TT_OK);
  assert_int_equal(strlen(id), 36);
  return inserted;
}

static void deliver_some(step *s, store_tx *tx) {
  (void)s;
  assert_true(deliver(tx, "wh_c", NULL, true));
  assert_false(deliver(tx, "wh_c", NULL, true));
  assert_true(deliver(tx, "wh_c", "r1", true));
  assert_true(deliver(tx, "wh_c", "r2", true));
  assert_true(deliver(tx, "wh_d", NULL, true));
  assert_false(deliver(tx, "wh_a", NULL, true));
  assert_true(deliver(tx, "wh_a", "r", false));
  assert_false(deliver(tx, "wh_gone", NULL, true));
}

static void a_webhook_gets_an_event_once(void **state) {
  fixture *f = *state;
  change(f, insert_webhooks);
  change(f, deliver_some);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(webhooks_are_kept_as_given),
      cmocka_unit_test(webhooks_are_changed_and_deleted),
      cmocka_unit_test(an_id_is_published_once),
      cmocka_unit_test(events_are_listed_newest_first),
      cmocka_unit_test(large_events_expire_a_few_at_a_time),
      cmocka_unit_test(a_webhook_gets_an_event_once),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
