// The routes that read: recent, stats, rate, channels, health, metrics, status,
// the page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openStream } from "../harness/sse.mjs";
import { request, sample, total } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";

const events = (n, make) => Array.from({ length: n }, (_, i) => make(i));

test("recent is the last n that match, oldest first", async (t) => {
  const server = await startServer(t);
  assert.deepEqual(await server.json("/events/recent"), []);
  await server.post(
    "/events/batch",
    events(150, (i) => ({
      source: i % 2 ? "odd" : "even",
      level: i % 3 ? "info" : "error",
      data: { i },
    })),
  );
  const numbers = async (query) =>
    (await server.json(`/events/recent${query}`)).map((event) => event.data.i);
  assert.equal((await numbers("")).length, 100);
  assert.equal((await numbers("?n=0")).length, 100);
  assert.equal((await numbers("?n=x")).length, 100);
  assert.deepEqual(await numbers("?n=3"), [147, 148, 149]);
  assert.deepEqual(await numbers("?n=2&source=even"), [146, 148]);
  assert.deepEqual(await numbers("?n=2&source=even,odd"), [148, 149]);
  assert.deepEqual(await numbers("?n=2&level=%3E%3Dwarn"), [144, 147]);
  assert.deepEqual(await numbers("?n=2&level=error&source=odd"), [141, 147]);
  assert.deepEqual(await numbers("?source=none"), []);
});

test("stats count by source, level and channel", async (t) => {
  const server = await startServer(t);
  await server.post("/events/batch", [
    { source: "a", channel: "x", level: "warn" },
    { source: "a", channel: "y" },
    { source: 'quote"d', level: "fatal" },
  ]);
  const stats = await server.json("/events/stats");
  assert.equal(stats.total_events, 3);
  assert.equal(stats.client_count, 0);
  assert.deepEqual(stats.by_source, { a: 2, 'quote"d': 1 });
  assert.deepEqual(stats.by_level, { warn: 1, info: 1, fatal: 1 });
  assert.equal(stats.by_channel.x, 1);
  assert.equal(stats.by_channel.y, 1);
  assert.equal(stats.events_per_second, 0.3);
});

test("stats count who is listening", async (t) => {
  const server = await startServer(t);
  const stream = await openStream(`${server.url}/events/stream`);
  await until(
    async () => (await server.json("/events/stats")).client_count === 1,
  );
  stream.close();
  await until(
    async () => (await server.json("/events/stats")).client_count === 0,
  );
});

test("rate is a row of buckets by time of receipt", async (t) => {
  const server = await startServer(t);
  await server.post("/events/batch", [
    { source: "a", ts: "2001-01-01T00:00:00Z" },
    { source: "a", ts: "2099-01-01T00:00:00Z" },
  ]);
  const sum = (row) => row.reduce((a, b) => a + b, 0);
  const plain = await server.json("/events/rate");
  assert.equal(plain.length, 60);
  assert.equal(sum(plain), 2);
  assert.equal(sum(plain.slice(-3)), 2);
  const few = await server.json("/events/rate?minutes=1&buckets=4");
  assert.equal(few.length, 4);
  assert.equal(few[3] + few[2], 2);
  for (const query of ["buckets=0", "buckets=301", "buckets=x", "minutes=-1"])
    assert.equal((await server.json(`/events/rate?${query}`)).length, 60);
  const long = await server.fetch("/events/rate?minutes=61");
  assert.equal(long.status, 400);
  assert.match((await long.json()).message, /60/);
});

test("channels are sorted, each once", async (t) => {
  const server = await startServer(t);
  assert.deepEqual(await server.json("/events/channels"), []);
  for (const channel of ["b", "a", "b", undefined])
    await server.post("/events", { source: "s", channel });
  assert.deepEqual(await server.json("/events/channels"), ["a", "b"]);
});

test("a page has to fit into the budget, and gives it back", async (t) => {
  const server = await startServer(t, { args: ["--budget", "2MiB"] });
  const data = { text: "x".repeat(200000) };
  for (let i = 0; i < 15; i++) {
    const answer = await server.post("/events", { source: "s", data });
    assert.equal(answer.status, 200);
  }
  for (const route of ["/events/recent?n=10000", "/events?limit=1000"]) {
    const refused = await server.fetch(route);
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    const { code, message } = await refused.json();
    assert.equal(code, "overloaded");
    assert.match(message, /ask for less at once/);
  }
  const fewer = await server.json("/events/recent?n=2");
  assert.equal(fewer.length, 2);
  const { http } = await server.json("/api/v1/status");
  assert.ok(http.body_bytes < 65536, `${http.body_bytes}`);
});

