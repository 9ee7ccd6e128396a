#include "server/deliver/request.h"
#include "tests/unit.h"

#include <stdio.h>

#define STANDARD "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static const due_webhook plain = {.enabled = true,
                                  .url = "https://example.com/",
                                  .format = "standard",
                                  .headers = "",
                                  .secret = STANDARD,
                                  .previous_secret = ""};

static due_delivery delivery_of(const char *body) {
  return (due_delivery){.id = "whd_1",
                        .event_id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
                        .type = "order.paid",
                        .source = "shop",
                        .category = "orders",
                        .agent_id = "",
                        .level = "info",
                        .body = tti_slice_of(body)};
}

/* What the list says of a header: behind its colon; NULL: nothing. */
static const char *header(const request *r, const char *name) {
  size_t len = strlen(name);
  for (struct curl_slist *line = r->headers; line; line = line->next)
    if (strncmp(line->data, name, len) == 0 && line->data[len] == ':')
      return line->data + len + 1 + strspn(line->data + len + 1, " ");
  return NULL;
}

static request made(const due_webhook *w, const due_delivery *d, int64_t at_s) {
  request r;
  const char *problem = NULL;
  struct curl_slist *extra = request_extra(w->headers);
  assert_int_equal(request_init(&r, w, extra, d, at_s * 1000000, &problem),
                   TT_OK);
  curl_slist_free_all(extra);
  return r;
}

