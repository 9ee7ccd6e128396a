// Capture sessions over HTTP: what is configured, what is captured, what a stream
// shows, and what a restart leaves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { cli, startCli } from "../harness/cli.mjs";
import { startServer, temporaryFolder, Server, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

const six = ["console", "network", "page", "interaction", "api", "system"];
const users = six.filter((category) => category !== "system");
const id = /^[a-z][a-z0-9]{23}$/;

const switches = (names, enabled) =>
  Object.fromEntries(names.map((name) => [name, { enabled }]));
const allOff = { browser: switches(users, false) };
const captured = ({ config }) =>
  six.filter((category) => config.browser[category].enabled);

// {status, body} of a request; a session's name, or "" for the default one.
const base = (name) => (name ? `/telemetry/sessions/${name}` : "/telemetry");
async function ask(server, method, path, body, headers = {}) {
  const answer = await server.fetch(path, {
    method,
    headers,
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    body: text ? JSON.parse(text) : null,
  };
}
const put = (server, body, name) => ask(server, "PUT", base(name), body);
const patch = (server, body, name) => ask(server, "PATCH", base(name), body);
const get = (server, name) => ask(server, "GET", base(name));
const publish = (server, event, name, headers) =>
  ask(server, "POST", `${base(name)}/events`, event, headers);
const event = (category, more = {}) => ({ type: "t", category, ...more });

async function published(server, category, name, more) {
  const answer = await publish(server, event(category, more), name);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

const seqs = (stream) => stream.events.map(({ data }) => JSON.parse(data).seq);

// ---- Configuration

test("nothing is configured at first", async (t) => {
  const server = await startServer(t);
  const { status, body } = await get(server);
  assert.equal(status, 404);
  assert.equal(body.message, "telemetry is not configured");
  assert.equal((await patch(server, {})).status, 404);
  assert.equal((await patch(server, allOff)).status, 404);
  assert.deepEqual(await server.json("/telemetry/sessions"), {
    items: [],
    next_cursor: null,
  });
  // Ending what is not there is no error, and begins nothing.
  const off = await put(server, allOff);
  assert.equal(off.status, 200);
  assert.deepEqual(captured(off.body), []);
  assert.equal((await get(server)).status, 404);
});

test("PUT: 201 when newly configured, else 200; what is omitted is enabled", async (t) => {
  const server = await startServer(t);
  const first = await put(server);
  assert.equal(first.status, 201);
  assert.deepEqual(captured(first.body), six);
  assert.match(first.body.session_id, id);
  assert.equal(first.body.config.export.otlp.enabled, false);
  assert.ok(Math.abs(Date.parse(first.body.applied_at) - Date.now()) < 60000);

  const body = { browser: { page: { enabled: false }, api: {} } };
  const second = await put(server, { ...body, export: { otlp: { enabled: true } } });
  assert.equal(second.status, 200);
  assert.deepEqual(captured(second.body), six.filter((name) => name !== "page"));
  assert.equal(second.body.config.export.otlp.enabled, true);
  assert.equal(second.body.session_id, first.body.session_id);
  assert.ok(second.body.applied_at > first.body.applied_at);
  assert.deepEqual((await get(server)).body, second.body);

  // It replaces: what was off is on again, and the export that is omitted off.
  const third = await put(server, { browser: {} });
  assert.deepEqual(captured(third.body), six);
  assert.equal(third.body.config.export.otlp.enabled, false);
  await until(() => server.stderr.includes("otlp export enabled but no destination"));
});

test("PATCH merges: only what is there changes", async (t) => {
  const server = await startServer(t);
  await put(server, { browser: switches(["page", "api"], false) });
  const before = (await get(server)).body;
  // Nothing is asked for, so nothing changes, not even applied_at.
  for (const body of [undefined, {}])
    assert.deepEqual((await patch(server, body)).body, before);
  const more = await patch(server, { browser: { page: { enabled: true } } });
  assert.equal(more.status, 200);
  assert.deepEqual(captured(more.body), six.filter((name) => name !== "api"));
  assert.ok(more.body.applied_at > before.applied_at);
  const on = await patch(server, { export: { otlp: { enabled: true } } });
  assert.equal(on.body.config.export.otlp.enabled, true);
  const kept = await patch(server, { browser: { network: { enabled: false } } });
  assert.equal(kept.body.config.export.otlp.enabled, true);
  assert.deepEqual(captured(kept.body), ["console", "page", "interaction", "system"]);

  const gone = await patch(server, allOff);
  assert.equal(gone.status, 200);
  assert.deepEqual(captured(gone.body), []);
  assert.equal(gone.body.applied_at, undefined);
  assert.equal(gone.body.session_id, undefined);
  assert.equal((await get(server)).status, 404);
  assert.equal((await patch(server, {})).status, 404);
  const again = await put(server);
  assert.equal(again.status, 201);
  assert.notEqual(again.body.session_id, before.session_id);
});

test("a body that makes no sense is 400, says why, and changes nothing", async (t) => {
  const server = await startServer(t, { args: ["--category", "checkout"] });
  await put(server, { browser: { page: { enabled: false } } });
  const before = (await get(server)).body;
  const bad = [
    ["{", "invalid_json", /at byte 1/],
    ["[]", "invalid_telemetry", /expected an object/],
    [{ browser: { sistem: {} } }, "unknown_field", /did you mean "system"/],
    [{ browser: { chekout: {} } }, "unknown_field", /did you mean "checkout"/],
    [{ exports: {} }, "unknown_field", /did you mean "export"/],
    [{ browser: { page: { on: true } } }, "unknown_field", /browser\.page\.on/],
    [{ browser: { page: { enabled: 1 } } }, "invalid_telemetry", /true or false/],
    [{ browser: { system: { enabled: false } } }, "invalid_telemetry", /browser\.system/],
  ];
  for (const [body, code, message] of bad)
    for (const method of [put, patch]) {
      const answer = await method(server, body);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.body.code, code);
      assert.match(answer.body.message, message);
    }
  assert.deepEqual((await get(server)).body, before);
  const name = await put(server, {}, "No");
  assert.deepEqual([name.status, name.body.code], [400, "invalid_session_name"]);
});

test("a store that fails leaves everything as it was", async (t) => {
  const server = await startServer(t, { control: true });
  await server.control("fault store.write fail ENOSPC");
  const first = await put(server);
  assert.equal(first.status, 503);
  assert.equal(first.body.code, "store_unavailable");
  assert.ok(first.headers.get("retry-after"));
  assert.equal((await get(server)).status, 404);
  await server.control("release store.write");
  await until(async () => (await put(server)).status !== 503);
  const before = (await get(server)).body;
  await server.control("fault store.write fail ENOSPC");
  assert.equal((await patch(server, allOff)).status, 503);
  assert.deepEqual((await get(server)).body, before);
});

test("changes at the same time are merged one after the other", async (t) => {
  const server = await startServer(t);
  await put(server);
  await Promise.all(
    users
      .slice(1)
      .map((name) => patch(server, { browser: { [name]: { enabled: false } } })),
  );
  assert.deepEqual(captured((await get(server)).body), [users[0], "system"]);
});

// ---- Publishing

test("what is captured is answered with its envelope, the rest with 204", async (t) => {
  const server = await startServer(t);
  assert.equal((await publish(server, event("system"))).status, 204);
  const { session_id } = (await put(server, { browser: { page: { enabled: false } } })).body;
  const answer = await publish(
    server,
    '{"type":"a","category":"api","ts":1600000000000001,"source":{"kind":"cdp","event":"e",' +
      '"metadata":{"k":"v","level":"warn","telemetry_session_id":"mine"}},"data":[1.50,"\\u0000"],"x":1}',
  );
  assert.equal(answer.status, 200);
  assert.equal(
    answer.text,
    `{"seq":1,"event":{"ts":1600000000000001,"type":"a","category":"api","source":{"kind":"cdp","event":"e","metadata":{"level":"warn","telemetry_session_id":"${session_id}","k":"v"}},"data":[1.50,"\\u0000"]}}`,
  );
  const off = await publish(server, event("page"));
  assert.deepEqual([off.status, off.text], [204, ""]);
  assert.equal((await publish(server, event("system"))).status, 200);
  await put(server, allOff);
  for (const category of six)
    assert.equal((await publish(server, event(category))).status, 204);
  // The relay sees what was captured, and that alone.
  const recent = await server.json("/events/recent");
  assert.deepEqual(
    recent.map(({ seq, action, session_id }) => [seq, action, session_id]),
    [
      [1, "a", session_id],
      [2, "t", session_id],
    ],
  );
  assert.equal(recent[0].source, "cdp");
  assert.deepEqual(recent[0].metadata, { k: "v" });
  const text = await (await server.fetch("/metrics")).text();
  assert.match(text, /session_events_total\{outcome="published",category="api"\} 1/);
  assert.match(text, /session_events_total\{outcome="filtered",category="page"\} 2/);
  assert.match(text, /events_rejected_total\{reason="gated"\} 8/);
});

test("malformed events are 400, with or without a session", async (t) => {
  const server = await startServer(t, {
    args: ["--type", "console_error=console", "--type=paid=checkout", "--category=checkout"],
  });
  for (const round of [1, 2]) {
    const bad = [
      [{ category: "api" }, /type is required/],
      [{ type: "t" }, /category is required/],
      [{ type: "t", category: "checkin" }, /no category "checkin"/],
      [{ type: "t", category: "api", source: { kind: "kernel_api" } }, /reserved/],
      ["{}x", /byte 2/],
      ["", /byte 0/],
    ];
    for (const [body, message] of bad) {
      const answer = await publish(server, body);
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.body.message, message);
    }
    if (round === 1) await put(server);
  }
  // The server's category wins over the client's.
  const known = await publish(server, { type: "console_error", category: "api" });
  assert.equal(known.body.event.category, "console");
  assert.equal((await published(server, "checkout")).event.category, "checkout");
  await patch(server, { browser: { checkout: { enabled: false } } });
  assert.equal((await publish(server, { type: "paid" })).status, 204);
});

test("too large: 413 over the limit of the body, without data over that of the envelope", async (t) => {
  const server = await startServer(t);
  await put(server);
  const text = (bytes) => ({ data: "x".repeat(bytes) });
  const cut = await published(server, "api", "", text(1000001));
  assert.deepEqual([cut.event.data, cut.event.truncated], [null, true]);
  assert.equal((await publish(server, event("api", text(1 << 20)))).status, 413);
});

test("a repeated key gets the first answer, a key of another session is another one", async (t) => {
  const server = await startServer(t);
  await put(server);
  await put(server, {}, "b");
  const key = { "idempotency-key": "k" };
  const first = await publish(server, event("api"), "", key);
  const second = await publish(server, event("api"), "", key);
  assert.equal(second.headers.get("idempotency-replayed"), "true");
  assert.deepEqual(second.body, first.body);
  assert.equal((await publish(server, event("page"), "", key)).status, 422);
  const other = await publish(server, event("api"), "b", key);
  assert.equal(other.body.seq, first.body.seq + 1);
});

// ---- Streams

test("a stream begins at the session's start and has its events only", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "relay" });
  await put(server);
  await put(server, {}, "b-2");
  for (let i = 0; i < 3; i++) {
    await published(server, "api");
    await published(server, "page", "b-2");
    await server.post("/events", { source: "relay" });
  }
  const one = await openStream(`${server.url}/telemetry/stream`);
  const two = await openStream(`${server.url}/telemetry/sessions/b-2/stream`);
  t.after(() => one.close());
  t.after(() => two.close());
  assert.equal(one.headers["x-sse-content-type"], "application/json");
  assert.match(one.headers["content-type"], /^text\/event-stream/);
  await until(() => one.events.length === 3 && two.events.length === 3);
  await published(server, "api");
  await published(server, "page", "b-2");
  await until(() => one.events.length === 4 && two.events.length === 4);
  assert.deepEqual(seqs(one), [2, 5, 8, 11]);
  assert.deepEqual(seqs(two), [3, 6, 9, 12]);
  assert.deepEqual(one.events.map((e) => Number(e.id)), seqs(one));
  const [a, b] = [one, two].map(({ events }) => JSON.parse(events[0].data).event);
  assert.equal(a.category, "api");
  assert.equal(b.category, "page");
  assert.notEqual(
    a.source.metadata.telemetry_session_id,
    b.source.metadata.telemetry_session_id,
  );
  const items = (await server.json("/telemetry/sessions")).items;
  assert.deepEqual(items.map(({ name }) => name), ["b-2", "default"]);
});

