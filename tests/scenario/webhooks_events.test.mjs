// Published events as those who care for their delivery see them: listed,
// explained, sent again; and what goes when its time is over.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sample } from "../harness/raw.mjs";
import { Receiver, allowLoopback } from "../harness/receiver.mjs";
import { all, call, makeWebhook, refused } from "../harness/webhooks.mjs";
import { startServer, until } from "../harness/server.mjs";

const DAY_US = 86400e6;

async function publish(server, type, more = {}) {
  const { status, body } = await call(server, "POST", "/events", { type, ...more });
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}

// Once its fan-out is over, or so many were delivered.
async function settled(server, id, delivered = 0) {
  return until(
    async () => {
      const { body } = await call(server, "GET", `/events/${id}`);
      return body.status !== "pending" && body.delivery_status.delivered >= delivered && body;
    },
    { timeout: 20000, what: `event ${id}` },
  );
}

async function withReceiver(t, options = {}) {
  const receiver = await new Receiver().start(t);
  const server = await startServer(t, { ...options, args: [...allowLoopback, ...(options.args ?? [])] });
  const make = async (more) => {
    const made = await makeWebhook(server, { url: receiver.url, ...more });
    receiver.secrets.push(made.signing_secret);
    return made;
  };
  return { receiver, server, make };
}

for (const store of [undefined, "memory"])
  test(`from publish to a receiver that verifies, and what is told of it (${store ?? "on disk"})`, async (t) => {
    const { receiver, server, make } = await withReceiver(t, { store });
    const hook = await make({ events: ["order.*"] });
    const id = await publish(server, "order.paid", {
      data: { order: 7, amount: 1e3 },
      subject: "order:7",
      source: "shop",
      agent_id: "till",
      labels: ["vip"],
    });
    const [request] = await receiver.gets(1);
    assert.equal(request.headers["webhook-id"], id);
    assert.deepEqual([request.event.type, request.event.id, request.event.data], ["order.paid", id, { order: 7, amount: 1000 }]);
    const event = await settled(server, id, 1);
    assert.deepEqual(event.delivery_status, { matched_webhooks: 1, delivered: 1, pending: 0, failed: 0 });
    assert.deepEqual(
      [event.type, event.subject, event.source, event.agent_id, event.labels, event.schema_version, event.status],
      ["order.paid", "order:7", "shop", "till", ["vip"], "1", "processed"],
    );
    assert.deepEqual(event.data, { order: 7, amount: 1000 });

    const [delivery] = await all(server, `/webhooks/${hook.id}/deliveries?status=delivered`, 10);
    assert.deepEqual([delivery.event_id, delivery.attempts, delivery.last_status_code], [id, 1, 200]);
    assert.equal(request.headers["telltale-delivery-id"], delivery.id);
    assert.deepEqual(await all(server, `/webhooks/${hook.id}/deliveries?status=failed`, 10), []);
    const one = (await call(server, "GET", `/webhooks/${hook.id}/deliveries/${delivery.id}`)).body;
    assert.equal(one.history.length, 1);
    assert.deepEqual([one.history[0].attempt, one.history[0].status], [1, 200]);
    assert.match(one.history[0].response, /answered 200/);
    const tested = await call(server, "POST", `/webhooks/${hook.id}/test`, { data: { test: 1 } });
    await receiver.gets(2);
    assert.equal(receiver.got[1].headers["telltale-delivery-id"], tested.body.delivery_id);
    assert.deepEqual([receiver.got[1].event.type, receiver.got[1].event.data], ["webhook.test", { test: 1 }]);
  });

