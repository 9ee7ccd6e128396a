// What installed programs report to: what is taken and what is refused, by
// whom, and what they are told. The client is <telltale/fleet.h>'s.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import readline from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { request, sample } from "../harness/raw.mjs";
import {
  buildDir,
  sanitizerOptions,
  Server,
  startServer,
  temporaryFolder,
  until,
} from "../harness/server.mjs";

const run = promisify(execFile);

const second = 1e9;
const hour = 3600 * second;
const idOf = (n) => `7d8f9a52-6c1e-4d57-9d0e-${String(n).padStart(12, "0")}`;
const now = () => new Date().toISOString();

const update = (n, data, timestamp = now()) => ({
  instance_id: idOf(n),
  timestamp,
  data,
});

// On a connection of its own: one that idles ends as the server's clock jumps.
async function send(server, n, body, headers) {
  const raw = typeof body === "string" || Buffer.isBuffer(body);
  const answer = await request(server, {
    method: "POST",
    path: `/v1/update/${idOf(n)}`,
    body: raw ? body : JSON.stringify(body),
    headers,
  });
  return { status: answer.status, headers: answer.headers, ...answer.json() };
}

const report = (server, n, data, timestamp) =>
  send(server, n, update(n, data, timestamp));

async function control(server, rules, headers = {}) {
  const answer = await server.fetch("/api/v1/fleet/control", {
    method: "PUT",
    body: JSON.stringify(rules),
    headers,
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.headers.get("etag");
}

const advance = (server, seconds) => server.control(`clock advance_us ${seconds * 1e6}`);

const metrics = async (server) => (await request(server, { path: "/metrics" })).text;
const counted = async (server, name, labels) =>
  sample(await metrics(server), `telltale_fleet_${name}`, labels);

const started = (t, ...args) => startServer(t, { store: "memory", args });

test("bad input is refused, and the rest of the fleet goes on", async (t) => {
  const server = await started(t);
  const text = (data) =>
    `{"instance_id":"${idOf(1)}","timestamp":"2026-01-02T03:04:05Z","data":${data}}`;
  const list = (n) => `{"l":[${Array(n).fill(1)}]}`;
  const zero = "00000000-0000-0000-0000-000000000000";
  const bad = [
    ["no-uuid", text("{}"), 400, "invalid_instance"],
    [zero, text("{}").replace(idOf(1), zero), 400, "invalid_instance"],
    [idOf(2), text("{}"), 400, "instance_mismatch"],
    [idOf(1), "hello", 400, "invalid_json"],
    [idOf(1), text('{"a":NaN}'), 400, "invalid_json"],
    [idOf(1), text('{"a":1e999}'), 400, "invalid_update"],
    [idOf(1), text("[".repeat(200) + "]".repeat(200)), 400, "invalid_json"],
    [idOf(1), text('{"s":[{"value":"a","count":{"n":1}}]}'), 400, "invalid_update"],
    [idOf(1), text(list(100001)), 400, "too_many_items"],
    [idOf(1), text(`{"a":"${"x".repeat(10 << 20)}"}`), 413, "body_too_large"],
    [idOf(1), "not gzip", 400, "bad_encoding", { "content-encoding": "gzip" }],
  ];
  for (const [id, body, status, code, headers] of bad) {
    const answer = await server.post(`/v1/update/${id}`, body, headers);
    const told = await answer.json();
    assert.equal(answer.status, status, JSON.stringify(told));
    assert.equal(told.code, code);
    assert.ok(told.message.length > 10);
    assert.equal(told.error, told.message);
  }
  assert.equal(await counted(server, "instances"), 0);
  assert.equal(await counted(server, "updates_total", { outcome: "invalid" }), 9);
  assert.equal((await report(server, 1, { a: 1 })).status, 200);
  assert.equal((await send(server, 2, text(list(100000)).replace(idOf(1), idOf(2)))).status, 200);
  assert.equal(await counted(server, "instances"), 2);
});

test("a store that cannot write says so to the client", async (t) => {
  const server = await startServer(t, { control: true });
  await server.control("fault store.write fail ENOSPC");
  const failed = await report(server, 1, { a: 1 });
  assert.equal(failed.status, 503);
  assert.equal(failed.error, failed.message);
  const put = await server.fetch("/api/v1/fleet/control", { method: "PUT", body: "[]" });
  assert.equal(put.status, 503);
  await server.control("clear");
  await until(async () => (await report(server, 1, { a: 1 })).status === 200);
  assert.ok((await counted(server, "updates_total", { outcome: "failed" })) >= 1);
});

test("the document of the clients that went before", async (t) => {
  const server = await started(t);
  const body = {
    instance_id: idOf(1),
    timestamp: "2018-05-08T10:20:30.123456789Z",
    expect_next: "0001-01-01T00:00:00Z",
    data: {
      caddy_version: "v0.11.0",
      goroutines: 17,
      memory: { heap_alloc: 4444, sys: 8888 },
      "tls_client_hello_ua:5ba1c2": [{ value: "curl/7", count: 3 }],
      http_ua: [{ value: { os: "linux" }, count: 2 }],
      disabled_metrics: ["a", "b"],
    },
  };
  const answer = await send(server, 1, gzipSync(JSON.stringify(body)), {
    "content-encoding": "gzip",
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.next_update, hour);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(await counted(server, "skewed_clocks_total"), 1);
  const empty = { instance_id: idOf(2), timestamp: "0001-01-01T00:00:00Z" };
  assert.equal((await send(server, 2, empty)).status, 200);
});

test("what is too much is bounded, counted and said", async (t) => {
  const server = await started(t);
  const values = Array.from({ length: 200000 }, (_, i) => ({ value: `v${i}`, count: 2 }));
  const answer = await report(server, 1, { ["k".repeat(10240)]: 1, set: values, n: 1 });
  assert.equal(answer.status, 200);
  assert.equal(answer.dropped.long_key, 1);
  assert.ok(answer.dropped.set_value > 190000);
  assert.equal(await counted(server, "dropped_total", { reason: "long_key" }), 1);
  const million = JSON.stringify(update(2, { set: Array(1e6).fill({ value: "v", count: 1 }) }));
  const packed = { "content-encoding": "gzip" };
  const refused = await send(server, 2, gzipSync(million), packed);
  assert.equal(refused.status, 413);
  assert.match(refused.error, /8388608/);
  // One instance cannot use up the keys for good: what has no room is `key`.
  for (let i = 0; i < 11; i++) {
    const keys = Array.from({ length: 1000 }, (_, k) => [`key-${i}-${k}`, 1]);
    const told = await report(server, 10 + i, Object.fromEntries(keys));
    assert.equal(told.dropped?.key, i < 10 ? (i === 9 ? 2 : undefined) : 1000);
  }
});

test("a repeat is answered, what is too early is not", async (t) => {
  const folder = await temporaryFolder(t);
  const server = new Server(folder, { control: true });
  await server.start();
  t.after(() => server.kill());
  const first = now();
  assert.equal((await report(server, 1, { a: 1 }, first)).next_update, hour);
  const repeat = await report(server, 1, { a: 1 }, first);
  assert.equal(repeat.status, 200);
  assert.ok(repeat.next_update <= hour && repeat.next_update > hour - 100 * second);
  const early = await report(server, 1, { a: 2 }, "2026-01-01T00:00:00Z");
  assert.equal(early.status, 429);
  assert.equal(early.code, "too_early");
  assert.equal(early.error, early.message);
  assert.ok(early.next_update > 0 && early.next_update <= 10 * second);
  assert.equal(Number(early.headers["retry-after"]), Math.ceil(early.next_update / second));
  // The answer to the first may be lost with the server.
  await server.kill();
  await server.start();
  assert.equal((await report(server, 1, { a: 1 }, first)).status, 200);
  await advance(server, 11);
  assert.equal((await report(server, 1, { a: 2 })).status, 200);
  assert.equal(await counted(server, "instances"), 1);
  assert.equal(await counted(server, "updates_total", { outcome: "repeated" }), 1);
});

test("rules steer by instance, key, text and share, also after a restart", async (t) => {
  const folder = await temporaryFolder(t);
  const args = ["--fleet-min-interval", "0"];
  const server = new Server(folder, { args });
  await server.start();
  t.after(() => server.kill());
  await report(server, 1, { version: "1.4", "exp.a": 1 });
  const none = await server.fetch("/api/v1/fleet/control");
  assert.deepEqual(await none.json(), []);
  const rules = [
    { match: { instance: idOf(9) }, status: 410 },
    { match: { key: "exp.*" }, disable: ["slow"], next_update: "6h" },
    { match: { where: { version: "1.*" } }, enable: ["slow", "b"], next_update: "2h" },
    { match: { where: { version: "2.*" } }, stop: true },
  ];
  const etag = await control(server, rules, { "if-match": none.headers.get("etag") });
  const ask = async () => {
    const one = await report(server, 1, { n: 1 });
    assert.equal(one.next_update, 6 * hour);
    assert.deepEqual(one.disable_keys, ["slow"]);
    assert.deepEqual(one.enable_keys, ["b"]);
    const two = await report(server, 2, { version: "2.0" });
    assert.equal(two.stop, true);
    // A key counts from the update on that has it first.
    const three = await report(server, 3, { "exp.b": 1 });
    assert.equal(three.next_update, 6 * hour);
    const gone = await report(server, 9, {});
    assert.equal(gone.status, 410);
    assert.equal(gone.error, gone.message);
  };
  await ask();
  await server.stop();
  await server.start();
  await ask();
  const found = await server.fetch("/api/v1/fleet/control");
  assert.equal(found.headers.get("etag"), etag);
  assert.deepEqual(await found.json(), rules);
  const stale = await server.fetch("/api/v1/fleet/control", {
    method: "PUT",
    body: "[]",
    headers: { "if-match": none.headers.get("etag") },
  });
  assert.equal(stale.status, 412);
  const preview = await server.post("/api/v1/fleet/control/preview", [
    ...rules,
    { match: { share: 1 }, next_update: "1h" },
  ]);
  assert.deepEqual(await preview.json(), {
    instances: 3,
    complete: true,
    rules: [
      { matches: 0, decides: 0 },
      { matches: 2, decides: 2 },
      { matches: 1, decides: 1 },
      { matches: 1, decides: 1 },
      { matches: 3, decides: 1 },
    ],
  });
});

test("without a token only so many new instances come a minute", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    control: true,
    env: { TELLTALE_TOKEN_INGEST: "tt_ingest_of_the_test" },
    args: ["--open", "fleet", "--trusted-proxy", "127.0.0.1", "--fleet-new-instances", "3"],
  });
  const come = (n, headers) =>
    request(server, {
      method: "POST",
      path: `/v1/update/${idOf(n)}`,
      headers: { "x-forwarded-for": "203.0.113.9", ...headers },
      body: JSON.stringify(update(n, {})),
    });
  // To the beginning of a minute.
  await advance(server, 61 - (Math.floor(Date.now() / 1000) % 60));
  for (let n = 0; n < 3; n++) assert.equal((await come(n)).status, 200);
  const refused = await come(3);
  assert.equal(refused.status, 429);
  assert.equal(JSON.parse(refused.text).code, "too_many_new_instances");
  // Those that are known, and those that have a token, are none of it.
  await advance(server, 11);
  assert.equal((await come(0)).status, 200);
  const token = { authorization: "Bearer tt_ingest_of_the_test" };
  assert.equal((await come(4, token)).status, 200);
  assert.equal((await come(3)).status, 429);
  await advance(server, 60);
  assert.equal((await come(3)).status, 200);
});