test("positions: Last-Event-ID, after, replay=all, the next session of the name", async (t) => {
  const server = await startServer(t);
  await put(server);
  for (let i = 0; i < 3; i++) await published(server, "api");
  await put(server, allOff);
  await put(server);
  await published(server, "page");
  const open = async (query, headers) => {
    const stream = await openStream(`${server.url}/telemetry/stream${query}`, { headers });
    t.after(() => stream.close());
    return stream;
  };
  const want = [
    [await open(""), [4]],
    [await open("?replay=all"), [1, 2, 3, 4]],
    [await open("", { "last-event-id": "0" }), [1, 2, 3, 4]],
    [await open("?replay=all", { "last-event-id": "2" }), [3, 4]],
    [await open("?after=1"), [2, 3, 4]],
    [await open("?view=relay"), [4]],
  ];
  for (const [stream, seen] of want) {
    await until(() => stream.events.length === seen.length);
    assert.deepEqual(seqs(stream), seen);
  }
  assert.equal(JSON.parse(want[5][0].events[0].data).action, "t");
  // Beyond the end is told, not waited for; nonsense is refused.
  const ahead = await open("", { "last-event-id": "99" });
  await until(() => ahead.events.length === 1);
  assert.equal(ahead.events[0].type, "reset");
  const bad = await server.fetch("/telemetry/stream", { headers: { "last-event-id": "x" } });
  assert.equal(bad.status, 400);
  await bad.text();
});

