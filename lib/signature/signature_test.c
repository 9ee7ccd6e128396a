#include "tests/unit.h"

#include <stdio.h>
#include <string.h>
#include <telltale/signature.h>

#define STANDARD_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define STANDARD_ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define STANDARD_BODY      "{\"test\": 2432232314}"
#define STANDARD_TIME      1614265330
#define STANDARD_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

#define E2A_BODY                                                               \
  "{\"type\":\"email.sent\",\"id\":\"evt_vector\",\"schema_version\":\"1\","   \
  "\"created_at\":\"2023-11-14T22:13:20Z\",\"data\":{\"message_id\":"          \
  "\"msg_vector\"}}"
#define E2A_TIME 1700000000
#define E2A_CURRENT                                                            \
  "1de00bc31e17fd3bec71b082a780ff6b2cbdf75a33dff23bf5fd17011ad480b4"
#define E2A_PREVIOUS                                                           \
  "5e52f2321124cafff81c81397278a776dd24a4087ae6aed8fcc8b9c183593872"

static tt_signature_options standard(void) {
  return (tt_signature_options){.secrets = {STANDARD_SECRET},
                                .now_s = STANDARD_TIME};
}

static tt_webhook standard_webhook(void) {
  return (tt_webhook){.id = STANDARD_ID,
                      .timestamp = "1614265330",
                      .signature = STANDARD_SIGNATURE,
                      .body = STANDARD_BODY,
                      .body_len = strlen(STANDARD_BODY)};
}

static tt_signature_options e2a(void) {
  return (tt_signature_options){.scheme = TT_SIGNATURE_E2A,
                                .secrets = {"whsec_current_vector"},
                                .now_s = E2A_TIME};
}

static tt_webhook e2a_webhook(const char *signature) {
  return (tt_webhook){
      .signature = signature, .body = E2A_BODY, .body_len = strlen(E2A_BODY)};
}

static void expect(const tt_signature_options *options,
                   const tt_webhook *webhook, tt_error expected,
                   const char *word) {
  const char *problem = "";
  assert_string_equal(
      tt_error_name(tt_signature_verify(options, webhook, &problem)),
      tt_error_name(expected));
  if (!strstr(problem, word))
    fail_msg("no \"%s\" in \"%s\"", word, problem);
}

/* The published vector of Standard Webhooks, both ways. */
static void standard_vector(void **state) {
  (void)state;
  tt_signature_options options = standard();
  tt_webhook webhook = standard_webhook();
  char signature[TELLTALE_SIGNATURE_SIZE];
  assert_int_equal(tt_signature_sign(&options, STANDARD_ID, STANDARD_TIME,
                                     STANDARD_BODY, strlen(STANDARD_BODY),
                                     signature),
                   TT_OK);
  assert_string_equal(signature, STANDARD_SIGNATURE);
  assert_int_equal(tt_signature_verify(&options, &webhook, NULL), TT_OK);
}

/* The vector of e2a, whose key is the secret's text as it stands; while the
 * secret is replaced, both sign and either is enough. */
static void e2a_vector(void **state) {
  (void)state;
  static const char both[] = "t=1700000000,v1=" E2A_CURRENT ",v1=" E2A_PREVIOUS;
  tt_signature_options options = e2a();
  options.secrets[1] = "whsec_previous_vector";
  char signature[TELLTALE_SIGNATURE_SIZE];
  assert_int_equal(tt_signature_sign(&options, NULL, E2A_TIME, E2A_BODY,
                                     strlen(E2A_BODY), signature),
                   TT_OK);
  assert_string_equal(signature, both);

  tt_webhook webhook = e2a_webhook(both);
  static const char *const secrets[] = {"whsec_current_vector",
                                        "whsec_previous_vector"};
  for (int i = 0; i < 2; i++) {
    options = e2a();
    options.secrets[0] = secrets[i];
    assert_int_equal(tt_signature_verify(&options, &webhook, NULL), TT_OK);
  }
  options.secrets[0] = "whsec_next_vector";
  expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
}

/* Any one of several signatures is enough; what is of another version, or of no
 * form at all, is not looked at. */
