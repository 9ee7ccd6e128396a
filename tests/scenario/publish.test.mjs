// Events that are published over HTTP: they are in history and in the outbox,
// once, and a webhook that matches gets them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { sample } from "../harness/raw.mjs";
import { buildDir, startServer, until } from "../harness/server.mjs";

const run = promisify(execFile);
const sql = async (server, query) => {
  const file = path.join(server.folder, "telltale.db");
  const { stdout } = await run(path.join(buildDir, "tests/outbox-run"), ["sql", file, query]);
  return stdout.trimEnd();
};
const publish = async (server, body, headers) => {
  const answer = await server.post("/api/v1/events", body, headers);
  return { ...(await answer.json()), status: answer.status, headers: answer.headers };
};

for (const durability of ["sync", "memory"])
  test(`what the outbox could not keep is not acknowledged, under ${durability}`, async (t) => {
    const server = await startServer(t, { args: ["--durability", durability], control: true });
    const event = { type: "a.b", data: 1 };
    for (const [body, headers] of [
      [{ ...event, id: "evt_lost" }, {}],
      [event, { "idempotency-key": "one" }],
    ]) {
      await server.control("fault outbox.publish fail EIO 1");
      const failed = await publish(server, body, headers);
      assert.deepEqual([failed.status, failed.code], [503, "store_unavailable"]);
      const { id, status } = await publish(server, body, headers);
      assert.equal(status, 201);
      assert.equal(await sql(server, `SELECT count(*) FROM outbox WHERE id = '${id}'`), "1");
    }
  });

for (const durability of ["sync", "memory"])
  test(`an id is published once, under ${durability}`, async (t) => {
    const server = await startServer(t, { args: ["--durability", durability] });
    const event = {
      type: "order.paid",
      id: "evt_one",
      data: { rows: 42 },
      subject: "c-7",
      source: "shop",
      channel: "sales",
      labels: ["vip", "eu"],
      level: "warn",
    };
    const first = await publish(server, event);
    assert.equal(first.status, 201);
    assert.deepEqual([first.id, first.seq > 0], ["evt_one", true]);
    const again = await publish(server, event);
    assert.deepEqual([again.status, again.id, again.seq], [200, "evt_one", first.seq]);
    const other = await publish(server, { ...event, data: 1 });
    assert.deepEqual([other.status, other.code], [422, "event_exists"]);

    const page = await server.json("/events?action=order.paid&channel=sales");
    const row = page.items.find((item) => item.seq === first.seq);
    assert.deepEqual(
      [row.source, row.action, row.channel, row.level, row.data, row.metadata],
      ["shop", "order.paid", "sales", "warn", { rows: 42 }, { event_id: "evt_one", subject: "c-7", labels: "vip,eu" }],
    );
    assert.equal(await sql(server, "SELECT count(*), max(seq) FROM outbox"), `1 ${first.seq}`);
    assert.equal(await until(() => sql(server, "SELECT status FROM outbox WHERE status > 0")), "2");
    let metrics;
    await until(async () => {
      metrics = await (await server.fetch("/metrics")).text();
      return sample(metrics, "telltale_outbox_events_no_match_total", { type: "order.paid" }) === 1;
    });
    assert.equal(sample(metrics, "telltale_outbox_events_published_total", { type: "order.paid" }), 1);
    assert.equal(sample(metrics, "telltale_events_in_flight"), 0);
  });

test("an Idempotency-Key names the event that has no id", async (t) => {
  const server = await startServer(t);
  const key = { "idempotency-key": "k-1" };
  const first = await publish(server, { type: "a" }, key);
  const again = await publish(server, { type: "a" }, key);
  assert.deepEqual([first.status, again.status], [201, 201]);
  assert.deepEqual([again.id, again.seq], [first.id, first.seq]);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const other = await publish(server, { type: "b" }, key);
  assert.deepEqual([other.status, other.code], [422, "idempotency_mismatch"]);
  assert.equal(await sql(server, "SELECT count(*) FROM outbox"), "1");
});

test("what is wrong with an event is said", async (t) => {
  const server = await startServer(t);
  const cases = [
    ["{", 400, /at byte 1/],
    [{}, 400, /the type is not/],
    [{ type: "Order" }, 400, /the type is not/],
    [{ type: 7 }, 400, /^type must be a string/],
    [{ type: "a", id: "x" }, 400, /the id is not evt_/],
    [{ type: "a", labels: ["A"] }, 400, /labels/],
    [{ type: "a", labels: [1] }, 400, /labels must be/],
    [{ type: "a", labels: Array(51).fill("l") }, 400, /more than 50/],
    [{ type: "a", level: "loud" }, 400, /level must be/],
    [{ type: "a", channel: "b", category: "c" }, 400, /channel is another name/],
    [{ type: "a", subject: "s".repeat(201) }, 400, /longer than 200/],
    [{ type: "a", data: "x".repeat(1000000) }, 413, /1,000,000 bytes/],
  ];
  for (const [body, status, message] of cases) {
    const answer = await publish(server, body);
    assert.equal(answer.status, status, JSON.stringify(body).slice(0, 80));
    assert.match(answer.message, message);
  }
  assert.equal(await sql(server, "SELECT count(*) FROM outbox"), "0");
});

test("a webhook that matches gets the event at once", async (t) => {
  const got = [];
  const receiver = createServer(async (request, answer) => {
    let body = "";
    for await (const part of request) body += part;
    got.push({ id: request.headers["webhook-id"], body: JSON.parse(body) });
    answer.writeHead(204).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  t.after(() => receiver.close());
  const server = await startServer(t, { args: ["--allow-cidr", "127.0.0.0/8"] });
  const url = `http://127.0.0.1:${receiver.address().port}/hook`;
  for (const [id, events, filters] of [
    ["wh_1", '["order.*"]', '{"subjects":["c-7"]}'],
    ["wh_2", '["order.*"]', '{"subjects":["c-8"]}'],
  ])
    await sql(
      server,
      "INSERT INTO webhooks(id, url, events, filters, format, ordered, secret, enabled, created_us, updated_us)" +
        ` VALUES('${id}', '${url}', '${events}', '${filters}', 'standard', 0, 'whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=', 1, 1, 1)`,
    );
  const { id } = await publish(server, { type: "order.paid", subject: "c-7", data: [1] });
  await until(() => got.length, { what: "the request" });
  assert.equal(got[0].id, id);
  assert.deepEqual([got[0].body.type, got[0].body.id, got[0].body.subject, got[0].body.data], ["order.paid", id, "c-7", [1]]);
  assert.equal(await sql(server, "SELECT status, matched FROM outbox"), '1 ["wh_1"]');
});
