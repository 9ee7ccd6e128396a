// Sinks: files of JSON lines that follow the server, whatever happens to it.
import assert from "node:assert/strict";
import { mkdir, readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { sample } from "../harness/raw.mjs";
import { caughtUp, configure, postEvents, sink, sinkServer } from "../harness/sinks.mjs";
import { long, temporaryFolder, until } from "../harness/server.mjs";

const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));

// All envelopes of a jsonl sink, closed files first. One that is being
// compressed is there twice.
async function stored(file) {
  const folder = path.dirname(file);
  const all = await readdir(folder);
  const names = all
    .filter((name) => name.startsWith(`${path.basename(file)}.2`) && !name.endsWith(".part"))
    .filter((name) => !all.includes(`${name}.gz`))
    .sort();
  const closed = await Promise.all(
    names.map(async (name) => {
      const bytes = await readFile(path.join(folder, name));
      return lines(String(name.endsWith(".gz") ? gunzipSync(bytes) : bytes));
    }),
  );
  return [...closed.flat(), ...lines(await readFile(file, "utf8"))];
}
const seqsOf = (envelopes) => envelopes.map(({ seq }) => seq);

test("a file gets every event as an envelope, old ones too, and log lines only when asked", async (t) => {
  const folder = await temporaryFolder(t);
  const events = path.join(folder, "events.jsonl");
  const logs = path.join(folder, "logs.jsonl");
  const server = await sinkServer(t, [], { folder });
  const before = await postEvents(server, 5);
  await server.stop();
  await configure(server.configFile, [
    { name: "all", type: "jsonl", path: events },
    { name: "logs", type: "jsonl", path: logs, filter: { kinds: ["log"], level: ">=warn" } },
  ]);
  await server.start();
  const answer = await server.post("/log", { level: "error", logger: "db", message: "broken" });
  assert.equal(answer.status, 200);
  await server.post("/log", { level: "info", message: "fine" });
  const after = await postEvents(server, 5, { level: "warn" });
  await caughtUp(server, "all");
  await caughtUp(server, "logs");
  const all = await stored(events);
  assert.deepEqual(seqsOf(all), [...before, ...after]);
  assert.deepEqual(all[9].event, {
    ts: all[9].event.ts,
    type: "made",
    category: "",
    source: { kind: "test", metadata: { level: "warn" } },
    data: { n: 4, pad: "x".repeat(100) },
  });
  const logged = await stored(logs);
  assert.deepEqual(logged.map(({ event }) => event.data.message), ["broken"]);
});

test("its position, lag and numbers are told by the API and by /metrics", async (t) => {
  const folder = await temporaryFolder(t);
  const server = await sinkServer(t, [{ name: "a", type: "jsonl", path: path.join(folder, "a.jsonl") }], { folder });
  const seqs = await postEvents(server, 10);
  const state = await caughtUp(server, "a");
  assert.equal(state.position, seqs.at(-1));
  assert.equal(state.appended, 10);
  assert.equal(state.state, "running");
  const text = await (await server.fetch("/metrics")).text();
  assert.equal(sample(text, "telltale_sink_appended_total", { sink: "a" }), 10);
  assert.equal(sample(text, "telltale_sink_lag", { sink: "a" }), 0);
  assert.equal(sample(text, "telltale_sink_failing", { sink: "a" }), 0);
  const status = await server.json("/api/v1/status");
  assert.deepEqual(status.sinks, { count: 1, failing: [] });
});

// Posts while the server is killed and started again; answers the accepted seqs.
async function killed(server, rounds) {
  const accepted = [];
  for (let round = 0; round < rounds; round++) {
    let posting = true;
    const load = (async () => {
      while (posting)
        try {
          accepted.push(...(await postEvents(server, 100)));
        } catch {
          return; // it was killed
        }
    })();
    const wanted = accepted.length + 300 * ((round % 3) + 1);
    await until(() => accepted.length >= wanted, { timeout: 60000, what: "the load" });
    await server.kill();
    posting = false;
    await load;
    await server.start();
  }
  return accepted;
}