static void one_of_several_is_enough(void **state) {
  (void)state;
  static const char *const good[] = {
      "v1,AAAA " STANDARD_SIGNATURE,
      STANDARD_SIGNATURE " v1,AAAA",
      "v1a,AAAA v2,BBBB " STANDARD_SIGNATURE,
      "  , v1 v1, " STANDARD_SIGNATURE " ",
  };
  tt_signature_options options = standard();
  tt_webhook webhook = standard_webhook();
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    webhook.signature = good[i];
    assert_int_equal(tt_signature_verify(&options, &webhook, NULL), TT_OK);
  }
  options.secrets[0] = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  options.secrets[1] = STANDARD_SECRET;
  webhook.signature = STANDARD_SIGNATURE;
  assert_int_equal(tt_signature_verify(&options, &webhook, NULL), TT_OK);
}

/* Each part that is signed counts, and so does each character of the answer. */
static void any_change_is_seen(void **state) {
  (void)state;
  tt_signature_options options = standard();
  tt_webhook webhook = standard_webhook();
  webhook.id = "msg_q5jXN8AQM9LWM0D4loKWxJek";
  expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
  webhook = standard_webhook();
  webhook.timestamp = "1614265331";
  expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
  webhook = standard_webhook();
  webhook.body_len--;
  expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
  char signature[] = STANDARD_SIGNATURE;
  webhook = standard_webhook();
  webhook.signature = signature;
  for (size_t i = 3; signature[i]; i++) {
    signature[i] ^= 1;
    expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
    signature[i] ^= 1;
  }
  static const char *const other[] = {
      STANDARD_SIGNATURE "=", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE",
      "v1,", ("v1,," STANDARD_SIGNATURE)};
  for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
    webhook.signature = other[i];
    expect(&options, &webhook, TT_ESIGNATURE, "no signature matches");
  }
}

/* The tolerance counts in both directions, to the second, and is looked at
 * first: what an old message's signature was worth is not told. */
