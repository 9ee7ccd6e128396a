// Event streams: where they start, what they show, and that nobody misses or
// sees twice anything, whatever happens in between.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { startServer } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

async function until(condition, what = "the condition") {
  const late = Date.now() + 30000;
  while (!condition()) {
    if (Date.now() > late) throw new Error(`${what} did not come true`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

async function emit(server, count, more = {}) {
  const events = Array.from({ length: count }, (_, i) => ({
    source: i % 2 ? "odd" : "even",
    action: `a${i}`,
    ...more,
  }));
  const answer = await server.post("/events/batch", events);
  assert.equal(answer.status, 200, await answer.text());
}

async function open(t, server, route, options) {
  const stream = await openStream(server.url + route, options);
  t.after(() => stream.close());
  return stream;
}

const ids = (stream) => stream.events.map((event) => Number(event.id));
const range = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("a stream says what it is, when to come back and where it stands", async (t) => {
  const server = await startServer(t);
  await emit(server, 3);
  const stream = await open(t, server, "/events/stream");
  assert.equal(stream.status, 200);
  assert.equal(stream.headers["content-type"], "text/event-stream");
  assert.equal(stream.headers["cache-control"], "no-cache");
  assert.equal(stream.headers["x-accel-buffering"], "no");
  assert.match(stream.headers["telltale-log"], /^[0-9a-f-]{36}$/);
  await until(() => stream.retry === 2000 && stream.lastId === "3");
  assert.deepEqual(stream.positions, [3]);
  await emit(server, 1);
  await until(() => stream.events.length === 1);
  assert.equal(stream.events[0].id, "4");
  const event = JSON.parse(stream.events[0].data);
  assert.equal(event.seq, 4);
  assert.equal(event.action, "a0");
});

test("it resumes after an id, from the header before the query", async (t) => {
  const server = await startServer(t);
  await emit(server, 10);
  for (const [route, headers, first] of [
    ["/events/stream", { "last-event-id": "7" }, 8],
    ["/events/stream?after=4", {}, 5],
    ["/events/stream?after=4", { "last-event-id": "7" }, 8],
    ["/events/stream?replay=all", {}, 1],
    ["/events/stream?replay=all&after=9", {}, 10],
    ["/events/stream", { "last-event-id": "0" }, 1],
  ]) {
    const stream = await open(t, server, route, { headers });
    await until(() => ids(stream).at(-1) === 10, route);
    assert.deepEqual(ids(stream), range(first, 10));
  }
});

test("what is no number is 400, and says what to send", async (t) => {
  const server = await startServer(t);
  for (const [route, headers] of [
    ["/events/stream", { "last-event-id": "abc" }],
    ["/events/stream", { "last-event-id": "-1" }],
    ["/events/stream?after=1.5", {}],
    ["/events/stream?after=", {}],
    ["/events/stream?replay=some", {}],
    ["/events/stream?view=xml", {}],
    ["/events/stream?source=>=a", {}],
    ["/events/stream?level=>=loud", {}],
    ["/events/stream?include=everything", {}],
  ]) {
    const answer = await server.fetch(route, { headers });
    assert.equal(answer.status, 400, route);
    const body = await answer.json();
    assert.match(body.code, /^invalid_/);
    assert.ok(body.message.length > 20);
  }
});

test("an id beyond the log's end is reset to it", async (t) => {
  const server = await startServer(t);
  await emit(server, 5);
  const stream = await open(t, server, "/events/stream?after=900");
  await until(() => stream.events.length === 1);
  assert.equal(stream.events[0].type, "reset");
  assert.deepEqual(JSON.parse(stream.events[0].data), {
    requested: 900,
    head: 5,
  });
  await emit(server, 1);
  await until(() => stream.events.length === 2);
  assert.equal(stream.events[1].id, "6");
});

test("filters and views are the stream's own", async (t) => {
  const server = await startServer(t);
  const odd = await open(t, server, "/events/stream?source=odd");
  const both = await open(t, server, "/events/stream?source=odd,even&level=>=warn");
  const envelope = await open(t, server, "/events/stream?view=envelope");
  await emit(server, 4);
  await emit(server, 2, { level: "error" });
  await until(() => ids(envelope).at(-1) === 6);
  await until(() => ids(odd).at(-1) === 6 && ids(both).at(-1) === 6);
  assert.deepEqual(ids(odd), [2, 4, 6]);
  assert.deepEqual(ids(both), [5, 6]);
  const first = JSON.parse(envelope.events[0].data);
  assert.equal(first.seq, 1);
  assert.equal(first.event.source.kind, "even");
});

test("silence is broken by a comment, and by the position where a filter hides what came", async (t) => {
  const server = await startServer(t, { control: true });
  const quiet = await open(t, server, "/events/stream");
  const hidden = await open(t, server, "/events/stream?source=nobody");
  await until(() => quiet.lastId !== "" && hidden.lastId !== "");
  await emit(server, 3);
  await until(() => quiet.events.length === 3);
  assert.equal(quiet.comments + hidden.comments, 0);
  await server.control("clock advance_us 16000000");
  await until(() => quiet.comments > 0 && hidden.lastId === "3");
  assert.equal(hidden.events.length, 0);
  assert.deepEqual(hidden.positions, [0, 3]);
});

test("a stream over HTTP/1.0 ends with the connection; HEAD has only the head", async (t) => {
  const server = await startServer(t);
  await emit(server, 1);
  const head = await server.fetch("/events/stream", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-type"), "text/event-stream");
  const socket = net.connect(server.port, "127.0.0.1");
  t.after(() => socket.destroy());
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (more) => (text += more));
  socket.write("GET /events/stream?after=0 HTTP/1.0\r\nHost: localhost\r\n\r\n");
  await until(() => text.includes("\nid: 1\ndata: {"));
  assert.ok(!/transfer-encoding/i.test(text));
});

test("a stream behind a request does not outlive its client", async (t) => {
  const server = await startServer(t);
  const socket = net.connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.end(
    'POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{"source":"s"}' +
      "GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
  );
  socket.resume();
  await once(socket, "close");
  const { subscribers, http } = await server.json("/api/v1/status");
  assert.equal(subscribers, 0);
  assert.ok(http.connections <= 1);
});

test("different filters have a ceiling, subscribers of one have not", async (t) => {
  const server = await startServer(t, { args: ["--loops", "1"] });
  const open = (path) =>
    new Promise((resolve) => {
      const socket = net.connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      t.after(() => socket.destroy());
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      socket.once("data", (head) => resolve(Number(String(head).slice(9, 12))));
    });
  const filters = Array.from({ length: 1024 }, (_, i) => `?source=s${i}`);
  const answers = await Promise.all(
    filters.map((filter) => open(`/events/stream${filter}`)),
  );
  assert.ok(answers.every((status) => status === 200));
  const refused = await server.fetch("/events/stream?source=more");
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).code, "too_many_filters");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.equal(await open("/events/stream?source=s7&view=envelope"), 200);
});

test("what retention took is told, and the rest follows", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    args: ["--ring-entries", "64", "--retain-bytes", "1MiB"],
  });
  const padding = { data: { text: "x".repeat(2000) } };
  for (let i = 0; i < 20; i++) await emit(server, 100, padding);
  const recent = await server.json("/events/recent?n=1");
  const last = recent[0].seq;
  const stream = await open(t, server, "/events/stream", {
    headers: { "last-event-id": String(last - 2000) },
  });
  await until(() => ids(stream).at(-1) === last);
  assert.equal(stream.events[0].type, "dropped");
  const drop = JSON.parse(stream.events[0].data);
  assert.equal(drop.from_seq, last - 1999);
  assert.equal(drop.dropped, drop.to_seq - drop.from_seq + 1);
  assert.equal(drop.reason, "retention");
  assert.equal(Number(stream.events[0].id), drop.to_seq);
  assert.deepEqual(ids(stream).slice(1), range(drop.to_seq + 1, last));
});

