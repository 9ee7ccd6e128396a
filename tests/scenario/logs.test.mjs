// POST /log, /log/batch and /logs/*: log lines are records of their own kind in
// the one sequence.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { request, sample } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

async function log(server, line, headers = {}) {
  const answer = await server.post("/log", line, headers);
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return text;
}

const messages = (lines) => lines.map((line) => line.data.message);
const recent = (server, query = "") => server.json(`/logs/recent?${query}`);

test("a log line is a record of the one sequence, in either view", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "shop", action: "start" });
  const line = {
    level: "WARN",
    message: "disk \u0000 full",
    logger: "db",
    fields: { free: 1.5, path: "/var" },
    caller: "db.go:42",
    ts: "2026-01-02T03:04:05.5+01:00",
  };
  assert.equal(await log(server, line), '{"accepted":true,"seq":2}');
  assert.equal(await log(server, {}), '{"accepted":true,"seq":3}');
  const [full, bare] = await recent(server);
  assert.deepEqual(full, {
    seq: 2,
    source: "db",
    channel: "log",
    action: "db",
    level: "warn",
    data: {
      message: line.message,
      fields: line.fields,
      caller: line.caller,
    },
    ts: "2026-01-02T02:04:05.500000Z",
  });
  const { ts, ...rest } = bare;
  assert.ok(Math.abs(Date.parse(ts) - Date.now()) < 60000);
  assert.deepEqual(rest, {
    seq: 3,
    source: "log",
    channel: "log",
    level: "info",
    data: { message: "" },
  });
  const [envelope] = await recent(server, "view=envelope&n=2");
  assert.deepEqual(envelope.event, {
    ts: Date.parse(line.ts) * 1000,
    type: "db",
    category: "log",
    source: { kind: "db", metadata: { level: "warn" } },
    data: full.data,
  });
});

test("a line says who it is of, when it is told", async (t) => {
  const server = await startServer(t);
  await log(server, { logger: "db", source: "shop", agent_id: "a-1" });
  const [line] = await recent(server, "source=shop&agent_id=a-1");
  assert.equal(line.action, "db");
});

test("events leave log lines out unless they are asked for", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s", channel: "log", action: "event" });
  await server.post("/events", { source: "s", action: "other" });
  await log(server, { message: "a line", logger: "x" });
  const actions = (rows) => rows.map((row) => row.action);
  for (const route of ["/events/recent?", "/events?"]) {
    const rows = async (query) => {
      const answer = await server.json(route + query);
      return actions(answer.items ?? answer);
    };
    assert.deepEqual(await rows(""), ["event", "other"]);
    assert.deepEqual(await rows("include=log"), ["event", "other", "x"]);
    assert.deepEqual(await rows("channel=log"), ["event", "x"]);
    assert.deepEqual(await rows("channel=log&action=x&level=info"), ["x"]);
  }
  assert.deepEqual(actions(await recent(server)), ["x"]);
  assert.deepEqual(actions(await recent(server, "include=log")), ["x"]);
  assert.deepEqual(await server.json("/events/channels"), ["log"]);
  const stats = await server.json("/events/stats");
  assert.equal(stats.total_events, 2);
  assert.deepEqual(stats.by_channel, { log: 1 });
});

test("histogram, aggregate and exports count log lines when asked", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s", action: "x" });
  for (const message of ["one", "two"])
    await log(server, { message, logger: "x", level: "error" });
  const sum = async (query) => {
    const { buckets } = await server.json(
      `/events/histogram?by=level&buckets=1${query}`,
    );
    return buckets[0].total;
  };
  assert.equal(await sum(""), 1);
  assert.equal(await sum("&channel=log"), 2);
  assert.equal(await sum("&include=log"), 3);
  const { items } = await server.json(
    "/events/aggregate?by=action&channel=log",
  );
  assert.deepEqual([items[0].count, items[0].errors], [2, 2]);
  for (const [query, count] of [["", 1], ["?channel=log", 2], ["?include=log", 3]]) {
    const answer = await server.fetch(`/events${query}`, {
      headers: { accept: "application/x-ndjson" },
    });
    const lines = (await answer.text()).trim().split("\n");
    assert.equal(lines.length, count, query);
  }
  const found = await server.json("/events?channel=log&q=TWO");
  assert.deepEqual(messages(found.items), ["two"]);
});

