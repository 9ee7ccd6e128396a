// The examples do what they say, against the real server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import { buildDir, startServer, temporaryFolder } from "../harness/server.mjs";

const run = promisify(execFile);
const hello = path.join(buildDir, "examples/example-hello");

test("the ten-line program's event is stored before it ends", async (t) => {
  const server = await startServer(t);
  await run(hello, [`${server.url}/events`]);
  const [event, ...more] = await server.json("/events/recent");
  assert.equal(more.length, 0);
  assert.equal(event.source, "hello");
  assert.equal(event.action, "deploy");
  assert.deepEqual(event.data, { env: "prod", rows: 42 });

  await run(hello, [], {
    env: { ...process.env, TELLTALE_URL: `${server.url}/events` },
  });
  assert.equal((await server.json("/events/recent")).length, 2);
});

test("the log example's lines arrive with fields and place", async (t) => {
  const server = await startServer(t);
  await run(path.join(buildDir, "examples/example-log"), [
    `${server.url}/events`,
  ]);
  const [first, second, ...more] = await server.json("/logs/recent");
  assert.equal(more.length, 0);
  const { caller, ...data } = second.data;
  assert.match(caller, /^log\.c:\d+$/);
  assert.deepEqual(data, {
    message: "query took 730 ms",
    fields: { table: "orders", rows: 42 },
  });
  assert.equal(first.data.message, "connected to primary");
  assert.deepEqual(
    [first, second].map((line) => [line.source, line.action, line.level]),
    [
      ["log", "db", "info"],
      ["log", "db", "warn"],
    ],
  );
  assert.deepEqual(await server.json("/events/recent"), []);
});

test("without a URL the program runs the same and says nothing", async () => {
  const env = { ...process.env };
  delete env.TELLTALE_URL;
  const { stdout, stderr } = await run(hello, [], { env });
  assert.equal(stdout + stderr, "");
});

test("an order and its event are booked together, once, or not at all", async (t) => {
  const file = path.join(await temporaryFolder(t), "orders.db");
  const orders = path.join(buildDir, "examples/example-orders");
  const first = await run(orders, [file, "17", "-1", "18"]);
  assert.equal(first.stdout, "17: booked\n-1: not booked\n18: booked\n");
  assert.equal(first.stderr, "");
  await run(orders, [file, "18", "19"]);
  const sql = async (query) =>
    (await run(path.join(buildDir, "tests/outbox-run"), ["sql", file, query])).stdout;
  assert.equal(await sql("SELECT number FROM orders ORDER BY 1"), "17\n18\n19\n");
  assert.equal(await sql("SELECT subject FROM tt_outbox_events ORDER BY n"), "17\n18\n19\n");
});

test("the metrics example counts by itself and into statsd", async (t) => {
  const metrics = path.join(buildDir, "examples/example-metrics");
  const statsd = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => statsd.close());
  await once(statsd, "listening");
  const packet = once(statsd, "message");
  const { stdout } = await run(metrics, [`udp://127.0.0.1:${statsd.address().port}`]);
  assert.equal(stdout, "the outbox failed at publish\n1 failures\n");
  assert.match(String((await packet)[0]), /^telltale\.outbox_events_published\.order_paid:3\|c$/m);
  await assert.rejects(run(metrics, ["nowhere"]), /address: it is neither udp:/);
});
