// POST /events and POST /events/batch: what is accepted, what is refused, and
// what the answer promises.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { exchange, request } from "../harness/raw.mjs";
import { startServer } from "../harness/server.mjs";

const recent = (server, query = "n=1000") =>
  server.json(`/events/recent?${query}`);

async function refused(server, body, part, route = "/events") {
  const answer = await server.post(route, body);
  const error = await answer.json();
  assert.equal(answer.status, 400, JSON.stringify(error));
  assert.equal(error.code, "invalid_event");
  assert.match(error.message, part);
}

test("the first event of an empty store is 1, and numbers go on", async (t) => {
  const server = await startServer(t);
  for (const seq of [1, 2, 3]) {
    const answer = await server.post("/events", { source: "a" });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type"), /^application\/json/);
    assert.equal(await answer.text(), `{"seq":${seq}}`);
    assert.equal(answer.headers.get("accept-encoding"), "gzip, zstd");
    assert.match(answer.headers.get("telltale-log"), /^[0-9a-f-]{36}$/);
  }
});

test("source is the one field that is needed", async (t) => {
  const server = await startServer(t);
  await refused(server, {}, /source is required/);
  await refused(server, { source: "" }, /source is required/);
  await refused(server, { source: " \t" }, /source is required/);
  await refused(server, { source: 5 }, /source/);
  assert.deepEqual(await recent(server), []);
});