test("a level asks for itself and those above; a list is exact", async (t) => {
  const server = await startServer(t);
  for (const level of ["debug", "info", "notice", "warn", "error", "fatal"])
    await log(server, { level, message: level });
  const shown = async (query) => messages(await recent(server, query));
  assert.deepEqual(await shown("level=warn"), ["warn", "error", "fatal"]);
  assert.deepEqual(await shown("level=%3E%3Dwarn"), ["warn", "error", "fatal"]);
  assert.deepEqual(await shown("level=INFO"), [
    "info",
    "notice",
    "warn",
    "error",
    "fatal",
  ]);
  assert.deepEqual(await shown("level=warn,debug"), ["debug", "warn"]);
  assert.deepEqual(await shown("level=notice"), ["notice"]);
  assert.deepEqual(await shown("n=2"), ["error", "fatal"]);
  assert.deepEqual(await shown("n=0&level=fatal"), ["fatal"]);
  assert.deepEqual(await shown("action=nobody"), []);
  // Among events a level is exact.
  const exact = await server.json("/events/recent?channel=log&level=warn");
  assert.deepEqual(messages(exact), ["warn"]);
});

test("the stream of log lines is live, filtered, and resumes", async (t) => {
  const server = await startServer(t);
  const seen = [];
  const live = await openStream(`${server.url}/logs/stream?level=warn`, {
    on: (event) => event.type === "message" && seen.push(JSON.parse(event.data)),
  });
  t.after(live.close);
  const both = [];
  const all = await openStream(`${server.url}/events/stream?include=log`, {
    on: (event) => event.type === "message" && both.push(JSON.parse(event.data)),
  });
  t.after(all.close);
  const plain = [];
  const events = await openStream(`${server.url}/events/stream`, {
    on: (event) =>
      event.type === "message" && plain.push(JSON.parse(event.data)),
  });
  t.after(events.close);
  await until(async () => (await server.json("/logs/stats")).client_count === 1);
  assert.equal((await server.json("/events/stats")).client_count, 2);
  await log(server, { level: "info", message: "quiet" });
  await server.post("/events", { source: "s" });
  await log(server, { level: "warn", message: "loud" });
  await until(() => seen.length === 1 && both.length === 3 && plain.length === 1);
  assert.deepEqual(messages(seen), ["loud"]);
  assert.deepEqual(both.map((row) => row.seq), [1, 2, 3]);
  assert.equal(plain[0].seq, 2);

  const missed = [];
  const resumed = await openStream(`${server.url}/logs/stream`, {
    headers: { "last-event-id": "1" },
    on: (event) => event.type === "message" && missed.push(event.id),
  });
  t.after(resumed.close);
  await log(server, { message: "later" });
  await until(() => missed.length === 2);
  assert.deepEqual(missed, ["3", "4"]);
});

test("lines below the lowest level are gated, and counted", async (t) => {
  const server = await startServer(t, { args: ["--log-min-level", "warn"] });
  const gated = '{"accepted":false,"seq":0}';
  assert.equal(await log(server, { message: "a" }), gated);
  assert.equal(await log(server, { level: "Debug" }), gated);
  assert.equal(await log(server, { level: "odd" }), gated);
  assert.equal(
    await log(server, { level: "ERROR", logger: "db" }),
    '{"accepted":true,"seq":1}',
  );
  const answer = await server.json("/log/batch", {
    method: "POST",
    body: JSON.stringify([{ level: "fatal" }, {}, { level: "warn" }]),
  });
  assert.deepEqual(answer, { count: 2, seqs: [2, 3], gated: 1 });
  const { logs_per_second, ...stats } = await server.json("/logs/stats");
  assert.ok(logs_per_second >= 0);
  assert.deepEqual(stats, {
    total_logs: 3,
    accepted: 3,
    gated: 4,
    client_count: 0,
    min_level: "warn",
    by_level: { error: 1, fatal: 1, warn: 1 },
    by_logger: { db: 1 },
  });
  const { received, stored, rejected, in_flight } =
    await server.json("/events/stats");
  assert.deepEqual(
    [received, stored, rejected.gated, in_flight],
    [7, 3, 4, 0],
  );
  const metrics = await (await server.fetch("/metrics")).text();
  assert.equal(
    sample(metrics, "telltale_events_rejected_total", { reason: "gated" }),
    4,
  );
});

test("the counts outlive the server, and the rate is of log lines", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s" });
  await log(server, { logger: "db", level: "warn" });
  await log(server, { logger: "db" });
  const rate = await server.json("/logs/rate?minutes=1&buckets=1");
  assert.deepEqual(rate, [2]);
  assert.deepEqual(await server.json("/events/rate?minutes=1&buckets=1"), [1]);
  assert.equal((await server.json("/logs/rate")).length, 60);
  await server.stop();
  await server.start();
  const stats = await server.json("/logs/stats");
  assert.equal(stats.total_logs, 2);
  assert.equal(stats.accepted, 0);
  assert.deepEqual(stats.by_logger, { db: 2 });
});

