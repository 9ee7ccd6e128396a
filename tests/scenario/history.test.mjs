// GET /events: pages, bounds and what is refused.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { exchange } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";

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
    [`q=x&cursor=${page.next_cursor}`, "invalid_cursor"],
    [`q=${"x".repeat(201)}`, "invalid_q"],
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

const ndjson = { headers: { Accept: "application/x-ndjson" } };
const csv = { headers: { Accept: "text/csv" } };

async function lines(server, query) {
  const answer = await server.fetch(`/events${query}`, ndjson);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
  const text = await answer.text();
  assert.ok(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1).map(JSON.parse);
}

// Rows of fields, as RFC 4180 has them.
function parseCsv(text) {
  const rows = [];
  let row = [];
  for (let at = 0; at < text.length; ) {
    const quoted = /"((?:[^"]|"")*)"(,|\r\n)/y;
    const plain = /([^",\r\n]*)(,|\r\n)/y;
    quoted.lastIndex = plain.lastIndex = at;
    const found = quoted.exec(text) ?? plain.exec(text);
    assert.ok(found, text.slice(at, at + 50));
    row.push(found[1].replaceAll('""', '"'));
    if (found[2] !== ",") {
      rows.push(row);
      row = [];
    }
    at += found[0].length;
  }
  return rows;
}

test("an export has everything that matches, in order", async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 3; i++) await emit(server, 700);
  const all = await lines(server, "");
  assert.deepEqual(
    all.map((event) => event.seq),
    range(1, 2100),
  );
  const recent = await server.json("/events/recent?n=1");
  assert.deepEqual(all.at(-1), recent[0]);
  const rare = await lines(server, "?source=rare&view=envelope");
  assert.equal(rare.length, 210);
  assert.ok(rare.every((item) => item.event.source.kind === "rare"));
  const some = await lines(server, "?after=1000&before=2001&limit=300");
  assert.deepEqual(
    some.map((event) => event.seq),
    range(1001, 1300),
  );
  assert.deepEqual(await lines(server, "?since=2999-01-01T00:00:00Z"), []);
  assert.deepEqual(await lines(server, "?until=2001-01-01T00:00:00Z"), []);
  const weighed = await server.fetch("/events", {
    headers: { Accept: "application/x-ndjson;q=0.5, application/json" },
  });
  assert.equal(weighed.headers.get("content-type"), "application/json");
  assert.equal(weighed.headers.get("vary"), "Accept");
  const head = await server.fetch("/events", { method: "HEAD", ...ndjson });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("telltale-head"), "2100");
});

test("an export as CSV has a header and every field as it was", async (t) => {
  const server = await startServer(t);
  const event = {
    source: "a,b",
    channel: 'say "hi"',
    action: "two\r\nlines",
    level: "error",
    agent_id: "=1+1",
    duration_ms: 42,
    data: { text: "x,y" },
    metadata: { k: "v" },
  };
  assert.equal((await server.post("/events", event)).status, 200);
  await emit(server, 500);
  const answer = await server.fetch("/events", csv);
  assert.equal(answer.headers.get("content-type"), "text/csv; charset=utf-8");
  const [names, first, ...rest] = parseCsv(await answer.text());
  assert.equal(
    names.join(),
    "seq,ts,source,channel,action,level,agent_id,duration_ms,data,metadata",
  );
  const got = Object.fromEntries(names.map((name, i) => [name, first[i]]));
  const [shown] = await server.json("/events?limit=1&after=0").then((p) => p.items);
  assert.deepEqual(
    {
      ...got,
      seq: Number(got.seq),
      duration_ms: Number(got.duration_ms),
      data: JSON.parse(got.data),
      metadata: JSON.parse(got.metadata),
    },
    { ...shown },
  );
  assert.deepEqual(
    rest.map((row) => Number(row[0])),
    range(2, 501),
  );
});

