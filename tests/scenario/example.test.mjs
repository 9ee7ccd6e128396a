// The examples do what they say, against the real server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
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