test("a stream may wait for its session", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "relay" });
  const stream = await openStream(`${server.url}/telemetry/stream`);
  t.after(() => stream.close());
  await put(server);
  await published(server, "api");
  await until(() => stream.events.length === 1);
  assert.deepEqual(seqs(stream), [2]);
});

// ---- Restarts

test("a key that is repeated after a restart, in another session, gets what is stored", async (t) => {
  const server = await startServer(t);
  await put(server);
  const key = { "idempotency-key": "k" };
  const first = await publish(server, event("api"), "", key);
  await put(server, allOff);
  await put(server);
  await server.stop();
  await server.start();
  const second = await publish(server, event("api"), "", key);
  assert.equal(second.status, 200);
  assert.equal(second.headers.get("idempotency-replayed"), "true");
  assert.deepEqual(second.body, first.body);
});

test("sessions survive restart and crash; streams go on where they were", async (t) => {
  const folder = await temporaryFolder(t);
  const server = await startServer(t, { folder });
  await server.post("/events", { source: "before" });
  await put(server, { browser: { page: { enabled: false } } });
  await put(server, { export: { otlp: { enabled: true } } }, "b");
  await put(server, {}, "ended");
  await put(server, allOff, "ended");
  const before = (await server.json("/telemetry/sessions")).items;
  const source = new EventSource(`${server.url}/telemetry/stream`);
  t.after(() => source.close());
  const seen = [];
  source.addEventListener("message", ({ data }) => seen.push(JSON.parse(data).seq));
  const sent = [];
  for (const end of [() => server.stop(), () => server.kill()]) {
    for (let i = 0; i < 5; i++) sent.push((await published(server, "api")).seq);
    await published(server, "api", "b");
    await end();
    await server.start();
  }
  sent.push((await published(server, "api")).seq);
  const after = (await server.json("/telemetry/sessions")).items;
  const still = ({ seq, ...session }) => session;
  assert.deepEqual(after.map(still), before.map(still));
  await until(() => seen.length >= sent.length, { timeout: 30000, what: "all events" });
  assert.deepEqual(seen, sent);
  // A fresh stream still begins at the session's start.
  const fresh = await openStream(`${server.url}/telemetry/stream`);
  t.after(() => fresh.close());
  await until(() => fresh.events.length === sent.length);
  assert.deepEqual(seqs(fresh), sent);
});