static void the_time_must_be_near(void **state) {
  (void)state;
  static const struct {
    int64_t tolerance_s, off_by;
    const char *word; /* NULL: right */
  } rows[] = {
      {0, 300, NULL},      {0, 301, "too old"}, {0, -300, NULL},
      {0, -301, "future"}, {5, 5, NULL},        {5, 6, "too old"},
      {5, -6, "future"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    for (int wrong = 0; wrong < 2; wrong++) {
      tt_signature_options options = standard();
      tt_webhook webhook = standard_webhook();
      options.tolerance_s = rows[i].tolerance_s;
      options.now_s += rows[i].off_by;
      if (wrong)
        webhook.body_len--;
      if (rows[i].word)
        expect(&options, &webhook, TT_ESIGNATURE, rows[i].word);
      else
        expect(&options, &webhook, wrong ? TT_ESIGNATURE : TT_OK,
               wrong ? "no signature matches" : "");
    }
  /* Without a `now` it is the system's, for which the vector is too old. */
  tt_signature_options options = standard();
  tt_webhook webhook = standard_webhook();
  options.now_s = 0;
  expect(&options, &webhook, TT_ESIGNATURE, "too old");
}

/* The part that is at fault is named. */
static void headers_are_checked(void **state) {
  (void)state;
  static const struct {
    tt_webhook webhook;
    const char *word;
  } rows[] = {
      {{NULL, "1614265330", "v1,x", "", 0}, "webhook-id is missing"},
      {{"", "1614265330", "v1,x", "", 0}, "webhook-id is empty"},
      {{"a.1", "1614265330", "v1,x", "", 0}, "webhook-id is empty or holds"},
      {{"a", NULL, "v1,x", "", 0}, "webhook-timestamp is missing"},
      {{"a", "", "v1,x", "", 0}, "not a number"},
      {{"a", "-1614265330", "v1,x", "", 0}, "not a number"},
      {{"a", "1614265330 ", "v1,x", "", 0}, "not a number"},
      {{"a", "1614265330.", "v1,x", "", 0}, "not a number"},
      {{"a", "9999999999999999", "v1,x", "", 0}, "not a number"},
      {{"a", "1614265330", NULL, "", 0}, "signature's header is missing"},
      {{"a", "1614265330", "", "", 0}, "no signature of version v1"},
      {{"a", "1614265330", "v1a,x v2,y", "", 0}, "no signature of version v1"},
  };
  tt_signature_options options = standard();
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    expect(&options, &rows[i].webhook, TT_EPARSE, rows[i].word);

  static const struct {
    const char *header, *word;
  } e2a_rows[] = {
      {NULL, "header is missing"},
      {"", "one t="},
      {"v1=" E2A_CURRENT, "one t="},
      {"t=1700000000,t=1700000000,v1=" E2A_CURRENT, "one t="},
      {"t=,v1=" E2A_CURRENT, "not a number"},
      {"t=1700000000", "no signature of version v1"},
      {"t=1700000000,v0=" E2A_CURRENT, "no signature of version v1"},
  };
  options = e2a();
  for (size_t i = 0; i < sizeof(e2a_rows) / sizeof(e2a_rows[0]); i++) {
    tt_webhook webhook = e2a_webhook(e2a_rows[i].header);
    expect(&options, &webhook, TT_EPARSE, e2a_rows[i].word);
  }
}

/* A secret that is not one is the caller's mistake, not the sender's. */
static void secrets_are_checked(void **state) {
  (void)state;
  static const char *const bad[] = {
      NULL,
      "",
      "whsec_",
      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",           /* no prefix */
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",      /* not of fours */
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ",    /* a blank */
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",     /* of the other alphabet */
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",     /* 22 bytes */
      "whsec_MfKQ9r8GKYqrTwjUPD8I=PZIo2LaLaSwAAA=", /* padding within */
      /* 66 bytes, then 65 */
      "whsec_"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAAA",
      "whsec_"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      "AAAAAAAAAAAAAAAAAAAA=",
  };
  char signature[TELLTALE_SIGNATURE_SIZE] = "as it was";
  tt_webhook webhook = standard_webhook();
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    tt_signature_options options = standard();
    options.secrets[0] = bad[i];
    expect(&options, &webhook, TT_EINVAL, "secret");
    assert_int_equal(tt_signature_sign(&options, "a", 1, "", 0, signature),
                     TT_EINVAL);
    /* Also as the second, when the first is right. */
    options.secrets[0] = STANDARD_SECRET;
    options.secrets[1] = bad[i];
    if (bad[i])
      expect(&options, &webhook, TT_EINVAL, "secret");
  }
  assert_string_equal(signature, "as it was");
  tt_signature_options options = standard();
  assert_int_equal(tt_signature_sign(&options, "a.b", 1, "", 0, signature),
                   TT_EINVAL);
  assert_int_equal(tt_signature_sign(&options, NULL, 1, "", 0, signature),
                   TT_EINVAL);
  assert_int_equal(tt_signature_sign(&options, "a", -1, "", 0, signature),
                   TT_EINVAL);
  assert_string_equal(signature, "as it was");
}

/* New secrets are different, and good for either scheme and for rotation: the
 * most that fits is four of them. */
static void new_secrets_sign(void **state) {
  (void)state;
  char secrets[TELLTALE_SECRETS_MAX][TELLTALE_SECRET_SIZE];
  tt_signature_options sender = {.now_s = 999999999999999};
  for (int i = 0; i < TELLTALE_SECRETS_MAX; i++) {
    tt_signature_secret_new(secrets[i]);
    assert_int_equal(strlen(secrets[i]), TELLTALE_SECRET_SIZE - 1);
    sender.secrets[i] = secrets[i];
    for (int j = 0; j < i; j++)
      assert_string_not_equal(secrets[i], secrets[j]);
  }
  for (int scheme = 0; scheme < 2; scheme++) {
    char signature[TELLTALE_SIGNATURE_SIZE];
    sender.scheme = (tt_signature_scheme)scheme;
    assert_int_equal(
        tt_signature_sign(&sender, "evt_1", sender.now_s, "a\0b", 3, signature),
        TT_OK);
    tt_webhook webhook = {"evt_1", "999999999999999", signature, "a\0b", 3};
    for (int i = 0; i < TELLTALE_SECRETS_MAX; i++) {
      tt_signature_options receiver = {.scheme = sender.scheme,
                                       .secrets = {secrets[i]},
                                       .now_s = sender.now_s};
      assert_int_equal(tt_signature_verify(&receiver, &webhook, NULL), TT_OK);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(standard_vector),
      cmocka_unit_test(e2a_vector),
      cmocka_unit_test(one_of_several_is_enough),
      cmocka_unit_test(any_change_is_seen),
      cmocka_unit_test(the_time_must_be_near),
      cmocka_unit_test(headers_are_checked),
      cmocka_unit_test(secrets_are_checked),
      cmocka_unit_test(new_secrets_sign),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