test("an export that cannot be whole is seen not to be", async (t) => {
  const server = await startServer(t, { control: true });
  await emit(server, 900);
  await server.control("fault store.read fail EIO");
  const refused = await server.fetch("/events", ndjson);
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).code, "store_failed");
  await server.control("fault store.read fail EIO 1000 2");
  const cut = await server.fetch("/events", ndjson);
  assert.equal(cut.status, 200);
  await assert.rejects(cut.text());

  // HTTP/1.0 could not see it.
  const old = await exchange(
    server,
    `GET /events HTTP/1.0\r\nHost: localhost:${server.port}\r\n` +
      "Accept: text/csv\r\n\r\n",
  );
  assert.match(old, /^HTTP\/1\.1 505 /);
  await server.control("clear");
  assert.equal((await lines(server, "")).length, 900);
});

test("an export goes no faster than its reader", async (t) => {
  const server = await startServer(t, { control: true });
  const pad = "x".repeat(900_000);
  for (let i = 0; i < 40; i++)
    assert.equal(
      (await server.post("/events", { source: "s", data: { pad } })).status,
      200,
    );
  await server.control("fault store.read fail EIO 1 1000000"); // counts them
  const hits = async () => Number(await server.control("hits store.read"));
  const socket = net.connect(server.port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.pause();
  socket.write(
    `GET /events HTTP/1.1\r\nHost: localhost:${server.port}\r\n` +
      "Accept: application/x-ndjson\r\nConnection: close\r\n\r\n",
  );
  let before = -1;
  await until(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const now = await hits();
      const still = now > 0 && now === before;
      before = now;
      return still;
    },
    { what: "a full connection" },
  );
  assert.ok(before < 40, `${before} reads for a client that takes nothing`);
  let bytes = 0;
  socket.on("data", (part) => (bytes += part.length));
  socket.resume();
  await once(socket, "end");
  assert.ok(bytes > 40 * 900_000);
});

test("q finds text in action and data", async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 30; i++)
    await emit(server, 20, i % 3 ? {} : { action: "Checkout.Failed" });
  await emit(server, 3, { data: { error: "Payment TIMEOUT after 5 s" } });
  await emit(server, 1, { channel: "timeout" }); // not looked at
  const page = await server.json("/events?q=timeout&limit=2");
  assert.deepEqual(seqs(page), [602, 603]);
  const rest = await server.json(
    `/events?q=TimeOut&limit=2&cursor=${page.next_cursor}`,
  );
  assert.deepEqual(seqs(rest), [601]);
  assert.equal(rest.next_cursor, null);
  const failed = await server.json("/events?q=checkout.f&limit=1000");
  assert.equal(failed.items.length, 200);
  const rare = await server.json("/events?q=checkout.f&limit=1000&source=rare");
  assert.equal(rare.items.length, 20);
  assert.equal((await lines(server, "?q=checkout.f")).length, 200);
  const none = await server.json("/events?q=nowhere");
  assert.deepEqual(none, { items: [], next_cursor: null });
});

test("an export names what it does not take", async (t) => {
  const server = await startServer(t);
  for (const [query, code] of [
    ["limit=0", "invalid_limit"],
    ["since=10m", "invalid_since"],
    ["cursor=x", "invalid_cursor"],
    ["level=>=loud", "invalid_filter"],
  ]) {
    const answer = await server.fetch(`/events?${query}`, ndjson);
    assert.equal(answer.status, 400, query);
    assert.equal((await answer.json()).code, code);
  }
});

test("a histogram counts by time and level", async (t) => {
  const server = await startServer(t);
  await emit(server, 300);
  await emit(server, 50, { level: "error" });
  await emit(server, 5, { level: "notice" });
  const now = await server.json("/events/histogram");
  assert.equal(now.buckets.length, 60);
  assert.equal(Date.parse(now.until) - Date.parse(now.since), 3600_000);
  assert.equal(now.complete, true);
  const last = now.buckets.at(-1);
  assert.deepEqual(last.by, { info: 300, error: 50, other: 5 });
  assert.equal(last.total, 355);
  assert.ok(now.buckets.slice(0, -1).every((b) => b.total === 0));
  const rare = await server.json(
    "/events/histogram?buckets=1&source=rare&level=error&by=level",
  );
  assert.deepEqual(rare.buckets[0].by, { error: 5 });
  const past = await server.json(
    "/events/histogram?since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z&buckets=4",
  );
  assert.deepEqual(past.buckets[1], {
    start: "2020-01-01T00:15:00.000000Z",
    total: 0,
    by: {},
  });
});