test("kill -9 again and again: every seq is in the file, once, in order", { timeout: 300000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "out.jsonl");
  const server = await sinkServer(t, [{ name: "out", type: "jsonl", path: file }], { folder });
  const accepted = await killed(server, long ? 30 : 5);
  await caughtUp(server, "out");
  const seqs = seqsOf(await stored(file));
  const there = new Set(seqs);
  assert.deepEqual(accepted.filter((seq) => !there.has(seq)), [], "these are missing");
  // The last line says what need not be written again.
  assert.deepEqual(seqs, [...there].toSorted((a, b) => a - b));
});

test("kill -9 with files that are closed and compressed: nothing is missing", { timeout: 300000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "out.jsonl");
  const entry = { name: "out", type: "jsonl", path: file, max_bytes: "64KiB", gzip: true };
  const server = await sinkServer(t, [entry], { folder });
  const accepted = await killed(server, long ? 30 : 5);
  await caughtUp(server, "out");
  await server.stop();
  const there = new Set(seqsOf(await stored(file)));
  assert.deepEqual(accepted.filter((seq) => !there.has(seq)), [], "these are missing");
  assert.ok((await readdir(folder)).some((name) => name.endsWith(".gz")));
});

test("one that cannot be opened: the server starts, says so, and goes on when it can", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "later", "out.jsonl");
  const server = await sinkServer(t, [{ name: "out", type: "jsonl", path: file }], { folder });
  const seqs = await postEvents(server, 3);
  const failing = await until(async () => {
    const state = await sink(server, "out");
    return state.state === "failing" && state;
  });
  assert.match(failing.last_error, /later.out\.jsonl/);
  assert.ok(failing.lag >= 3);
  assert.equal((await server.fetch("/readyz")).status, 200);
  assert.deepEqual((await server.json("/api/v1/status")).sinks.failing, ["out"]);
  await mkdir(path.dirname(file));
  await caughtUp(server, "out");
  assert.deepEqual(seqsOf(await stored(file)), seqs);
});

test("SIGHUP adds, takes away and changes sinks", async (t) => {
  const folder = await temporaryFolder(t);
  const a = path.join(folder, "a.jsonl");
  const b = path.join(folder, "b.jsonl");
  const server = await sinkServer(t, [{ name: "a", type: "jsonl", path: a }], { folder });
  const first = await postEvents(server, 3);
  await caughtUp(server, "a");
  await configure(server.configFile, [{ name: "b", type: "jsonl", path: b, from: "tail" }]);
  server.child.kill("SIGHUP");
  await until(() => sink(server, "b"), { what: "the new sink" });
  assert.equal(await sink(server, "a"), undefined);
  const second = await postEvents(server, 3);
  await caughtUp(server, "b");
  assert.deepEqual(seqsOf(await stored(b)), second);
  assert.deepEqual(seqsOf(await stored(a)), first);
  // The first comes back where it was.
  await configure(server.configFile, [{ name: "a", type: "jsonl", path: a }]);
  server.child.kill("SIGHUP");
  await until(() => sink(server, "a"), { what: "the sink that comes back" });
  await caughtUp(server, "a");
  assert.deepEqual(seqsOf(await stored(a)), [...first, ...second]);
});

test("what retention takes before a sink has it is counted, and the range is kept", { timeout: 120000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "later", "out.jsonl");
  const server = await sinkServer(t, [{ name: "out", type: "jsonl", path: file }], {
    folder,
    args: ["--retain-bytes", "1MiB", "--ring-entries", "64"],
    env: { TELLTALE_TEST_TABLE_ROWS: "500" },
  });
  const seqs = [];
  const oldest = async () => (await server.json("/api/v1/status")).store.oldest_seq;
  while ((await oldest()) < 2000) seqs.push(...(await postEvents(server, 1000)));
  await until(() => /sink out is far behind/.test(server.stderr), { timeout: 40000, what: "the warning" });
  await mkdir(path.dirname(file));
  const { missed, position } = await caughtUp(server, "out");
  assert.equal(position, seqs.at(-1));
  const got = seqsOf(await stored(file));
  assert.equal(missed.from_seq, 1);
  assert.equal(missed.count, missed.to_seq);
  assert.deepEqual(got, seqs.slice(missed.count));
  // A restart knows it still.
  await server.stop();
  await server.start();
  assert.deepEqual((await sink(server, "out")).missed, missed);
  const text = await (await server.fetch("/metrics")).text();
  assert.equal(sample(text, "telltale_sink_lag", { sink: "out" }), 0);
});
