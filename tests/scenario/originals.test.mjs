// Clients of the event relay that Telltale replaces go on working: their
// requests, as they send them, and what they need of an answer. Go's are
// recorded bytes of net/http; Python's come from its own urllib, TypeScript's
// from fetch.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { exchange } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

// ---- Go ----

// A request as net/http writes it: its own order of headers, gzip offered.
function goRequest(server, method, path, body, more = {}) {
  const length = body === undefined ? "" : Buffer.byteLength(body);
  const headers = Object.entries(more).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    `${method} ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${server.port}`,
    "User-Agent: Go-http-client/1.1",
    ...(body === undefined ? [] : [`Content-Length: ${length}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    "Accept-Encoding: gzip",
    "",
    body ?? "",
  ].join("\r\n");
}

const json = { "Content-Type": "application/json" };

// What net/http holds an answer to. The whole ones at the front of the text.
function goResponses(text) {
  const responses = [];
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return responses;
    const [status, ...lines] = text.slice(0, end).split("\r\n");
    assert.match(status, /^HTTP\/1\.1 [1-5]\d\d /);
    const headers = new Map();
    for (const line of lines) {
      const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)$/.exec(line);
      assert.ok(found, `malformed header ${line}`);
      headers.set(found[1].toLowerCase(), found[2]);
    }
    assert.ok(!headers.has("transfer-encoding"));
    assert.ok(!headers.has("content-encoding"));
    assert.match(headers.get("content-length"), /^\d+$/);
    const length = Number(headers.get("content-length"));
    const body = text.slice(end + 4, end + 4 + length);
    if (body.length < length) return responses;
    text = text.slice(end + 4 + length);
    responses.push({ status: Number(status.slice(9, 12)), headers, body });
  }
}

// Sends them over one kept connection, as its transport does.
async function goTalk(server, requests) {
  let responses = [];
  await exchange(server, requests.join(""), (text) => {
    responses = goResponses(text);
    return responses.length === requests.length;
  });
  assert.equal(responses.length, requests.length);
  for (const response of responses)
    assert.notEqual(response.headers.get("connection"), "close");
  return responses;
}

test("Go: emitted events, with all that the library's versions send", async (t) => {
  const server = await startServer(t);
  const post = (body) => goRequest(server, "POST", "/events", body, json);
  const bodies = [
    // The emitter's struct: duration and time are always there.
    '{"source":"svc","action":"done","duration_ms":0,"ts":"2026-03-23T10:11:12.123456789+01:00"}',
    '{"source":"svc","channel":"jobs","action":"failed","level":"error","agent_id":"agent-7","duration_ms":1234,"data":{"attempt":3,"err":"a \\u003cnil\\u003e \\u0026 b","ratio":0.5},"ts":"2026-03-23T10:11:13Z"}',
    // A time that was never set, and json.Encoder's line end.
    '{"source":"svc","action":"timed","level":"info","duration_ms":7,"ts":"0001-01-01T00:00:00Z"}\n',
    // The map of the earlier client, keys sorted.
    '{"action":"cache \\u2028","channel":"http","data":{"nested":{"list":[1,"2",null,true]}},"level":"warn","source":"svc"}',
  ];
  const answers = await goTalk(server, bodies.map(post));
  answers.forEach(({ status, headers, body }, i) => {
    assert.equal(status, 200);
    assert.match(headers.get("content-type"), /^application\/json/);
    assert.deepEqual(JSON.parse(body), { seq: i + 1 });
  });
  const events = await server.json("/events/recent");
  assert.equal(events[0].ts, "2026-03-23T09:11:12.123456Z");
  assert.equal(events[0].duration_ms, 0);
  assert.deepEqual(events[1].data, {
    attempt: 3,
    err: "a <nil> & b",
    ratio: 0.5,
  });
  assert.ok(Math.abs(Date.parse(events[2].ts) - Date.now()) < 60000);
  assert.equal(events[3].action, "cache \u2028");
});

test("Go: log lines, of the client and of its slog handler", async (t) => {
  const server = await startServer(t);
  const post = (body) => goRequest(server, "POST", "/log", body, json);
  const answers = await goTalk(
    server,
    [
      '{"level":"info","message":"started","logger":"svc"}',
      '{"level":"WARN","message":"slow query","logger":"svc","fields":{"db.rows":42,"db.table":"orders"},"caller":"store.go:118","ts":"2026-03-23T10:11:12.5Z"}',
    ].map(post),
  );
  answers.forEach(({ status, body }, i) => {
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), { accepted: true, seq: i + 1 });
  });
  const lines = await server.json("/logs/recent");
  assert.equal(lines[1].level, "warn");
  assert.equal(lines[1].data.caller, "store.go:118");
});

test("Go: a batch, an empty one, and a body of unknown length", async (t) => {
  const server = await startServer(t);
  const chunked = [
    "POST /events HTTP/1.1",
    `Host: 127.0.0.1:${server.port}`,
    "User-Agent: Go-http-client/1.1",
    "Transfer-Encoding: chunked",
    "Content-Type: application/json",
    "Accept-Encoding: gzip",
    "",
    "10\r\n" + '{"source":"pipe"' + "\r\n1\r\n}\r\n0\r\n\r\n",
  ].join("\r\n");
  const answers = await goTalk(server, [
    goRequest(
      server,
      "POST",
      "/events/batch",
      '[{"source":"a","action":"x"},{"source":"b","action":"y"}]',
      json,
    ),
    goRequest(server, "POST", "/events/batch", "[]", json),
    chunked,
  ]);
  assert.deepEqual(
    answers.map(({ status, body }) => [status, JSON.parse(body)]),
    [
      [200, { count: 2, seqs: [1, 2] }],
      [200, { count: 0, seqs: [] }],
      [200, { seq: 3 }],
    ],
  );
});

test("Go: the send command with its token", async (t) => {
  const token = `tt_${"a".repeat(43)}`;
  const server = await startServer(t, {
    env: { TELLTALE_TOKEN_INGEST: token },
  });
  const body = '{"action":"deploy","data":{"v":1},"level":"info","source":"cli"}';
  const send = (value) =>
    goRequest(server, "POST", "/events", body, {
      ...json,
      ...(value ? { Authorization: `Bearer ${value}` } : {}),
    });
  const [stored, refused] = await goTalk(server, [send(token), send("wrong")]);
  assert.deepEqual([stored.status, JSON.parse(stored.body)], [200, { seq: 1 }]);
  assert.equal(refused.status, 401);
});

test("Go: what its terminal view asks for", async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 3; i++)
    await server.post("/events", { source: "s", channel: "c", action: `a${i}` });
  await server.post("/log", { message: "m", logger: "db" });
  const get = (path) => goRequest(server, "GET", path);
  const [recent, none, stats, rate, channels, health, logs, logStats, logRate] =
    await goTalk(
      server,
      [
        "/events/recent?n=100",
        "/events/recent?n=100&source=nobody",
        "/events/stats",
        "/events/rate?minutes=5&buckets=60",
        "/events/channels",
        "/healthz",
        "/logs/recent?n=50&level=debug",
        "/logs/stats",
        "/logs/rate",
      ].map(get),
    ).then((all) => all.map(({ body }) => JSON.parse(body)));
  assert.deepEqual(recent.map((event) => event.seq), [1, 2, 3]);
  assert.deepEqual(none, []);
  assert.equal(stats.total_events, 3);
  assert.deepEqual(
    [stats.by_source, stats.by_level, stats.by_channel],
    [{ s: 3 }, { info: 3 }, { c: 3 }],
  );
  for (const key of ["client_count", "events_per_second"])
    assert.equal(typeof stats[key], "number");
  assert.equal(rate.length, 60);
  assert.equal(rate.reduce((a, b) => a + b), 3);
  assert.deepEqual(channels, ["c"]);
  assert.equal(health.ok, true);
  assert.equal(typeof health.version, "string");
  assert.deepEqual(logs.map((line) => line.data.message), ["m"]);
  assert.equal(logStats.total_logs, 1);
  assert.equal(logRate.length, 60);
});

test("Go: a stream read line by line has each event, once", async (t) => {
  const server = await startServer(t);
  let text = "";
  const reading = exchange(
    server,
    goRequest(server, "GET", "/events/stream", undefined, {
      Accept: "text/event-stream",
    }),
    (so_far) => {
      text = so_far;
      return so_far.includes('"action":"last"');
    },
  );
  await until(() => text.includes("\r\n\r\n"));
  await server.post("/events", { source: "s", action: "first" });
  await server.post("/events", { source: "s", action: "last" });
  await reading;
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(text, /\r\ncontent-type: text\/event-stream/i);
  assert.match(text, /\r\ncache-control: no-cache/i);
  // What is not an event has another form: its lines have no source.
  const events = text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice("data: ".length)))
    .filter((event) => event.source);
  assert.deepEqual(events.map((event) => event.action), ["first", "last"]);
});

test("what these clients do wrong is refused in a way that they survive", async (t) => {
  const server = await startServer(t);
  const answers = await goTalk(server, [
    goRequest(server, "POST", "/events", '{"action":"no source"}', json),
    goRequest(server, "POST", "/events", '{"source":"s","data":[1]}', json),
    goRequest(server, "POST", "/log", '{"level":7}', json),
    goRequest(server, "POST", "/api/none", "{}", json),
    goRequest(server, "GET", "/healthz"),
  ]);
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [400, 400, 400, 404, 200],
  );
  for (const { body } of answers.slice(0, 4)) {
    const { code, message } = JSON.parse(body);
    assert.match(code, /^[a-z0-9_]+$/);
    assert.ok(message.length > 0);
  }
});

// ---- Python ----

// A client as it was: a daemon thread for each call, urllib, json.dumps. Its two
// seconds are more here, where the machine may be busy.
const pythonClient = `
import json, sys, threading, time, urllib.request
from contextlib import contextmanager

class Emitter:
    def __init__(self, url, source):
        self.url, self.source, self.threads, self.answers = url, source, [], []
    def _post(self, url, body):
        request = urllib.request.Request(
            url, data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=20.0) as answer:
            self.answers.append([answer.status, json.loads(answer.read())])
    def _send(self, url, body):
        thread = threading.Thread(target=self._post, args=(url, body), daemon=True)
        self.threads.append(thread)
        thread.start()
    def emit(self, action, level="info", **data):
        self._send(self.url, {"source": self.source, "action": action,
                              "level": level, "data": data})
    def log(self, message, level="info", **fields):
        self._send(self.url.rsplit("/", 1)[0] + "/log",
                   {"level": level, "message": message,
                    "logger": self.source, "fields": fields})
    @contextmanager
    def timed(self, action):
        start = time.monotonic()
        yield
        self._send(self.url, {"source": self.source, "action": action,
                              "duration_ms": int((time.monotonic() - start) * 1000)})
    def flush(self):
        for thread in self.threads:
            thread.join(30)

e = Emitter(sys.argv[1], "py")
e.emit("started", text="caf\\u00e9 \\U0001f600", ratio=0.1, none=None)
e.emit("failed", level="error", code=500)
e.log("line", level="warn", path="/var")
with e.timed("work"):
    pass
e.flush()
print(json.dumps(e.answers))
`;

test("Python: urllib's requests, a connection each", async (t) => {
  const server = await startServer(t);
  const child = spawn("python3", ["-c", pythonClient, `${server.url}/events`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
  const [code] = await once(child, "close");
  assert.deepEqual([code, err], [0, ""]);
  const answers = JSON.parse(out);
  assert.deepEqual(answers.map(([status]) => status), [200, 200, 200, 200]);
  assert.deepEqual(
    answers.map(([, body]) => body.seq).sort(),
    [1, 2, 3, 4],
  );
  const events = await server.json("/events/recent?source=py");
  assert.equal(events.length, 3);
  const started = events.find((event) => event.action === "started");
  assert.deepEqual(started.data, { text: "café 😀", ratio: 0.1, none: null });
  assert.ok(events.find((event) => event.action === "work").duration_ms >= 0);
  const [line] = await server.json("/logs/recent");
  assert.deepEqual(
    [line.action, line.level, line.data],
    ["py", "warn", { message: "line", fields: { path: "/var" } }],
  );
});

// ---- TypeScript ----

test("TypeScript: fetch, many at a time, awaited together by flush", async (t) => {
  const server = await startServer(t);
  const pending = [];
  const send = (url, body) =>
    pending.push(
      fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      }).then(async (answer) => [answer.ok, await answer.json()]),
    );
  for (let i = 0; i < 200; i++)
    send(`${server.url}/events`, {
      source: "ts",
      channel: "web",
      action: "click",
      level: "info",
      data: { i, text: "\u2028 \ud83d\ude00" },
    });
  send(`${server.url}/log`, { level: "debug", message: "hi", logger: "ts" });
  send(`${server.url}/events/batch`, [{ source: "ts", action: "batch" }]);
  const answers = await Promise.all(pending);
  assert.ok(answers.every(([ok]) => ok));
  assert.deepEqual(Object.keys(answers[0][1]), ["seq"]);
  assert.equal(answers[200][1].accepted, true);
  assert.equal(answers[201][1].count, 1);
  const events = await server.json("/events/recent?n=1000&action=click");
  assert.equal(new Set(events.map((event) => event.data.i)).size, 200);
  assert.equal(events[0].data.text, "\u2028 😀");
});

// ---- What the original got wrong, where no other suite has it ----

test("figures count by time of receipt, beyond what memory holds", async (t) => {
  const server = await startServer(t, { args: ["--ring-entries", "16"] });
  const events = Array.from({ length: 100 }, (_, i) => ({
    source: "s",
    ts: i % 2 ? "2001-01-01T00:00:00Z" : "2199-01-01T00:00:00Z",
  }));
  await server.post("/events/batch", events);
  const stats = await server.json("/events/stats");
  assert.equal(stats.total_events, 100);
  assert.equal(stats.events_per_second, 10);
  const rate = await server.json("/events/rate");
  assert.equal(rate.reduce((a, b) => a + b), 100);
});

test("routes that read take no other method", async (t) => {
  const server = await startServer(t);
  for (const route of [
    "/events/stream",
    "/events/recent",
    "/events/stats",
    "/events/rate",
    "/events/channels",
    "/logs/stream",
    "/logs/recent",
    "/logs/stats",
    "/logs/rate",
    "/healthz",
    "/api/v1/status",
    "/",
  ])
    for (const method of ["POST", "PUT", "DELETE"]) {
      const answer = await server.fetch(route, { method });
      assert.equal(answer.status, 405, `${method} ${route}`);
      assert.match(answer.headers.get("allow"), /\bGET\b/);
      await answer.text();
    }
});

const secrets = {
  TELLTALE_TOKEN_INGEST: `tt_${"i".repeat(43)}`,
  TELLTALE_TOKEN_READ: `tt_${"r".repeat(43)}`,
  TELLTALE_TOKEN_ADMIN: `tt_${"a".repeat(43)}`,
};
const reader = {
  headers: { authorization: `Bearer ${secrets.TELLTALE_TOKEN_READ}` },
};

test("status is for readers, and tells no secret", async (t) => {
  const server = await startServer(t, { env: secrets });
  assert.equal((await server.fetch("/api/v1/status")).status, 401);
  assert.equal((await server.fetch("/api/status", reader)).status, 404);
  const text = await (await server.fetch("/api/v1/status", reader)).text();
  assert.equal(JSON.parse(text).tokens, true);
  for (const secret of Object.values(secrets))
    assert.ok(!text.includes(secret));
});

test("the server's own log goes to standard error, not among log lines", async (t) => {
  for (const env of [{}, secrets]) {
    const server = await startServer(t, { env, args: ["--log-level", "debug"] });
    process.kill(server.pid, "SIGHUP");
    await until(() => server.stderr.includes("SIGHUP"));
    const init = env === secrets ? reader : {};
    assert.deepEqual(await server.json("/logs/recent", init), []);
    assert.deepEqual(
      await server.json("/events/recent?include=log", init),
      [],
    );
  }
});

test("a terminal client has its token, and takes lines of any length", async (t) => {
  const server = await startServer(t, { env: secrets });
  const text = "x".repeat(300000);
  const env = { TELLTALE_TOKEN: secrets.TELLTALE_TOKEN_ADMIN };
  await server.post(
    "/events",
    { source: "s", data: { text } },
    { authorization: `Bearer ${secrets.TELLTALE_TOKEN_INGEST}` },
  );
  for (const args of [
    ["tail", "--all", "-n", "1", "--json"],
    ["recent", "--json"],
    ["events", "--json"],
  ]) {
    const { code, out, err } = await cli(server, args, { env });
    assert.deepEqual([code, err], [0, ""], args[0]);
    assert.equal(JSON.parse(out).data.text, text);
  }
  const { code } = await cli(server, ["recent"], {});
  assert.notEqual(code, 0);
});

test("many publishers are seen in one order, by those who stay and those who go", async (t) => {
  const server = await startServer(t, { store: "memory" });
  const [PUBLISHERS, EACH] = [8, 150];
  const orders = [];
  const streams = [];
  for (let i = 0; i < 6; i++) {
    const seen = [];
    orders.push(seen);
    const stream = await openStream(`${server.url}/events/stream`, {
      on: (event) => {
        if (event.type !== "message") return;
        seen.push(JSON.parse(event.data).data.at);
        if (i % 2 && seen.length === 100 * i) stream.close();
      },
    });
    t.after(stream.close);
    streams.push(stream);
  }
  await Promise.all(
    Array.from({ length: PUBLISHERS }, async (_, p) => {
      for (let n = 0; n < EACH; n++)
        await server.post("/events", { source: "s", data: { at: [p, n] } });
    }),
  );
  await until(() =>
    orders.every((seen, i) => i % 2 || seen.length === PUBLISHERS * EACH),
  );
  for (const [i, seen] of orders.entries())
    assert.deepEqual(seen, orders[0].slice(0, seen.length), `stream ${i}`);
  const next = Array(PUBLISHERS).fill(0);
  for (const [p, n] of orders[0]) assert.equal(n, next[p]++);
});
