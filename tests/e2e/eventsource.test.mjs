// The client that people use, on the real server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { startServer } from "../harness/server.mjs";

async function until(condition, what) {
  const late = Date.now() + 60000;
  while (!condition()) {
    if (Date.now() > late) throw new Error(`${what} did not come true`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

async function emit(server, count, more = {}) {
  const events = Array.from({ length: count }, (_, i) => ({
    source: "e2e",
    action: `n${i}`,
    ...more,
  }));
  const answer = await server.post("/events/batch", events);
  assert.equal(answer.status, 200);
}

function listen(t, url) {
  const source = new EventSource(url);
  t.after(() => source.close());
  const seen = [];
  const other = [];
  const positions = [];
  source.addEventListener("message", (event) => {
    const { seq } = JSON.parse(event.data);
    assert.equal(event.lastEventId, String(seq));
    seen.push(seq);
  });
  for (const type of ["dropped", "reset"])
    source.addEventListener(type, (event) => other.push(event.data));
  source.addEventListener("position", (event) => {
    positions.push(JSON.parse(event.data).seq);
  });
  return { source, seen, other, positions };
}

const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);

test("10,000 events without gap or duplicate", async (t) => {
  const server = await startServer(t);
  const early = listen(t, `${server.url}/events/stream`);
  await until(() => early.source.readyState === EventSource.OPEN, "open");
  for (let i = 0; i < 100; i++) await emit(server, 100);
  const late = listen(t, `${server.url}/events/stream?replay=all`);
  await until(() => early.seen.length >= 10000, "all of them");
  await until(() => late.seen.length >= 10000, "all of them, later");
  assert.deepEqual(early.seen, upTo(10000));
  assert.deepEqual(late.seen, upTo(10000));
  assert.deepEqual([...early.other, ...late.other], []);
});

test("it comes back after a restart by itself, where it was", async (t) => {
  const server = await startServer(t);
  const { source, seen, other } = listen(t, `${server.url}/events/stream`);
  await until(() => source.readyState === EventSource.OPEN, "open");
  await emit(server, 20);
  await until(() => seen.length === 20, "the first");
  await server.stop();
  await server.start();
  await emit(server, 20);
  await until(() => seen.length >= 40, "what came meanwhile");
  await server.kill();
  await server.start();
  await emit(server, 20);
  await until(() => seen.length >= 60, "what came after the crash");
  assert.deepEqual(seen, upTo(60));
  assert.deepEqual(other, []);
});

const restarts = {
  SIGKILL: (server) => server.kill(),
  SIGTERM: (server) => server.stop(),
};

for (const [signal, end] of Object.entries(restarts))
  test(`one that saw nothing misses nothing of a restart by ${signal}`, async (t) => {
    const server = await startServer(t);
    await emit(server, 7);
    const { seen, other, positions } = listen(t, `${server.url}/events/stream`);
    await until(() => positions.length > 0, "its position");
    assert.deepEqual(positions, [7]);
    await end(server);
    await server.start();
    await emit(server, 20);
    await until(() => seen.length >= 20, "what came meanwhile");
    await emit(server, 1);
    await until(() => seen.length >= 21, "what came after");
    assert.deepEqual(seen, upTo(28).slice(7));
    assert.deepEqual(other, []);
  });

test("a filter that hid everything does not hide where it stood", async (t) => {
  const server = await startServer(t, { control: true });
  const url = `${server.url}/events/stream?source=rare`;
  const { seen, other, positions } = listen(t, url);
  await until(() => positions.length === 1, "its position");
  await emit(server, 30);
  await server.control("clock advance_us 16000000");
  await until(() => positions.length === 2, "the position after the silence");
  assert.deepEqual(positions, [0, 30]);
  await server.kill();
  await server.start();
  await emit(server, 5);
  await emit(server, 5, { source: "rare" });
  await until(() => seen.length >= 5, "what came meanwhile");
  assert.deepEqual(seen, upTo(40).slice(35));
  // It came back from where it had been told to be, not from the beginning.
  assert.deepEqual(positions, [0, 30]);
  assert.deepEqual(other, []);
});

test("it is told what is gone, and that its id is from another log", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    args: ["--ring-entries", "64", "--retain-bytes", "1MiB"],
  });
  const padding = { data: { text: "x".repeat(2000) } };
  for (let i = 0; i < 20; i++) await emit(server, 100, padding);
  const [{ seq: last }] = await server.json("/events/recent?n=1");
  const late = listen(t, `${server.url}/events/stream?after=${last - 1000}`);
  const beyond = listen(t, `${server.url}/events/stream?after=${last + 900}`);
  await until(() => late.seen.at(-1) === last, "all that is kept");
  await until(() => beyond.other.length === 1, "the reset");
  const drop = JSON.parse(late.other[0]);
  assert.equal(drop.from_seq, last - 999);
  assert.equal(drop.to_seq, late.seen[0] - 1);
  assert.equal(drop.dropped + late.seen.length, 1000);
  assert.deepEqual(JSON.parse(beyond.other[0]), {
    requested: last + 900,
    head: last,
  });
  // This store's life ends with its server: the next log is another one, and
  // starts above every number of this one, so that none is taken for another.
  await server.kill();
  await server.start();
  await emit(server, 3);
  await until(() => beyond.seen.length === 3 && late.seen.at(-1) > last, "more");
  assert.ok(beyond.seen[0] > last);
  assert.deepEqual(late.seen.slice(-3), beyond.seen);
});