test("updates are kept for their time, instances for good", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    control: true,
    args: ["--fleet-max-instances", "121"],
  });
  for (let n = 0; n < 120; n++) await report(server, n, { n });
  await advance(server, 31 * 86400);
  const labels = { table: "fleet_updates" };
  // Once a minute, and not before they were added up.
  await until(
    async () => {
      await advance(server, 61);
      assert.equal((await report(server, 500, {})).status, 200);
      return sample(await metrics(server), "telltale_janitor_rows_deleted_total", labels) === 120;
    },
    { what: "the deletion" },
  );
  assert.equal(await counted(server, "instances"), 121);
  const full = await report(server, 501, {});
  assert.equal(full.status, 503);
  assert.equal(full.code, "too_many_instances");
});

test("SIGHUP changes the cadence", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, "fleet: {next_update: 3h}\n");
  const server = await startServer(t, { folder, args: ["--config", file] });
  assert.equal((await report(server, 1, {})).next_update, 3 * hour);
  await writeFile(file, "fleet: {next_update: 4h, min_interval: 0}\n");
  server.child.kill("SIGHUP");
  await until(() => /changed: fleet/.test(server.stderr));
  assert.equal((await report(server, 1, {}, "2026-01-01T00:00:00Z")).next_update, 4 * hour);
});

