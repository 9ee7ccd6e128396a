// Webhooks over the API: made, listed, changed, given another secret, tested,
// deleted; and what is refused, in which words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { all, call, makeWebhook, refused } from "../harness/webhooks.mjs";
import { startServer } from "../harness/server.mjs";

const seconds = (text) => Date.parse(text) / 1000;

test("a webhook is made, shown without its secret, changed in part, and deleted", async (t) => {
  const server = await startServer(t);
  const made = await makeWebhook(server, {
    events: ["order.*", "user.signed_up"],
    description: "the shop",
    filters: { sources: ["shop"], labels: ["vip"] },
    headers: { Authorization: "Bearer x" },
  });
  assert.match(made.id, /^wh_[0-9a-f]{32}$/);
  assert.match(made.signing_secret, /^whsec_/);
  assert.equal(Buffer.from(made.signing_secret.slice(6), "base64").length, 32);
  assert.deepEqual(made.headers, { Authorization: "***" });
  assert.equal(made.enabled, true);
  const { signing_secret: secret, ...rest } = made;
  const route = `/webhooks/${made.id}`;
  assert.deepEqual((await call(server, "GET", route)).body, rest);
  assert.deepEqual((await call(server, "GET", "/webhooks")).body, { items: [rest], next_cursor: null });

  // Filters are replaced whole, the rest stays.
  const { status, body } = await call(server, "PATCH", route, { filters: { sources: ["till"] }, enabled: false });
  assert.equal(status, 200);
  assert.deepEqual(body.filters, { sources: ["till"] });
  assert.deepEqual([body.enabled, body.description, body.events], [false, "the shop", rest.events]);
  assert.ok(!JSON.stringify(body).includes(secret));
  await refused(server, "PATCH", route, { events: [] }, 400, "invalid_webhook", /events must be a non-empty array/);
  assert.deepEqual((await call(server, "GET", route)).body.events, rest.events);

  assert.equal((await call(server, "DELETE", route)).status, 204);
  for (const [method, more] of [["GET", ""], ["DELETE", ""], ["POST", "/rotate-secret"], ["POST", "/test"], ["GET", "/deliveries"], ["GET", "/redeliver-since"]])
    await refused(server, method, route + more, undefined, 404, "webhook_not_found");
  await refused(server, "PATCH", route, {}, 404, "webhook_not_found");
});

