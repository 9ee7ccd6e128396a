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

async function emit(server, count) {
  const events = Array.from({ length: count }, (_, i) => ({
    source: "e2e",
    action: `n${i}`,
  }));
  const answer = await server.post("/events/batch", events);
  assert.equal(answer.status, 200);
}

function listen(t, url) {
  const source = new EventSource(url);
  t.after(() => source.close());
  const seen = [];
  const other = [];
  source.addEventListener("message", (event) => {
    const { seq } = JSON.parse(event.data);
    assert.equal(event.lastEventId, String(seq));
    seen.push(seq);
  });
  for (const type of ["dropped", "reset"])
    source.addEventListener(type, (event) => other.push(event.data));
  return { source, seen, other };
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