test("kill -9 while events and changes come: each 200 is stored once, under one session", async (t) => {
  const server = new Server(await temporaryFolder(t), {});
  await server.start();
  t.after(() => server.stop());
  const answered = new Map(); // n: the envelope
  let n = 0;
  for (let round = 0; round < 5; round++) {
    let running = true;
    const producer = async () => {
      while (running) {
        const mine = n++;
        try {
          const answer = await publish(server, event("api", { data: mine }));
          if (answer.status === 200) answered.set(mine, answer.body);
        } catch {
          return; // killed
        }
      }
    };
    const changer = async () => {
      try {
        while (running) {
          await put(server);
          await put(server, allOff);
        }
      } catch {
        return;
      }
    };
    const all = [changer(), ...Array.from({ length: 8 }, producer)];
    const goal = answered.size + 50;
    await until(() => answered.size >= goal, { timeout: 30000 });
    await server.kill();
    running = false;
    await Promise.all(all);
    await server.start();
  }
  const ids = new Map();
  const all = await server.fetch("/events?view=envelope", {
    headers: { accept: "application/x-ndjson" },
  });
  const rows = (await all.text()).trim().split("\n").map((row) => JSON.parse(row));
  for (const row of rows) {
    const { data } = row.event;
    assert.ok(!ids.has(data), `${data} is stored twice`);
    ids.set(data, row);
    const session = row.event.source.metadata.telemetry_session_id;
    assert.match(session, id);
  }
  for (const [data, envelope] of answered) assert.deepEqual(ids.get(data), envelope);
});