test("what is refused says what and where, and stores nothing", async (t) => {
  const server = await startServer(t, { args: ["--max-body", "2KiB"] });
  const refused = async (body, part, route = "/log") => {
    const answer = await server.post(route, body);
    const error = await answer.json();
    assert.equal(answer.status, 400, JSON.stringify(error));
    assert.equal(error.code, "invalid_log_line");
    assert.match(error.message, part);
  };
  await refused("", /ends too early.*byte 0/);
  await refused({ message: 5 }, /message must be a string.*byte 11/);
  await refused({ fields: [] }, /fields must be an object/);
  await refused({ caller: 1 }, /caller must be a string/);
  await refused('{"message":"a"} {}', /bytes follow/);
  await refused('{"level":"a","level":"b"}', /level is given twice/);
  await refused([{}, { ts: "noon" }], /line 1: ts must be/, "/log/batch");
  const large = await server.post("/log", { message: "x".repeat(3000) });
  assert.equal(large.status, 413);
  assert.match((await large.json()).message, /2048/);
  const get = await request(server, { path: "/log" });
  assert.equal(get.status, 405);
  assert.match(get.headers.allow, /^POST\b/);
  assert.deepEqual(await recent(server), []);
  assert.equal(await log(server, {}), '{"accepted":true,"seq":1}');
});

test("batches are all or nothing, as an array or a line each", async (t) => {
  const server = await startServer(t);
  const array = await server.json("/log/batch", {
    method: "POST",
    body: '[{"message":"a"},{"message":"b"}]',
  });
  assert.deepEqual(array, { count: 2, seqs: [1, 2], gated: 0 });
  const lines = await server.json("/log/batch", {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: '{"message":"c"}\n\n{"message":"d"}\n',
  });
  assert.deepEqual(lines.seqs, [3, 4]);
  const empty = await server.json("/log/batch", { method: "POST", body: "[]" });
  assert.deepEqual(empty, { count: 0, seqs: [], gated: 0 });
  assert.deepEqual(messages(await recent(server)), ["a", "b", "c", "d"]);
});

test("a repeated key stores a line once", async (t) => {
  const server = await startServer(t);
  const key = { "idempotency-key": "one" };
  const first = await log(server, { message: "a" }, key);
  assert.equal(await log(server, { message: "a" }, key), first);
  const other = await server.post("/log", { message: "b" }, key);
  assert.equal(other.status, 422);
  // The same key on another route is another key.
  await server.post("/events", { source: "s" }, key);
  assert.equal((await recent(server)).length, 1);
});

test("a line too large for an envelope loses its data and says so", async (t) => {
  const server = await startServer(t);
  const text = await log(server, { logger: "big", message: "x".repeat(1000000) });
  assert.equal(text, '{"accepted":true,"seq":1,"truncated":true}');
  const [line] = await recent(server);
  assert.deepEqual([line.data, line.truncated], [null, true]);
});

test("SIGHUP changes the lowest level", async (t) => {
  const server = await startServer(t);
  assert.equal((await server.json("/logs/stats")).min_level, "debug");
  assert.match(await log(server, { level: "debug" }), /true/);
  await mkdir(`${server.folder}/telltale`);
  await writeFile(
    `${server.folder}/telltale/telltale.yaml`,
    "log_min_level: error\n",
  );
  process.kill(server.pid, "SIGHUP");
  await until(
    async () => (await server.json("/logs/stats")).min_level === "error",
  );
  assert.match(await log(server, { level: "warn" }), /false/);
});

test("the commands that read events show log lines when asked", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s", action: "event" });
  await log(server, { logger: "db", message: "slow", fields: { ms: 7 } });
  for (const [args, shown] of [
    [["recent"], ["event"]],
    [["recent", "--include", "log"], ["event", "db"]],
    [["recent", "--channel", "log"], ["db"]],
    [["events", "--include", "log"], ["event", "db"]],
    [["tail", "--all", "-n", "2", "--include", "log"], ["event", "db"]],
    [["tail", "--all", "-n", "1", "--channel", "log"], ["db"]],
  ]) {
    const { code, out } = await cli(server, [...args, "--json"]);
    assert.equal(code, 0, args.join(" "));
    const rows = out.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(rows.map((row) => row.action), shown, args.join(" "));
  }
  const { out } = await cli(server, ["recent", "--channel", "log"]);
  assert.match(out, /info +db\/log db message=slow fields=\{"ms":7\}/);
});
