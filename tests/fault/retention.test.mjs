// A store that must stay small, under load that never stops: what retention
// takes is told once, with its reason, and nothing else is missing; the files
// stay within their bound, and shrink when less is kept.
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { sample } from "../harness/raw.mjs";
import { openStream } from "../harness/sse.mjs";
import { long, startServer, until } from "../harness/server.mjs";

const MIB = 1 << 20;

// Keeps what a stream said as one account of numbers: each once, none missing.
function account(stream) {
  const lost = [];
  let at = 0;
  for (const event of stream.events) {
    const body = JSON.parse(event.data);
    const from = event.type === "dropped" ? body.from_seq : body.seq;
    const to = event.type === "dropped" ? body.to_seq : body.seq;
    assert.ok(["dropped", "message"].includes(event.type), event.type);
    assert.equal(from, at + 1, `the stream went from ${at} to ${from}`);
    at = to;
    if (event.type === "dropped") lost.push(body);
  }
  return { at, lost };
}

const sizeOf = (file) => stat(file).then((s) => s.size, () => 0);

// Large records fill a table's share of bytes long before its rows.
for (const [what, pad, rows] of [
  ["many small events", 100, "5000"],
  ["large events", 20_000, undefined],
]) {
  test(`retention by size under ${what}`, { timeout: 120000 }, async (t) => {
    const keep = 16 * MIB;
    const server = await startServer(t, {
      args: ["--retain-bytes", String(keep), "--ring-entries", "1024"],
      env: rows ? { TELLTALE_TEST_TABLE_ROWS: rows } : {},
    });
    const file = path.join(server.folder, "telltale.db");
    const live = await openStream(`${server.url}/events/stream?after=0`);
    const batch = JSON.stringify(
      Array.from({ length: pad > 1000 ? 40 : 1000 }, () => ({ source: "s", data: { pad: "x".repeat(pad) } })),
    );
    const posted = (long ? 400 : 48) * MIB;
    let largest = 0;
    let head = 0;
    for (let bytes = 0; bytes < posted; bytes += batch.length) {
      const answer = await server.post("/events/batch", batch);
      assert.equal(answer.status, 200);
      const { seqs, first_seq, count } = await answer.json();
      head = seqs ? seqs.at(-1) : first_seq + count - 1;
      largest = Math.max(largest, await sizeOf(file));
    }
    t.diagnostic(`largest ${(largest / MIB).toFixed(1)} MiB of ${keep / MIB}`);
    assert.ok(largest < keep * 2, `the file had ${largest} bytes`);
    assert.ok((await sizeOf(`${file}-wal`)) <= 80 * MIB);
    await until(() => live.lastId === String(head), { what: "the live stream's end" });
    account(live);
    live.close();
    const replay = await openStream(`${server.url}/events/stream?after=0`);
    await until(() => replay.lastId === String(head), { what: "the replay's end", timeout: 30000 });
    const { lost } = account(replay);
    assert.equal(lost.length, 1, JSON.stringify(lost));
    assert.equal(lost[0].reason, "retention");
    assert.equal(lost[0].from_seq, 1);
    replay.close();
    const oldest = async () => sample(await (await server.fetch("/metrics")).text(), "telltale_store_oldest");
    await until(async () => (await oldest()) > lost[0].to_seq, { what: "the oldest number" });
    assert.equal((await server.json("/events?after=0&limit=1")).items[0].seq, await oldest());
  });
}

test("retention by age, and a clock that goes back", { timeout: 60000 }, async (t) => {
  const server = await startServer(t, {
    control: true,
    args: ["--retain", "1h"],
    env: { TELLTALE_TEST_TABLE_ROWS: "10" },
  });
  const post = async (n) => (await (await server.post("/events", { source: "s", data: { n } })).json()).seq;
  for (let n = 0; n < 25; n++) await post(n);
  await server.control(`clock advance_us ${-600 * 1e6}`);
  const back = await post("back");
  // Received no earlier than the one before it: a bound by time finds both.
  const all = await server.json("/events?after=0&limit=100");
  assert.deepEqual(all.items.map((event) => event.seq), Array.from({ length: 26 }, (_, i) => i + 1));
  const received = all.items.map((event) => event.received_at ?? "");
  assert.deepEqual(received, received.toSorted());
  await server.control(`clock advance_us ${3 * 3600 * 1e6}`);
  const after = await post("after");
  assert.equal(after, back + 1);
  const kept = async () => (await server.json("/events?after=0&limit=100")).items.map((event) => event.seq);
  await until(async () => (await kept())[0] >= 20, { what: "retention by age" });
  await server.stop(); // or the ring would still have them
  await server.start();
  const stream = await openStream(`${server.url}/events/stream?after=5`);
  await until(() => stream.lastId === String(after), { what: "the stream's end" });
  stream.close();
  const [first, ...rest] = stream.events.map((event) => ({ type: event.type, ...JSON.parse(event.data) }));
  assert.deepEqual([first.type, first.reason, first.from_seq], ["dropped", "retention", 6]);
  assert.deepEqual(rest.map((event) => event.seq), await kept());
  assert.equal(rest[0].seq, first.to_seq + 1);
});
