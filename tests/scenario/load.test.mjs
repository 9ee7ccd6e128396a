// Many at once: everybody gets everything, whoever else is there, in memory that
// has a bound. Short here, longer with TELLTALE_LONG=1.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Connection,
  isSanitized,
  ledger,
  privateBytes,
} from "../harness/load.mjs";
import { long, startServer, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

const patient = { timeout: 120000 };
const MiB = 1 << 20;
const range = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const times = (count, make) => Promise.all(range(1, count).map(make));

// A subscriber that keeps the seqs that it saw.
async function subscribe(t, server) {
  const seen = [];
  const stream = await openStream(`${server.url}/events/stream`, {
    on: (event) => {
      assert.equal(event.type, "message");
      seen.push(Number(event.id));
    },
  });
  t.after(() => stream.close());
  await until(() => stream.positions.length > 0, patient);
  return seen;
}

test("200 post, 200 subscribe: all get each event once, in order", async (t) => {
  const server = await startServer(t);
  const rounds = long ? 200 : 10;
  const total = 200 * rounds;
  const all = await times(200, () => subscribe(t, server));
  let posting = true;
  const scrapes = [];
  const scraping = (async () => {
    while (posting) scrapes.push(await ledger(server));
  })();
  const answered = [];
  await times(200, async (poster) => {
    const connection = await Connection.open(t, server);
    for (let i = 0; i < rounds; i++) {
      const body = JSON.stringify({ source: `p${poster}`, data: { i } });
      answered.push(JSON.parse(await connection.post(body)).seq);
    }
  });
  posting = false;
  await scraping;
  assert.deepEqual(answered.sort((a, b) => a - b), range(1, total));
  await until(() => all.every((seen) => seen.length >= total), patient);
  for (const seen of all) assert.deepEqual(seen, range(1, total));

  assert.ok(scrapes.length > 3, "there was time to look");
  for (const l of scrapes) {
    assert.ok(l.inFlight >= 0);
    assert.equal(l.received, l.stored + l.rejected + l.lost + l.inFlight);
  }
  assert.deepEqual(await ledger(server), {
    received: total,
    stored: total,
    rejected: 0,
    lost: 0,
    inFlight: 0,
  });
});

// What a subscriber that never reads may cost beside what the kernel holds for
// it: 64 KiB that wait, and the one write that passed them.
const STALLED_BYTES = 160 * 1024;

test("20 that never read cost little, and the others nothing", async (t) => {
  const server = await startServer(t, {
    args: ["--ring-bytes", "4MiB", "--durability", "commit"],
  });
  const event = { source: "s", data: { text: "x".repeat(4000) } };
  const body = JSON.stringify(Array(500).fill(event));
  const healthy = await times(5, () => subscribe(t, server));
  let sent = 0;
  const pump = async (batches) => {
    for (let i = 0; i < batches; i++) {
      const answer = await server.post("/events/batch", body);
      assert.equal(answer.status, 200, await answer.text());
      sent += 500;
    }
    await until(() => healthy.every((seen) => seen.length >= sent), patient);
  };
  // What the same load costs without them, with the ring full.
  await pump(4);
  const start = sent;
  const before = privateBytes(server);
  const stalled = await times(20, async () => {
    const stream = await openStream(`${server.url}/events/stream`);
    stream.response.pause();
    t.after(() => stream.close());
    return stream;
  });
  await pump(long ? 60 : 8);
  const { http } = await server.json("/api/v1/status");
  assert.ok(http.stream_bytes > 20 * 1000, "they do stall");
  assert.ok(http.stream_bytes <= 20 * STALLED_BYTES, `${http.stream_bytes}`);
  const growth = privateBytes(server) - before;
  t.diagnostic(`${growth} bytes more, ${http.stream_bytes} waiting`);
  if (!isSanitized)
    assert.ok(growth < 20 * STALLED_BYTES + 16 * MiB, `${growth} bytes more`);
  for (const seen of healthy) assert.deepEqual(seen, range(1, sent));
  // One that reads on after all has missed nothing.
  const [late] = stalled;
  late.response.resume();
  await until(() => late.events.length >= sent - start, patient);
  assert.deepEqual(
    late.events.map((one) => Number(one.id)),
    range(start + 1, sent),
  );
});

// A connection costs at most this much of the server's own memory.
const CONNECTION_BYTES = 4096;

test("thousands of connections, idle and busy, in bounded memory", async (t) => {
  const [idle, active] = long ? [10000, 2000] : [2000, 400];
  const server = await startServer(t, { args: ["--durability", "commit"] });
  const connect = async (count) => {
    const connections = [];
    for (let left = count; left > 0; left -= 200)
      connections.push(
        ...(await times(Math.min(left, 200), () => Connection.open(t, server))),
      );
    return connections;
  };
  // The load alone first: what it needs is not the idle ones' cost.
  const busy = await connect(active);
  const seqs = [];
  const load = (rounds) =>
    Promise.all(
      busy.map(async (connection) => {
        for (let i = 0; i < rounds; i++)
          seqs.push(JSON.parse(await connection.post('{"source":"s"}')).seq);
      }),
    );
  await load(5);
  const before = privateBytes(server);
  const resting = await connect(idle);
  for (const connection of resting.slice(0, 500)) await connection.get("/healthz");
  await load(long ? 25 : 5);
  const growth = privateBytes(server) - before;
  t.diagnostic(`${growth} bytes more for ${idle}`);
  if (!isSanitized)
    assert.ok(growth < idle * CONNECTION_BYTES + 8 * MiB, `${growth} bytes more`);
  assert.deepEqual(seqs.sort((a, b) => a - b), range(1, seqs.length));
  const { http } = await server.json("/api/v1/status");
  assert.ok(http.connections >= idle + active, `${http.connections}`);
  // And each of them is still served.
  for (const connection of resting.slice(-100))
    assert.match(await connection.get("/healthz"), /"ok":true/);
});