/* The vector of the standard's own reference. */
static void standard_is_signed_as_the_standard_says(void **state) {
  (void)state;
  due_delivery d = delivery_of("{\"test\": 2432232314}");
  request r = made(&plain, &d, 1614265330);
  assert_string_equal(header(&r, "webhook-id"), d.event_id);
  assert_string_equal(header(&r, "webhook-timestamp"), "1614265330");
  assert_string_equal(header(&r, "webhook-signature"),
                      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  assert_string_equal(header(&r, "telltale-delivery-id"), "whd_1");
  assert_string_equal(header(&r, "Content-Type"), "application/json");
  assert_ptr_equal(r.body.ptr, d.body.ptr);
  request_fini(&r);
}

static void both_secrets_sign_while_one_is_replaced(void **state) {
  (void)state;
  due_webhook w = plain;
  due_delivery d = delivery_of("{\"test\": 2432232314}");
  w.secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  w.previous_secret = STANDARD;
  w.previous_until_us = (int64_t)1614265330 * 1000000 + 1;
  request r = made(&w, &d, 1614265330);
  assert_non_null(strstr(header(&r, "webhook-signature"),
                         " v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
  request_fini(&r);
  r = made(&w, &d, 1614265331);
  assert_null(strchr(header(&r, "webhook-signature"), ' '));
  request_fini(&r);
}

static void e2a_has_its_own_headers(void **state) {
  (void)state;
  due_webhook w = plain;
  due_delivery d = delivery_of(
      "{\"type\":\"email.sent\",\"id\":\"evt_vector\",\"schema_version\":\"1\","
      "\"created_at\":\"2023-11-14T22:13:20Z\",\"data\":{\"message_id\":\"msg_"
      "vector\"}}");
  w.format = "e2a";
  w.secret = "whsec_current_vector";
  w.previous_secret = "whsec_previous_vector";
  w.previous_until_us = INT64_MAX;
  request r = made(&w, &d, 1700000000);
  assert_string_equal(
      header(&r, "X-E2A-Signature"),
      "t=1700000000,"
      "v1=1de00bc31e17fd3bec71b082a780ff6b2cbdf75a33dff23bf5fd17011ad480b4,"
      "v1=5e52f2321124cafff81c81397278a776dd24a4087ae6aed8fcc8b9c183593872");
  assert_string_equal(header(&r, "X-E2A-Event-Type"), "order.paid");
  assert_string_equal(header(&r, "X-E2A-Schema-Version"), "1");
  assert_string_equal(header(&r, "User-Agent"), "e2a-webhooks/1");
  assert_null(header(&r, "webhook-signature"));
  request_fini(&r);
}

static void a_webhook_has_headers_of_its_own(void **state) {
  (void)state;
  due_webhook w = plain;
  due_delivery d = delivery_of("{}");
  w.headers = "{\"Authorization\":\"Bearer a b\",\"X-Empty\":\"\","
              "\"X-Two\":\"a\\r\\nX-Three: b\",\"X Bad\":\"c\",\"X-N\":1}";
  request r = made(&w, &d, 1);
  assert_string_equal(header(&r, "Authorization"), "Bearer a b");
  assert_null(header(&r, "X-Two"));
  assert_null(header(&r, "X Bad"));
  assert_null(header(&r, "X-N"));
  bool empty = false;
  for (struct curl_slist *line = r.headers; line; line = line->next)
    empty = empty || strcmp(line->data, "X-Empty;") == 0;
  assert_true(empty);
  request_fini(&r);
}

static void a_malformed_secret_is_told(void **state) {
  (void)state;
  due_webhook w = plain;
  due_delivery d = delivery_of("{}");
  const char *problem = NULL;
  request r;
  w.secret = "nonsense";
  assert_int_equal(request_init(&r, &w, NULL, &d, 1, &problem), TT_EINVAL);
  assert_non_null(strstr(problem, "rotate it"));
  request_fini(&r);
}

static void assert_chat(const char *format, const due_delivery *d,
                        const char *wanted) {
  due_webhook w = plain;
  w.format = format;
  request r = made(&w, d, 1);
  char text[1024];
  snprintf(text, sizeof text, "%.*s", (int)r.body.len, r.body.ptr);
  assert_string_equal(text, wanted);
  assert_null(header(&r, "webhook-signature"));
  request_fini(&r);
}

static void people_get_a_message(void **state) {
  (void)state;
  due_delivery d = delivery_of("{\"type\":\"order.paid\",\"data\":{\"who\":"
                               "\"<!here> & `x`\"}}");
  assert_chat("slack", &d,
              "{\"text\":\"[info] shop/orders: order.paid\\n```\\n{\\\"who\\\":"
              "\\\"&lt;!here&gt; &amp; 'x'\\\"}\\n```\"}");
  assert_chat("discord", &d,
              "{\"allowed_mentions\":{\"parse\":[]},\"content\":\"[info] "
              "shop/orders: order.paid\\n```\\n{\\\"who\\\":\\\"<!here> & "
              "'x'\\\"}\\n```\"}");
  d.agent_id = "a1";
  d.source = d.level = "";
  d.body = TTI_SLICE("{\"type\":\"order.paid\",\"data\":null}");
  assert_chat("slack", &d, "{\"text\":\"orders: order.paid (agent: a1)\"}");
}

static void a_long_message_is_cut_between_characters(void **state) {
  (void)state;
  char body[8000] = "{\"data\":\"x";
  for (size_t len = strlen(body); len < 6000; len += 2)
    memcpy(body + len, "é", 3);
  memcpy(body + strlen(body), "\"}", 3);
  due_delivery d = delivery_of(body);
  due_webhook w = plain;
  w.format = "discord";
  request r = made(&w, &d, 1);
  assert_true(r.body.len < 1400);
  tti_slice tail = {r.body.ptr + r.body.len - 12, 12};
  assert_memory_equal(tail.ptr, "é…\\n```\"}", 12);
  request_fini(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(standard_is_signed_as_the_standard_says),
      cmocka_unit_test(both_secrets_sign_while_one_is_replaced),
      cmocka_unit_test(e2a_has_its_own_headers),
      cmocka_unit_test(a_webhook_has_headers_of_its_own),
      cmocka_unit_test(a_malformed_secret_is_told),
      cmocka_unit_test(people_get_a_message),
      cmocka_unit_test(a_long_message_is_cut_between_characters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