test("what makes no sense is refused in words that say what to do", async (t) => {
  const server = await startServer(t);
  const good = { url: "https://a.example/", events: ["*"] };
  const wrong = [
    [{ ...good, url: "nonsense" }, "invalid_webhook", /^invalid url: /],
    [{ ...good, url: `https://a.example/${"x".repeat(2048)}` }, "invalid_webhook", /url too long \(max 2048 chars\)/],
    [{ ...good, events: [] }, "invalid_webhook", /events must be a non-empty array/],
    [{ ...good, events: ["Order"] }, "invalid_webhook", /unknown event type "Order" \(allowed: /],
    [{ ...good, description: "x".repeat(201) }, "invalid_webhook", /description too long \(max 200 chars\)/],
    [{ ...good, filters: { sources: Array(51).fill("a") } }, "invalid_webhook", /filters.sources exceeds cap of 50/],
    [{ ...good, filter: {} }, "unknown_field", /did you mean "filters"/],
    ["{", "invalid_json", /invalid request body/],
  ];
  for (const [body, code, message] of wrong)
    await refused(server, "POST", "/webhooks", body, 400, code, message);
  assert.deepEqual(await all(server, "/webhooks", 10), []);
});

test("pages: newest first, whole, their cursors bound to the list and its filters", async (t) => {
  const server = await startServer(t);
  const ids = [];
  for (let n = 0; n < 6; n++) ids.unshift((await makeWebhook(server)).id);
  for (const limit of [1, 2, 3, 6, 7])
    assert.deepEqual((await all(server, "/webhooks", limit)).map(({ id }) => id), ids);
  // A last page that is exactly full says so.
  const last = await call(server, "GET", "/webhooks?limit=6");
  assert.equal(last.body.next_cursor, null);
  const { body } = await call(server, "GET", "/webhooks?limit=2");
  await refused(server, "GET", `/events?cursor=${body.next_cursor}`, undefined, 400, "invalid_cursor");
  await refused(server, "GET", `/webhooks?cursor=${body.next_cursor}x'`, undefined, 400, "invalid_cursor");
  for (const limit of ["0", "101", "x"])
    await refused(server, "GET", `/webhooks?limit=${limit}`, undefined, 400, "invalid_limit", /from 1 to 100/);
  // What is made while somebody pages moves nothing.
  await makeWebhook(server);
  const next = await call(server, "GET", `/webhooks?limit=2&cursor=${body.next_cursor}`);
  assert.deepEqual(next.body.items.map(({ id }) => id), ids.slice(2, 4));
});

test("a repeat with the same key makes nothing more and gets the same answer", async (t) => {
  const server = await startServer(t);
  const body = { url: "https://a.example/", events: ["*"] };
  const key = { "idempotency-key": "k1" };
  const first = await call(server, "POST", "/webhooks", body, key);
  const again = await call(server, "POST", "/webhooks", body, key);
  assert.deepEqual([again.status, again.body], [201, first.body]);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const other = await call(server, "POST", "/webhooks", { ...body, events: ["a"] }, key);
  assert.deepEqual([other.status, other.body.code], [422, "idempotency_mismatch"]);
  assert.equal((await all(server, "/webhooks", 10)).length, 1);

  const rotate = `/webhooks/${first.body.id}/rotate-secret`;
  const rotated = await call(server, "POST", rotate, undefined, key);
  assert.deepEqual((await call(server, "POST", rotate, undefined, key)).body, rotated.body);
  const tested = await call(server, "POST", `/webhooks/${first.body.id}/test`, {}, key);
  assert.equal(tested.status, 202);
  assert.deepEqual((await call(server, "POST", `/webhooks/${first.body.id}/test`, {}, key)).body, tested.body);
  assert.equal((await all(server, `/webhooks/${first.body.id}/deliveries`, 10)).length, 1);
  // Of a webhook that is gone a repeat does not make another.
  await call(server, "DELETE", `/webhooks/${first.body.id}`);
  const gone = await call(server, "POST", "/webhooks", body, key);
  assert.deepEqual([gone.status, gone.body.code], [404, "webhook_not_found"]);
  // The same key for another webhook is another one's.
  const second = await makeWebhook(server);
  const there = await call(server, "POST", `/webhooks/${second.id}/test`, {}, key);
  assert.notEqual(there.body.delivery_id, tested.body.delivery_id);
});

test("a rotated secret: the new one at once, the old one for 24 hours", async (t) => {
  const server = await startServer(t);
  const made = await makeWebhook(server);
  const { status, body, headers } = await call(server, "POST", `/webhooks/${made.id}/rotate-secret`);
  assert.equal(status, 200);
  assert.equal(headers.get("cache-control"), "no-store");
  assert.notEqual(body.signing_secret, made.signing_secret);
  assert.equal(Buffer.from(body.signing_secret.slice(6), "base64").length, 32);
  const shown = (await call(server, "GET", `/webhooks/${made.id}`)).body;
  assert.equal(shown.previous_secret_expires_at, body.previous_secret_expires_at);
  assert.equal(seconds(body.previous_secret_expires_at) - seconds(shown.updated_at), 24 * 3600);
});

test("a test: a delivery of its own, whatever the filters; not for a disabled webhook", async (t) => {
  const server = await startServer(t);
  const made = await makeWebhook(server, { events: ["never"], filters: { sources: ["nobody"] } });
  const route = `/webhooks/${made.id}`;
  const { status, body } = await call(server, "POST", `${route}/test`, { event: "order.paid", data: { n: 1 } });
  assert.equal(status, 202);
  const [delivery] = await all(server, `${route}/deliveries`, 10);
  assert.equal(delivery.id, body.delivery_id);
  assert.equal(delivery.event_type, "order.paid");
  const one = (await call(server, "GET", `${route}/deliveries/${delivery.id}`)).body;
  assert.ok(Array.isArray(one.history));
  assert.equal(one.event_id, delivery.event_id);
  await refused(server, "GET", `${route}/deliveries/none`, undefined, 404, "delivery_not_found");
  // It is no published event.
  await refused(server, "GET", `/events/${delivery.event_id}`, undefined, 404, "event_not_found");
  await refused(server, "POST", `${route}/test`, { event: "No!" }, 400, "invalid_event");
  await refused(server, "POST", `${route}/test`, { evnt: "a" }, 400, "unknown_field", /"event"/);
  await refused(server, "GET", `${route}/deliveries?status=x`, undefined, 400, "invalid_status", /pending, delivered, failed/);
  await call(server, "PATCH", route, { enabled: false });
  await refused(server, "POST", `${route}/test`, {}, 409, "webhook_disabled", /webhook is disabled/);
});

test("an event can be tried against all webhooks, and each says what keeps it away", async (t) => {
  const server = await startServer(t);
  const reasons = [];
  const make = async (reason, more) => {
    const { id } = await makeWebhook(server, more);
    reasons.unshift([id, reason === "", reason || "its events and filters match"]);
    return id;
  };
  await make("", {});
  await make("", { events: ["order.*"], filters: { sources: ["shop"], levels: [">=warn"], labels: ["vip", "b2b"] } });
  await make("none of its events matches the type", { events: ["order"] });
  await make("filters.subjects does not match", { filters: { subjects: ["order:8"] } });
  await make("filters.agent_ids does not match", { filters: { agent_ids: ["a"] } });
  await make("the webhook is disabled", { enabled: false });
  const event = { type: "order.paid", source: "shop", subject: "order:7", level: "error", labels: ["vip"], data: { n: 1 } };
  const items = [];
  let cursor = "";
  do {
    const { status, body } = await call(server, "POST", `/webhooks/match?limit=2${cursor && `&cursor=${cursor}`}`, event);
    assert.equal(status, 200, JSON.stringify(body));
    items.push(...body.items);
    cursor = body.next_cursor;
  } while (cursor);
  assert.deepEqual(items.map((item) => [item.webhook_id, item.matches, item.reason]), reasons);
  await refused(server, "POST", "/webhooks/match", {}, 400, "invalid_event", /type is required/);
  await refused(server, "POST", "/webhooks/match", { type: "a.*" }, 400, "invalid_event");
  await refused(server, "POST", "/webhooks/match", { type: "a", level: "loud" }, 400, "invalid_event");
  await refused(server, "POST", "/webhooks/match", { type: "a", kind: 1 }, 400, "unknown_field");
});

test("webhooks are there after a restart, on disk as in memory they work the same", async (t) => {
  const server = await startServer(t);
  const made = await makeWebhook(server);
  await server.kill();
  await server.start();
  assert.equal((await call(server, "GET", `/webhooks/${made.id}`)).status, 200);
  const memory = await startServer(t, { store: "memory" });
  const there = await makeWebhook(memory);
  assert.equal((await call(memory, "DELETE", `/webhooks/${there.id}`)).status, 204);
  assert.equal((await call(memory, "POST", "/janitor")).status, 200);
});