// ---- The client ----

class Client {
  constructor(t, server, file, ...disabled) {
    const url = `${server.url}/v1/update`;
    const args = [url, file, String(Math.floor(Date.now() / 1000)), ...disabled];
    this.child = spawn(path.join(buildDir, "tests/fleet-run"), args, {
      env: { PATH: process.env.PATH, ...sanitizerOptions() },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.lines = [];
    readline
      .createInterface({ input: this.child.stdout })
      .on("line", (line) => this.lines.push(line));
    t.after(() => this.child.kill("SIGKILL"));
  }

  tell(...lines) {
    for (const line of lines) this.child.stdin.write(`${line}\n`);
  }

  // The text behind the next line that begins so.
  async next(word) {
    const at = () => this.lines.findIndex((line) => line.startsWith(`${word} `));
    await until(() => at() >= 0, { what: word, timeout: 60000 });
    const line = this.lines[at()];
    this.lines.splice(0, at() + 1);
    return line.slice(word.length + 1);
  }

  // Lets the time pass, on both sides, until the client waits again.
  async pass(server, seconds) {
    await advance(server, seconds);
    this.tell("pass");
    return Number(await this.next("wait"));
  }
}

// What a server that has stopped keeps of the updates, oldest first.
async function kept(server) {
  const file = path.join(server.folder, "telltale.db");
  const query = "SELECT data FROM fleet_updates ORDER BY n";
  const { stdout } = await run(path.join(buildDir, "tests/outbox-run"), ["sql", file, query]);
  return stdout.trimEnd().split("\n").map(JSON.parse);
}

async function pair(t, { args = [], disabled = [] } = {}) {
  const folder = await temporaryFolder(t);
  const server = await startServer(t, { folder, control: true, args });
  const file = path.join(folder, "id");
  const client = new Client(t, server, file, ...disabled);
  return { server, client, file, again: () => new Client(t, server, file, ...disabled) };
}

test("a client goes through its cycle as the server says", async (t) => {
  const { server, client } = await pair(t, { disabled: ["private"] });
  await control(server, [
    { match: { where: { version: "1.*" } }, next_update: "2h", disable: ["noisy"] },
  ]);
  client.tell("text version 1.4", "add orders 3", "add noisy 1", "add private 1");
  client.tell("unique os linux", "nested cache rows 7", "start");
  let wait = Number(await client.next("wait"));
  assert.equal(wait, 7200);
  // The version was told once, and the rule still finds it.
  client.tell("add orders 2", "add noisy 5");
  wait = await client.pass(server, wait);
  assert.equal(wait, 7200);
  // Enabled again; what the user disabled is not.
  await control(server, [{ next_update: "30m", enable: ["noisy", "private"] }]);
  wait = await client.pass(server, wait);
  assert.equal(wait, 1800);
  client.tell("add noisy 2", "add private 2");
  wait = await client.pass(server, wait);
  assert.equal(await counted(server, "updates_total", { outcome: "accepted" }), 4);
  assert.equal(await counted(server, "skewed_clocks_total"), 0);
  await server.stop();
  const all = await kept(server);
  const of = (key) => all.map((data) => data[key]);
  assert.deepEqual(of("orders"), [3, 2, undefined, undefined]);
  assert.deepEqual(of("noisy"), [1, undefined, undefined, 2]);
  assert.deepEqual(of("private"), Array(4).fill(undefined));
  assert.deepEqual(all[0].os, [{ value: "linux", count: 1 }]);
  assert.deepEqual(all[0].cache, { rows: 7 });
});

test("a client waits where it is too early, and says the rest at its next start", async (t) => {
  const { server, client, file, again } = await pair(t);
  client.tell("add orders 1", "start");
  await client.next("wait");
  client.tell("add orders 2", "stop");
  assert.equal(await client.next("stop"), "TT_EIO");
  assert.match(await readFile(`${file}.update`, "utf8"), /"orders":2/);
  const restarted = again();
  restarted.tell("start");
  const wait = Number(await restarted.next("wait"));
  assert.ok(wait > 0 && wait <= 10, String(wait));
  const next = await restarted.pass(server, wait);
  assert.equal(next, 3600);
  assert.equal(await counted(server, "updates_total", { outcome: "accepted" }), 2);
  assert.equal(await counted(server, "instances"), 1);
});

test("a client that is told to stop does so for good", async (t) => {
  for (const [rule, said] of [
    [{ stop: true }, /asks to stop/],
    [{ status: 410 }, /upgrade required/],
    [{ status: 451 }, /consult the project website/],
  ]) {
    const { server, client } = await pair(t);
    await control(server, [rule]);
    client.tell("add orders 1", "start");
    assert.match(await client.next("log"), said);
    client.tell("add orders 1", "stop");
    assert.equal(await client.next("stop"), "TT_OK");
    const text = await metrics(server);
    const route = { route: "fleet_update" };
    const total = ["2xx", "4xx"].map(
      (status) => sample(text, "telltale_http_requests_total", { ...route, status }) ?? 0,
    );
    assert.equal(total[0] + total[1], 1);
  }
});