test("fields come back as they were sent, defaults filled in", async (t) => {
  const server = await startServer(t);
  const full = {
    source: "shop",
    channel: "orders",
    action: "created",
    level: "WARN",
    agent_id: "agent-1",
    duration_ms: 0,
    data: { b: 1, a: [true, null] },
    ts: "2026-01-02T03:04:05.123456789+02:00",
    seq: 999,
    colour: "blue",
  };
  await server.post("/events", full);
  await server.post("/events", { source: "bare", level: "Notice" });
  await server.post("/events", { source: "bare" });
  const [first, second, third] = await recent(server);
  assert.deepEqual(first, {
    seq: 1,
    source: "shop",
    channel: "orders",
    action: "created",
    level: "warn",
    agent_id: "agent-1",
    duration_ms: 0,
    data: { b: 1, a: [true, null] },
    ts: "2026-01-02T01:04:05.123456Z",
  });
  assert.equal(second.level, "Notice");
  assert.equal(third.level, "info");
  assert.match(third.ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.deepEqual(Object.keys(third).sort(), ["level", "seq", "source", "ts"]);
});

test("data is kept byte for byte, but on one line", async (t) => {
  const server = await startServer(t);
  const data =
    '{"z": 1.0, "a": 1e400, "k":"\\u00e9\\/\\u0000\\ud800", "k":2,\n"n":-0}';
  await server.post("/events", `{"source":"s","data":${data}}`);
  const text = await (await server.fetch("/events/recent")).text();
  assert.ok(text.includes(data.replace("\n", " ")), text);
});

test("data must be an object", async (t) => {
  const server = await startServer(t);
  for (const data of ["[1]", '"x"', "5", "true"])
    await refused(server, `{"source":"s","data":${data}}`, /data/);
});

test("malformed JSON names the byte", async (t) => {
  const server = await startServer(t);
  const deep = "[".repeat(200) + "]".repeat(200);
  const cases = [
    ["", /byte 0/],
    ["{", /byte 1/],
    ["null", /byte/],
    ['{"source":"s"} x', /byte 15/],
    ['{"source":"s"}{}', /byte 14/],
    ['{"source":"s","source":"t"}', /byte 1\d/],
    [`{"source":"s","data":{"a":${deep}}}`, /byte \d+/],
    ['{"source":"s",}', /byte 14/],
    ['{"source":"s","ts":"yesterday"}', /ts/],
    ['{"source":"s","duration_ms":"5"}', /duration_ms/],
  ];
  for (const [body, part] of cases) await refused(server, body, part);
  const bad = Buffer.from('{"source":"\xff"}', "latin1");
  const answer = await request(server, {
    method: "POST",
    path: "/events",
    body: bad,
  });
  assert.equal(answer.status, 400);
  assert.match(answer.json().message, /byte 11/);
  assert.deepEqual(await recent(server), []);
});

test("the content type of one event is not looked at", async (t) => {
  const server = await startServer(t);
  const answer = await server.post("/events", '{"source":"s"}', {
    "content-type": "text/plain",
  });
  assert.equal(answer.status, 200);
});

test("a body over the limit is 413, which the client gets to read", async (t) => {
  const server = await startServer(t);
  const body = JSON.stringify({
    source: "s",
    data: { text: "x".repeat(3 << 20) },
  });
  const answer = await server.post("/events", body);
  assert.equal(answer.status, 413);
  assert.match((await answer.json()).message, /1048576|1 MiB/);
  const small = await startServer(t, { args: ["--max-body", "1KiB"] });
  const again = await small.post("/events", body.slice(0, 2000));
  assert.equal(again.status, 413);
  assert.match((await again.json()).message, /1024|1 KiB/);
});

test("an envelope over 1,000,000 bytes loses its data and says so", async (t) => {
  const server = await startServer(t);
  const body = { source: "s", data: { text: "x".repeat(1_010_000) } };
  const answer = await server.post("/events", body);
  assert.deepEqual(await answer.json(), { seq: 1, truncated: true });
  const [event] = await recent(server);
  assert.equal(event.truncated, true);
  assert.equal(event.data, null);
  const batch = await server.post("/events/batch", [body, { source: "t" }]);
  assert.deepEqual(await batch.json(), {
    count: 2,
    seqs: [2, 3],
    truncated: true,
  });
});

const zstd = (input, ...args) => execFileSync("zstd", ["-qc", ...args], { input });
const codings = { gzip: gzipSync, zstd };

for (const [coding, pack] of Object.entries(codings))
  test(`${coding} bodies are taken, broken and growing ones are not`, async (t) => {
    const server = await startServer(t);
    const send = async (body, name = coding, path = "/events") => {
      const headers = { "content-encoding": name };
      const answer = await request(server, { method: "POST", path, headers, body });
      return [answer.status, answer.text];
    };
    const good = pack('{"source":"zipped"}');
    assert.equal((await send(good))[0], 200);
    assert.equal((await recent(server))[0].source, "zipped");
    // Members in a row are one body.
    const [status, text] = await send(
      Buffer.concat([pack('[{"source":"a"},'), pack('{"source":"b"}]')]),
      coding,
      "/events/batch",
    );
    assert.deepEqual([status, JSON.parse(text).count], [200, 2], text);
    const refused = async (body, status, part, name) => {
      const answer = await send(body, name);
      assert.equal(answer[0], status, answer[1]);
      assert.match(answer[1], part);
    };
    const cut = good.subarray(0, 12);
    await refused(cut, 400, /bad_encoding.*too early \(at byte 12\)/);
    await refused("x", 400, new RegExp(`not valid ${coding} \\(at byte 0\\)`));
    const more = Buffer.concat([good, Buffer.from("?")]);
    await refused(more, 400, new RegExp(`follow the end.*${good.length}\\)`));
    const bomb = pack(Buffer.alloc(64 << 20, 32));
    await refused(bomb, 413, /too large|expands too much/);
    await refused(good, 415, /gzip, zstd and identity/, "br");
    // Decoded by the pool; refused whole, at the byte.
    const large = pack(randomBytes(400000).toString("hex"));
    large.fill(0xff, large.length >> 1);
    await refused(large, 400, /bad_encoding.*at byte [1-9]/);
    assert.equal((await server.json("/events/stats")).total_events, 3);
  });

test("a zstd window is held to 8 MiB and to the budget", async (t) => {
  const server = await startServer(t, { args: ["--budget", "4MiB"] });
  const send = (body) =>
    request(server, {
      method: "POST",
      path: "/events",
      headers: { "content-encoding": "zstd" },
      body,
    });
  // Frames of one empty block, with a window of 2 GiB and one of 8 MiB.
  const frame = (window) => Buffer.from(`28b52ffd00${window}010000`, "hex");
  const huge = await send(frame("a8"));
  assert.equal(huge.status, 400);
  assert.match(huge.text, /window of more than 8 MiB/);
  const large = await send(frame("68"));
  assert.equal(large.status, 503, "the decoder's memory counts");
  assert.equal(large.headers["retry-after"], "1");
  const small = await send(zstd('{"source":"a"}'));
  assert.equal(small.status, 200);
  const status = await server.json("/api/v1/status");
  assert.equal(status.http.body_bytes < 100000, true);
});

test("a batch answers with its numbers, in order", async (t) => {
  const server = await startServer(t);
  const batch = await server.post("/events/batch", [
    { source: "a" },
    { source: "b" },
    { source: "c" },
  ]);
  assert.equal(batch.status, 200);
  assert.equal(await batch.text(), '{"count":3,"seqs":[1,2,3]}');
  const empty = await server.post("/events/batch", []);
  assert.equal(await empty.text(), '{"count":0,"seqs":[]}');
  const sources = (await recent(server)).map((event) => event.source);
  assert.deepEqual(sources, ["a", "b", "c"]);
});

test("a batch may be NDJSON", async (t) => {
  const server = await startServer(t);
  const answer = await server.post(
    "/events/batch",
    '{"source":"a"}\n\n{"source":"b"}\r\n',
    { "content-type": "application/x-ndjson; charset=utf-8" },
  );
  assert.deepEqual(await answer.json(), { count: 2, seqs: [1, 2] });
});

test("a batch is all or nothing, and says which event was wrong", async (t) => {
  const server = await startServer(t);
  await refused(
    server,
    [{ source: "a" }, { source: "b" }, { action: "c" }],
    /event 2: source is required.*byte \d+.*nothing was stored/,
    "/events/batch",
  );
  await refused(server, '[{"source":"a"}', /nothing/, "/events/batch");
  await refused(server, '{"source":"a"}', /array/, "/events/batch");
  assert.deepEqual(await recent(server), []);
  const next = await server.post("/events", { source: "a" });
  assert.deepEqual(await next.json(), { seq: 1 });
});

test("a batch of more events than the limit is 413", async (t) => {
  const server = await startServer(t);
  const events = (n) => `[${Array(n).fill('{"source":"s"}').join(",")}]`;
  const over = await server.post("/events/batch", events(10_001));
  assert.equal(over.status, 413);
  assert.match((await over.json()).message, /10000/);
  const most = await server.post("/events/batch", events(10_000));
  const answer = await most.json();
  assert.equal(answer.count, 10_000);
  assert.equal(answer.seqs[9_999], 10_000);
});

test("large batches on many connections keep their events together", async (t) => {
  const server = await startServer(t);
  const batch = (source) =>
    JSON.stringify(
      Array.from({ length: 500 }, (_, i) => ({
        source,
        data: { i, pad: "x".repeat(300) },
      })),
    );
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      server.post("/events/batch", batch(`s${i}`)).then((a) => a.json()),
    ),
  );
  for (const { count, seqs } of answers) {
    assert.equal(count, 500);
    assert.equal(seqs[499] - seqs[0], 499);
  }
  assert.equal((await recent(server, "n=10000")).length, 4000);
});