test("events are listed newest first, filtered, in pages; expired ones are hidden", async (t) => {
  const server = await startServer(t, { control: true });
  await makeWebhook(server, { events: ["b.*"], enabled: false });
  const ids = [];
  for (let n = 0; n < 6; n++)
    ids.unshift(await publish(server, n % 2 ? "a.one" : "a.two", { subject: `s${n % 3}`, agent_id: `a${n}`, source: "x" }));
  for (const id of ids) await settled(server, id);
  const list = async (query, limit = 4) => (await all(server, `/events?${query}`, limit)).map(({ id }) => id);
  for (const limit of [1, 2, 6, 7]) assert.deepEqual(await list("", limit), ids);
  assert.deepEqual(await list("type=a.one"), [ids[0], ids[2], ids[4]]);
  assert.deepEqual(await list("type=a.one&subject=s1"), [ids[4]]);
  assert.deepEqual(await list("agent_id=a5"), [ids[0]]);
  assert.deepEqual(await list("status=no_match&source=x"), ids);
  assert.deepEqual(await list("status=processed"), []);
  const { body } = await call(server, "GET", `/events/${ids[2]}`);
  const since = encodeURIComponent(body.created_at);
  assert.deepEqual(await list(`since=${since}`), ids.slice(0, 3));
  assert.deepEqual(await list(`until=${since}`), ids.slice(3));
  const page = await call(server, "GET", "/events?limit=2&type=a.one");
  await refused(server, "GET", `/events?limit=2&cursor=${page.body.next_cursor}`, undefined, 400, "invalid_cursor");
  for (const name of ["since", "until"])
    await refused(server, "GET", `/events?${name}=yesterday`, undefined, 400, `invalid_${name}`, /RFC 3339/);
  await refused(server, "GET", "/events?status=lost", undefined, 400, "invalid_status");
  await refused(server, "GET", "/events/evt_none", undefined, 404, "event_not_found");
  await server.control(`clock advance_us ${31 * DAY_US}`);
  assert.deepEqual(await list(""), []);
  for (const more of ["", "/explain"])
    await refused(server, "GET", `/events/${ids[0]}${more}`, undefined, 410, "event_expired", /30-day retention/);
  await refused(server, "POST", `/events/${ids[0]}/redeliver`, {}, 410, "event_expired");
});

test("explain says for every webhook why it got the event, or did not", async (t) => {
  const { receiver, server, make } = await withReceiver(t);
  const got = await make({ events: ["order.*"] });
  const type = await make({ events: ["user.*"] });
  const filter = await make({ filters: { labels: ["b2b"] } });
  const off = await make({ enabled: false });
  const id = await publish(server, "order.paid", { labels: ["vip"] });
  await receiver.gets(1);
  await settled(server, id, 1);
  const later = await make({});
  await call(server, "PATCH", `/webhooks/${type.id}`, { events: ["*"] });
  const items = await all(server, `/events/${id}/explain`, 2);
  assert.deepEqual(
    items.map((item) => [item.webhook_id, item.outcome]),
    [
      [later.id, "created_later"],
      [off.id, "not_matched"],
      [filter.id, "not_matched"],
      [type.id, "changed_later"],
      [got.id, "delivered"],
    ],
  );
  assert.match(items[1].reason, /disabled/);
  assert.match(items[2].reason, /filters.labels/);
  assert.deepEqual([items[4].delivery.event_id, items[4].delivery.attempts], [id, 1]);
  await refused(server, "GET", "/events/evt_none/explain", undefined, 404, "event_not_found");
});