test("an aggregate has counts, errors and quantiles by key", async (t) => {
  const server = await startServer(t);
  const events = range(1, 1000).map((i) => ({
    source: i % 4 ? "often" : "seldom",
    action: "a",
    level: i % 10 ? "info" : "error",
    ...(i % 4 ? { duration_ms: i } : {}),
    ...(i % 50 ? {} : { data: { note: "Fiftieth" } }),
  }));
  const answer = await server.post("/events/batch", events);
  assert.equal(answer.status, 200);
  const { items, other, complete } = await server.json(
    "/events/aggregate?by=source",
  );
  assert.equal(other, null);
  assert.equal(complete, true);
  const [often, seldom] = items;
  assert.deepEqual(seldom, {
    key: "seldom",
    count: 250,
    errors: 50,
    p50: null,
    p95: null,
    p99: null,
  });
  assert.equal(often.key, "often");
  assert.equal(often.count, 750);
  assert.equal(often.errors, 50);
  for (const [got, want] of [
    [often.p50, 500],
    [often.p95, 950],
    [often.p99, 990],
  ])
    assert.ok(Math.abs(got - want) <= 0.02 * want + 2, `${got} for ${want}`);
  for (const [by, keys] of [
    ["level", ["info", "error"]],
    ["action", ["a"]],
    ["channel", [""]],
    ["agent_id", [""]],
  ]) {
    const { items } = await server.json(`/events/aggregate?by=${by}`);
    assert.deepEqual(
      items.map((item) => item.key),
      keys,
    );
  }
  const errors = await server.json(
    "/events/aggregate?by=action&level=error&source=often",
  );
  assert.equal(errors.items[0].count, 50);
  const text = await server.json(
    "/events/aggregate?by=source&q=fiftieth&source=often",
  );
  assert.deepEqual(
    text.items.map((item) => [item.key, item.count, item.errors]),
    [["often", 10, 10]],
  );
  const times = await server.json("/events/histogram?buckets=1&q=FIFTIETH");
  assert.deepEqual(times.buckets[0].by, { error: 20 });
  const none = await server.json(
    "/events/aggregate?by=source&until=2001-01-01T00:00:00Z",
  );
  assert.deepEqual(none, {
    items: [],
    other: null,
    quantile_error: 0.016,
    complete: true,
  });
});

test("keys beyond the thousandth are counted together", async (t) => {
  const server = await startServer(t);
  for (let batch = 0; batch < 3; batch++) {
    const answer = await server.post(
      "/events/batch",
      range(1, 1500).map((i) => ({ source: "s", action: `a${batch % 2}-${i}` })),
    );
    assert.equal(answer.status, 200);
  }
  const { items, other } = await server.json("/events/aggregate?by=action");
  assert.equal(items.length, 1000);
  const counted = items.reduce((sum, item) => sum + item.count, 0);
  assert.equal(counted + other.count, 4500);
  // The newest are the ones that have an item, with all of their events.
  assert.ok(items.every((item) => item.count === 2));
});

test("figures that make no sense are refused by name", async (t) => {
  const server = await startServer(t);
  for (const [query, code] of [
    ["histogram?buckets=0", "invalid_buckets"],
    ["histogram?buckets=1001", "invalid_buckets"],
    ["histogram?by=source", "invalid_by"],
    ["histogram?since=x", "invalid_since"],
    ["histogram?since=2999-01-01T00:00:00Z", "invalid_until"],
    ["aggregate", "invalid_by"],
    ["aggregate?by=data", "invalid_by"],
    ["aggregate?by=level&level=>=loud", "invalid_filter"],
    [
      "aggregate?by=level&since=2002-01-01T00:00:00Z&until=2001-01-01T00:00:00Z",
      "invalid_until",
    ],
  ]) {
    const answer = await server.fetch(`/events/${query}`);
    assert.equal(answer.status, 400, query);
    assert.equal((await answer.json()).code, code);
  }
});