test("an idempotency key stores once and repeats the first answer", async (t) => {
  const server = await startServer(t);
  const key = { "idempotency-key": "order-17" };
  const send = (route, body) => server.post(route, body, key);
  const first = await send("/events", { source: "a" });
  assert.deepEqual(await first.json(), { seq: 1 });
  assert.equal(first.headers.get("idempotency-replayed"), null);
  const again = await send("/events", { source: "a" });
  assert.deepEqual(await again.json(), { seq: 1 });
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const other = await send("/events", { source: "b" });
  assert.equal(other.status, 422);
  assert.equal((await other.json()).code, "idempotency_mismatch");
  // Another route is another scope.
  const batch = await send("/events/batch", [{ source: "c" }, { source: "d" }]);
  assert.deepEqual(await batch.json(), { count: 2, seqs: [2, 3] });
  await server.stop();
  await server.start();
  const later = await send("/events/batch", [{ source: "c" }, { source: "d" }]);
  assert.deepEqual(await later.json(), { count: 2, seqs: [2, 3] });
  assert.equal((await recent(server)).length, 3);
});

test("our emitter's keys stay exact over many batches", async (t) => {
  const server = await startServer(t);
  const producer = "0b0f9e7e-6a38-4f43-9d5f-0d7f2d4c8a11";
  const send = (n) =>
    server
      .post("/events/batch", [{ source: `n${n}` }], {
        "idempotency-key": `${producer}/${n}`,
      })
      .then((answer) => answer.json());
  for (let n = 1; n <= 20; n++)
    assert.deepEqual(await send(n), { count: 1, seqs: [n] });
  assert.deepEqual(await send(20), { count: 1, seqs: [20] });
  assert.deepEqual(await send(10), { count: 1, seqs: [10] });
  assert.equal((await recent(server)).length, 20);
});

