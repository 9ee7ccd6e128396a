// GET /events: pages, bounds and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../harness/server.mjs";

async function emit(server, count, more = {}) {
  const events = Array.from({ length: count }, (_, i) => ({
    source: i % 10 === 3 ? "rare" : "common",
    ...more,
  }));
  const answer = await server.post("/events/batch", events);
  assert.equal(answer.status, 200, await answer.text());
}

const seqs = (page) => page.items.map((item) => item.seq);
const range = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("cursors lead from the newest to the oldest, and then end", async (t) => {
  const server = await startServer(t);
  await emit(server, 250);
  const query = "/events?limit=50";
  const pages = [];
  for (let cursor = ""; cursor !== null; ) {
    const page = await server.json(query + cursor);
    pages.unshift(...seqs(page));
    const sorted = [...seqs(page)].sort((a, b) => a - b);
    assert.deepEqual(seqs(page), sorted);
    cursor = page.next_cursor && `&cursor=${page.next_cursor}`;
  }
  assert.deepEqual(pages, range(1, 250));
});

test("with a start pages go forwards, within their bounds", async (t) => {
  const server = await startServer(t);
  await emit(server, 100);
  const first = await server.json("/events?after=10&before=41&limit=20");
  assert.deepEqual(seqs(first), range(11, 30));
  const rest = await server.json(
    `/events?after=10&before=41&limit=20&cursor=${first.next_cursor}`,
  );
  assert.deepEqual(seqs(rest), range(31, 40));
  assert.equal(rest.next_cursor, null);
  const rare = await server.json("/events?source=rare&limit=1000");
  assert.equal(rare.items.length, 10);
  assert.ok(rare.items.every((item) => item.source === "rare"));
  assert.equal(rare.next_cursor, null);
  const future = await server.json("/events?since=2999-01-01T00:00:00Z");
  assert.deepEqual(future, { items: [], next_cursor: null });
  const all = await server.json("/events?since=2001-01-01T00:00:00Z");
  assert.deepEqual(seqs(all), range(1, 100));
  const envelope = await server.json("/events?view=envelope&limit=1");
  assert.equal(envelope.items[0].event.source.kind, "common");
});

test("what makes no sense is refused by name", async (t) => {
  const server = await startServer(t);
  await emit(server, 20);
  const page = await server.json("/events?limit=5");
  for (const [query, code] of [
    ["limit=0", "invalid_limit"],
    ["limit=1001", "invalid_limit"],
    ["limit=ten", "invalid_limit"],
    ["since=10m", "invalid_since"],
    ["until=yesterday", "invalid_until"],
    ["after=-1", "invalid_after"],
    ["before=x", "invalid_before"],
    ["cursor=nonsense", "invalid_cursor"],
    [`source=rare&cursor=${page.next_cursor}`, "invalid_cursor"],
    ["view=xml", "invalid_view"],
    ["level=>=loud", "invalid_filter"],
  ]) {
    const answer = await server.fetch(`/events?${query}`);
    assert.equal(answer.status, 400, query);
    assert.equal((await answer.json()).code, code);
  }
});

test("the head says where a stream goes on", async (t) => {
  const server = await startServer(t);
  await emit(server, 7);
  for (const route of ["/events", "/events/recent?n=2"]) {
    const answer = await server.fetch(route);
    assert.equal(answer.headers.get("telltale-head"), "7");
    assert.match(answer.headers.get("telltale-log"), /^[0-9a-f-]{36}$/);
  }
});