test("history comes in pages", async (t) => {
  const server = await startServer(t);
  await server.post(
    "/events/batch",
    events(25, (i) => ({ source: "s", data: { i } })),
  );
  const seen = [];
  let cursor = "";
  for (let page = 0; page < 5; page++) {
    const answer = await server.json(
      `/events?limit=10${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    seen.push(...answer.items.map((event) => event.data.i));
    cursor = answer.next_cursor;
    if (cursor === null) break;
  }
  assert.equal(cursor, null);
  assert.equal(new Set(seen).size, 25);
});

test("health, readiness and status tell how it is", async (t) => {
  const server = await startServer(t);
  const health = await server.json("/healthz");
  assert.equal(health.ok, true);
  assert.match(health.version, /^\d+\.\d+\.\d+/);
  const ready = await server.json("/readyz");
  assert.equal(ready.ready, true);
  assert.equal(ready.durability, "sync");
  assert.equal(ready.store.healthy, true);
  await server.post("/events", { source: "s" });
  const status = await server.json("/api/v1/status");
  assert.equal(status.version, health.version);
  assert.equal(status.url, server.url);
  assert.equal(status.store.location, server.store);
  assert.equal(status.store.head_seq, 1);
  assert.equal(status.retention.max_age_s, 7 * 86400);
  assert.equal(status.retention.max_bytes, 5e9);
  assert.equal(status.tokens, false);
  assert.equal(status.stored, 1);
});

test("HEAD answers wherever GET does, without a body", async (t) => {
  const server = await startServer(t);
  for (const path of [
    "/healthz",
    "/readyz",
    "/metrics",
    "/events",
    "/events/recent",
    "/events/stats",
    "/events/rate",
    "/events/channels",
    "/api/v1/status",
    "/",
  ]) {
    const answer = await request(server, { method: "HEAD", path });
    assert.equal(answer.status, 200, path);
    assert.equal(answer.text, "");
  }
});

test("what is not there is 404 in the shape of every error", async (t) => {
  const server = await startServer(t);
  const answer = await server.fetch("/nowhere");
  assert.equal(answer.status, 404);
  const error = await answer.json();
  assert.match(error.code, /^[a-z_]+$/);
  assert.equal(typeof error.message, "string");
});

test("the page is served with a strict policy", async (t) => {
  const server = await startServer(t);
  const answer = await server.fetch("/");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/html/);
  const policy = answer.headers.get("content-security-policy");
  for (const part of [
    "default-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ])
    assert.ok(policy.includes(part), policy);
  assert.equal(answer.headers.get("cache-control"), "no-cache");
  assert.equal(answer.headers.get("x-frame-options"), "DENY");
  assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
});

test("metrics come in both text formats", async (t) => {
  const server = await startServer(t);
  const plain = await server.fetch("/metrics");
  assert.match(plain.headers.get("content-type"), /text\/plain; version=0\.0\.4/);
  const text = await plain.text();
  assert.match(text, /^# TYPE telltale_events_received_total counter$/m);
  const open = await server.fetch("/metrics", {
    headers: {
      accept:
        "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3",
    },
  });
  assert.match(open.headers.get("content-type"), /openmetrics-text/);
  assert.match(await open.text(), /# EOF\n$/);
});

const rejected = (text) => total(text, "telltale_events_rejected_total");
const value = (text, name) => sample(text, `telltale_${name}`);

test("the ledger adds up under load and is exact at rest", async (t) => {
  const server = await startServer(t);
  const check = async () => {
    const text = await (await server.fetch("/metrics")).text();
    const received = value(text, "events_received_total");
    const flying = value(text, "events_in_flight");
    assert.ok(flying >= 0);
    assert.equal(
      received,
      value(text, "events_stored_total") +
        rejected(text) +
        flying +
        total(text, "telltale_events_lost_total"),
    );
    return { text, received, flying };
  };
  let running = true;
  const load = Array.from({ length: 8 }, async (_, i) => {
    for (let n = 0; n < 60; n++) {
      const headers = n % 7 ? {} : { "idempotency-key": `${i}/${n >> 3}` };
      if (n % 5 === 0) await server.post("/events", { action: "bad" });
      else if (n % 4 === 0)
        await server.post("/events/batch", [{ source: "a" }, { source: "b" }]);
      else await server.post("/events", { source: "s" }, headers);
    }
  });
  const watch = (async () => {
    while (running) await check();
  })();
  await Promise.all(load);
  running = false;
  await watch;
  const rest = await check();
  assert.equal(rest.flying, 0);
  assert.equal(sample(rest.text, "telltale_events_lost_total"), 0);
  assert.ok(
    sample(rest.text, "telltale_events_rejected_total", { reason: "invalid" }) >=
      96,
  );
  const stats = await server.json("/events/stats");
  assert.equal(stats.received, rest.received);
  assert.equal(
    stats.received,
    stats.stored +
      Object.values(stats.rejected).reduce((a, b) => a + b, 0) +
      stats.in_flight +
      stats.lost,
  );
  assert.equal(stats.total_events, stats.stored);
});

test("requests are counted by route and status class", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s" });
  await server.post("/events", {});
  await server.fetch("/nowhere");
  const text = await (await server.fetch("/metrics")).text();
  const count = (route, status) =>
    sample(text, "telltale_http_requests_total", { route, status });
  assert.equal(count("events", "2xx"), 1);
  assert.equal(count("events", "4xx"), 1);
  assert.equal(count("none", "4xx"), 1);
});