test("a key used by many at once stores once", async (t) => {
  const server = await startServer(t);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      server.post("/events", { source: "a" }, { "idempotency-key": "k" }),
    ),
  );
  for (const answer of answers) {
    const body = await answer.json();
    if (answer.status === 200) assert.deepEqual(body, { seq: 1 });
    else assert.equal(body.code, "idempotency_in_flight");
  }
  assert.ok(answers.some((answer) => answer.status === 200));
  assert.equal((await recent(server)).length, 1);
});

test("a key that is too long is refused", async (t) => {
  const server = await startServer(t);
  const answer = await server.post(
    "/events",
    { source: "a" },
    { "idempotency-key": "k".repeat(256) },
  );
  assert.equal(answer.status, 400);
  assert.equal((await answer.json()).code, "invalid_idempotency_key");
});

test("pipelined posts are answered in order", async (t) => {
  const server = await startServer(t);
  const one =
    "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n" +
    '{"source":"s"}';
  const text = await exchange(
    server,
    one.repeat(40),
    (all) => all.split('{"seq":').length > 40,
  );
  const seqs = [...text.matchAll(/\{"seq":(\d+)\}/g)].map((m) => Number(m[1]));
  assert.deepEqual(
    seqs,
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
});

test("another method is 405 and says which are allowed", async (t) => {
  const server = await startServer(t);
  const put = await server.fetch("/events", { method: "PUT", body: "{}" });
  assert.equal(put.status, 405);
  for (const method of ["GET", "HEAD", "POST"])
    assert.ok(put.headers.get("allow").includes(method));
  const get = await server.fetch("/events/batch");
  assert.equal(get.status, 405);
  assert.equal(get.headers.get("allow").includes("GET"), false);
  assert.equal(typeof (await get.json()).code, "string");
});

test("what emitters dropped is shown", async (t) => {
  const server = await startServer(t);
  const headers = { "telltale-dropped": "queue_full=7,retries=2,moon=1" };
  await server.post("/events", { source: "a" }, headers);
  await server.post("/events", { action: "no source" }, headers);
  const { emitter_dropped } = await server.json("/events/stats");
  assert.equal(emitter_dropped.queue_full, 7);
  assert.equal(emitter_dropped.retries, 2);
  assert.equal(emitter_dropped.other, 1);
});

test("memory answers in the same way", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    args: ["--durability", "memory"],
  });
  const before = Date.now() * 1000;
  const one = await (await server.post("/events", { source: "a" })).json();
  assert.ok(one.seq > before - 60e6 && one.seq < before + 60e6, `${one.seq}`);
  const batch = await server.post("/events/batch", [{ source: "b" }]);
  assert.deepEqual((await batch.json()).seqs, [one.seq + 1]);
  assert.equal((await recent(server)).length, 2);
});