test("an event is sent again: the same id and body, another delivery, today's secret", async (t) => {
  const { receiver, server, make } = await withReceiver(t);
  const first = await make({});
  const second = await make({});
  const away = await make({ events: ["other"] });
  const id = await publish(server, "order.paid", { data: { n: 1 } });
  await receiver.gets(2);
  await settled(server, id, 2);
  const rotated = await call(server, "POST", `/webhooks/${first.id}/rotate-secret`);
  receiver.secrets = [rotated.body.signing_secret];
  const route = `/events/${id}/redeliver`;
  const key = { "idempotency-key": "again" };
  const { status, body } = await call(server, "POST", route, { webhook_id: first.id }, key);
  assert.equal(status, 202);
  assert.deepEqual([body.event_id, body.webhook_id, body.status], [id, first.id, "pending"]);
  await receiver.gets(3);
  const again = receiver.got[2];
  assert.equal(again.headers["webhook-id"], id);
  assert.equal(again.headers["telltale-delivery-id"], body.delivery_id);
  assert.equal(again.body, receiver.got[0].body);
  assert.ok(again.event, "signed with the new secret");
  const repeat = await call(server, "POST", route, { webhook_id: first.id }, key);
  assert.deepEqual([repeat.status, repeat.body], [202, body]);
  assert.equal(repeat.headers.get("idempotency-replayed"), "true");
  const other = await call(server, "POST", route, {}, key);
  assert.deepEqual([other.status, other.body.code], [422, "idempotency_mismatch"]);
  const shown = await until(async () => {
    const { body: one } = await call(server, "GET", `/webhooks/${first.id}/deliveries/${body.delivery_id}`);
    return one.status === "delivered" && one;
  });
  assert.match(shown.replay_id, /^rpl_/);

  await refused(server, "POST", route, { webhook_id: away.id }, 409, "not_originally_matched");
  await refused(server, "POST", route, { webhook_id: "wh_none" }, 404, "webhook_not_found");
  await refused(server, "POST", route, { webhook_id: 7 }, 400, "invalid_redelivery");
  await refused(server, "POST", "/events/evt_none/redeliver", {}, 404, "event_not_found");
  await call(server, "PATCH", `/webhooks/${second.id}`, { enabled: false });
  await refused(server, "POST", route, { webhook_id: second.id }, 409, "webhook_disabled");
  const scheduled = await call(server, "POST", route, {}, { "idempotency-key": "all" });
  assert.deepEqual([scheduled.status, scheduled.body.event_id, scheduled.body.status], [202, id, "scheduled"]);
  const outcomes = new Map(scheduled.body.deliveries.map((one) => [one.webhook_id, one]));
  assert.deepEqual([outcomes.size, outcomes.get(first.id).status, outcomes.get(second.id).status], [2, "pending", "skipped"]);
  assert.match(outcomes.get(second.id).reason, /disabled/);
  await receiver.gets(4);
  const once = await call(server, "POST", route, {}, { "idempotency-key": "all" });
  assert.equal(once.body.deliveries.find((one) => one.webhook_id === first.id).delivery_id, outcomes.get(first.id).delivery_id);
  const text = await (await server.fetch("/metrics")).text();
  assert.equal(sample(text, "telltale_redeliver_requests_total", { scope: "single" }), 1);
  assert.equal(sample(text, "telltale_redeliver_requests_total", { scope: "fanout" }), 1);
});

test("while a delivery is pending the same event is not sent again", async (t) => {
  const { receiver, server, make } = await withReceiver(t);
  receiver.status = 500;
  const hook = await make({});
  const id = await publish(server, "a");
  await receiver.gets(1);
  await settled(server, id);
  await refused(server, "POST", `/events/${id}/redeliver`, { webhook_id: hook.id }, 409, "replay_in_progress");
  const { body } = await call(server, "POST", `/events/${id}/redeliver`);
  assert.deepEqual(body.deliveries.map(({ status }) => status), ["skipped"]);
  const explained = (await all(server, `/events/${id}/explain`, 5))[0];
  assert.equal(explained.outcome, "pending");
});

test("everything since a time, in the background: as far as a week, once a minute, not what is pending", async (t) => {
  const { receiver, server, make } = await withReceiver(t, { control: true });
  const hook = await make({ events: ["a"] });
  const ids = [];
  for (let n = 0; n < 95; n++) ids.push(await publish(server, n % 10 === 9 ? "b" : "a"));
  const mine = ids.filter((_, n) => n % 10 !== 9);
  await receiver.gets(mine.length);
  for (const id of mine) await settled(server, id, 1);
  receiver.status = 500;
  mine.push(await publish(server, "a"));
  await receiver.gets(mine.length);
  await until(async () => (await all(server, `/webhooks/${hook.id}/deliveries?status=pending`, 1))[0]?.attempts === 1);
  receiver.status = 200;
  receiver.got.length = 0;
  const route = `/webhooks/${hook.id}/redeliver-since`;
  await refused(server, "GET", route, undefined, 404, "redelivery_not_found");
  const old = new Date(Date.now() - 8 * 86400e3).toISOString();
  await refused(server, "POST", route, { since: old }, 400, "invalid_since", /7 days/);
  await refused(server, "POST", route, {}, 400, "invalid_since");
  const since = (await call(server, "GET", `/events/${mine[10]}`)).body.created_at;
  const started = await call(server, "POST", route, { since });
  assert.deepEqual([started.status, started.body.webhook_id], [202, hook.id]);
  const tooSoon = await refused(server, "POST", route, { since }, 429, "redelivery_too_soon");
  assert.ok(Number(tooSoon.headers.get("retry-after")) > 0);
  const done = await until(async () => {
    const { body } = await call(server, "GET", route);
    return body.state === "done" && body;
  });
  assert.deepEqual([done.scheduled, done.skipped_already_pending], [mine.length - 11, 1]);
  await receiver.gets(mine.length - 11);
  const again = new Set(receiver.got.map(({ headers }) => headers["webhook-id"]));
  assert.deepEqual([...again].toSorted(), mine.slice(10, -1).toSorted());
  await server.control("clock advance_us 61000000");
  const next = await call(server, "POST", route, { since });
  assert.equal(next.status, 202);
  const cancelled = await call(server, "DELETE", route);
  assert.equal(cancelled.status, 200);
  assert.ok(["cancelled", "done"].includes(cancelled.body.state));
});