test("an event meets the session before a change or the one after it, whole", async (t) => {
  const server = await startServer(t);
  let current = (await put(server)).body.session_id;
  const history = [current];
  let running = true;
  const results = [];
  const producer = async () => {
    while (running) {
      const from = history.length - 1;
      const answer = await publish(server, event("api"));
      if (answer.status === 200)
        results.push([from, answer.body]);
    }
  };
  const producers = Array.from({ length: 4 }, producer);
  const starts = new Map();
  for (let i = 0; i < 20; i++) {
    await put(server, allOff);
    const started = (await put(server)).body;
    history.push(started.session_id);
    starts.set(started.session_id, started.start_seq);
  }
  running = false;
  await Promise.all(producers);
  assert.ok(results.length > 0);
  for (const [from, { seq, event }] of results) {
    const session = event.source.metadata.telemetry_session_id;
    const at = history.indexOf(session);
    // Never one that had ended before the event was sent.
    assert.ok(at >= from, `${session} ended before seq ${seq} was sent`);
    // And a reader from its start sees it.
    if (starts.has(session)) assert.ok(seq > starts.get(session));
  }
});

// ---- Configuration and command

test("categories and types come from the configuration file, and are checked", async (t) => {
  const folder = await temporaryFolder(t);
  const { writeFile } = await import("node:fs/promises");
  const file = `${folder}/telltale.yaml`;
  await writeFile(
    file,
    "categories: [checkout, search]\ntypes:\n  paid: checkout\n  console_error: console\n",
  );
  const server = await startServer(t, { folder, args: ["--config", file] });
  await put(server);
  assert.equal((await publish(server, { type: "paid" })).body.event.category, "checkout");
  const { config } = (await get(server)).body;
  assert.deepEqual(Object.keys(config.browser), [...six, "checkout", "search"]);
  for (const [text, message] of [
    ["types:\n  paid: shop\n", /types: "paid=shop"/],
    ["types:\n  paid: [shop]\n", /plain keys and values/],
    ["categories: [a b]\n", /categories cannot be "a b"/],
    ["types: [paid]\n", /types cannot be "paid"/],
  ]) {
    await writeFile(file, text);
    const bad = new Server(await temporaryFolder(t), { args: ["--config", file] });
    await assert.rejects(bad.start(), message);
  }
});

test("telltale sessions and tail --session", async (t) => {
  const server = await startServer(t);
  const run = (...args) => cli(server, ["sessions", ...args]);
  assert.equal((await run("list")).out, "");
  const missing = await run("show");
  assert.equal(missing.code, 1);
  assert.match(missing.err, /not configured/);
  const started = await run("start", "shop", "--off", "page,api");
  assert.equal(started.code, 0, started.err);
  assert.match(started.out, /^shop +[a-z0-9]{24} +\S+Z +console,network,interaction,system\n$/);
  const updated = await run("update", "shop", "--on=page", "--otlp=on");
  assert.match(updated.out, /console,network,page,interaction,system {2}otlp\n$/);
  assert.equal((await run("start")).code, 0);
  const list = (await run("list")).out;
  assert.match(list, /^default .*\nshop .*\n$/);
  const json = JSON.parse((await run("show", "shop", "--json")).out);
  assert.match(json.session_id, id);
  const wrong = await run("update", "shop", "--on=pages");
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /did you mean "page"/);
  for (const args of [[], ["begin"], ["list", "x"], ["show", "--on=a"], ["start", "--otlp=1"]])
    assert.equal((await run(...args)).code, 2, args.join(" "));

  const first = await published(server, "page", "shop");
  await published(server, "page");
  await published(server, "page", "shop");
  const tail = await startCli(server, [
    "tail",
    "--session=shop",
    "--view=envelope",
    "--all",
    "--count=2",
  ]).done;
  assert.equal(tail.code, 0, tail.err);
  assert.deepEqual(JSON.parse(tail.out.split("\n")[0]), first);
  const line = await startCli(server, ["tail", "--session=shop", "--all", "--count=1"]).done;
  assert.match(line.out, /local_process\/page t/);
  const stopped = await run("stop", "shop");
  assert.equal(stopped.code, 0, stopped.err);
  assert.equal((await get(server, "shop")).status, 404);
  assert.equal((await run("stop", "shop")).code, 1);
});