for (const durability of ["sync", "memory"])
test(`those who come, go, stall and return under load miss nothing, ${durability}`, async (t) => {
  const server = await startServer(t, {
    args: ["--ring-entries", "256", "--durability", durability],
  });
  const TOTAL = 12000;
  let sent = 0;
  const posting = (async () => {
    while (sent < TOTAL) {
      const count = 1 + ((sent * 7) % 60);
      await emit(server, Math.min(count, TOTAL - sent), {
        data: { text: "y".repeat(sent % 400) },
      });
      sent += Math.min(count, TOTAL - sent);
    }
  })();
  // Each reads a while, leaves or stalls, and goes on from its last id.
  const follow = async (nth) => {
    const seen = [];
    let last = "0";
    while (seen.length < TOTAL) {
      const stream = await openStream(`${server.url}/events/stream`, {
        headers: { "last-event-id": last },
        on: (event) => {
          assert.equal(event.type, "message");
          seen.push(Number(event.id));
        },
      });
      const goal = Math.min(TOTAL, seen.length + 1500 + 331 * nth);
      if (nth % 3 === 0) {
        stream.response.pause();
        await new Promise((done) => setTimeout(done, 150));
        stream.response.resume();
      }
      await until(() => seen.length >= goal, `follower ${nth}`);
      last = stream.lastId;
      stream.close();
      seen.length = seen.lastIndexOf(Number(last)) + 1;
    }
    return seen;
  };
  const all = await Promise.all(range(0, 11).map(follow));
  await posting;
  const want = range(1, TOTAL);
  for (const seen of all) assert.deepEqual(seen, want);
});

test("after a crash a subscriber goes on where it was", async (t) => {
  const server = await startServer(t);
  let acknowledged = 0;
  let stop = false;
  const posting = (async () => {
    while (!stop) {
      try {
        const answer = await server.post("/events", { source: "s" });
        if (answer.ok) acknowledged = (await answer.json()).seq;
      } catch {
        await new Promise((done) => setTimeout(done, 20));
      }
    }
  })();
  const seen = [];
  let last = "0";
  for (let round = 0; round < 3; round++) {
    const stream = await openStream(`${server.url}/events/stream`, {
      headers: { "last-event-id": last },
      on: (event) => {
        if (event.type === "message") seen.push(Number(event.id));
      },
    });
    const goal = seen.length + 100;
    await until(() => seen.length > goal);
    await server.kill();
    await stream.ended;
    last = stream.lastId;
    await server.start();
  }
  stop = true;
  await posting;
  const stream = await open(t, server, "/events/stream", {
    headers: { "last-event-id": last },
    on: (event) => seen.push(Number(event.id)),
  });
  await until(() => seen.at(-1) >= acknowledged);
  stream.close();
  assert.deepEqual(seen, range(1, seen.at(-1)));
});