test("a webhook that answered 410 is not switched on again within 5 minutes", async (t) => {
  const { receiver, server, make } = await withReceiver(t, { control: true });
  receiver.status = 410;
  const hook = await make({});
  await publish(server, "a");
  await receiver.gets(1);
  const route = `/webhooks/${hook.id}`;
  await until(async () => !(await call(server, "GET", route)).body.enabled);
  assert.ok((await call(server, "GET", route)).body.auto_disabled_at);
  await refused(server, "PATCH", route, { enabled: true }, 409, "webhook_cooldown", /auto-disabled within the last 5 minutes; wait/);
  await server.control("clock advance_us 300000000");
  const { status, body } = await call(server, "PATCH", route, { enabled: true });
  assert.deepEqual([status, body.enabled, body.auto_disabled_at], [200, true, undefined]);
});

test("addresses of this machine are refused at once unless they are allowed", async (t) => {
  const server = await startServer(t);
  for (const url of ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "https://[::1]/", "https://10.0.0.1/", "http://receiver.example/"])
    await refused(server, "POST", "/webhooks", { url, events: ["*"] }, 400, "invalid_webhook", /^invalid url: .*allow_cidrs/);
  const { id } = await makeWebhook(server);
  await refused(server, "PATCH", `/webhooks/${id}`, { url: "https://127.0.0.1/" }, 400, "invalid_webhook", /allow_cidrs/);
});

test("what is deleted ends, and what has had its time goes, counted", async (t) => {
  const { receiver, server, make } = await withReceiver(t, { control: true });
  receiver.status = 500;
  const doomed = await make({ events: ["a"] });
  const stays = await make({ events: ["b"] });
  const ids = [];
  for (let n = 0; n < 5; n++) ids.push(await publish(server, "a"), await publish(server, "b"));
  await receiver.gets(10);
  for (const id of ids) await settled(server, id);
  assert.equal((await call(server, "DELETE", `/webhooks/${doomed.id}`)).status, 204);
  const { body: first } = await call(server, "POST", "/janitor");
  assert.equal(first.deleted.outbox, 0);
  const counts = await until(async () => {
    const text = await (await server.fetch("/metrics")).text();
    const of = (table) => sample(text, "telltale_janitor_rows_deleted_total", { table });
    return of("deliveries") === 5 && of("attempts") >= 5;
  });
  assert.ok(counts);
  assert.equal((await call(server, "GET", `/events/${ids[0]}`)).body.delivery_status.pending, 0);
  assert.equal((await all(server, `/webhooks/${stays.id}/deliveries`, 10)).length, 5);

  await server.control(`clock advance_us ${31 * DAY_US}`);
  const { body: second } = await call(server, "POST", "/janitor");
  assert.deepEqual([second.deleted.outbox, second.deleted.deliveries], [10, 0]);
  // Their deliveries still tell that there was an event.
  await refused(server, "GET", `/events/${ids[1]}`, undefined, 410, "event_expired");
  await refused(server, "GET", `/events/${ids[0]}`, undefined, 404, "event_not_found");
  await until(async () => (await all(server, `/webhooks/${stays.id}/deliveries?status=pending`, 10)).length === 0);
  await server.control(`clock advance_us ${60 * DAY_US}`);
  const { body: third } = await call(server, "POST", "/janitor");
  assert.equal(third.deleted.deliveries, 5);
  assert.deepEqual(await all(server, `/webhooks/${stays.id}/deliveries`, 10), []);
});
