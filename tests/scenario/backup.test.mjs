// `telltale backup`: a whole store in one file, made while it is written to, and
// a server that goes on from it without using any number again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, link, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { readHistory } from "../fault/crash.mjs";
import { cli, cliOnTerminal, startCli } from "../harness/cli.mjs";
import { sample } from "../harness/raw.mjs";
import { Server, startServer, temporaryFolder, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

const sql = (file, text) => execFileSync("sqlite3", ["-batch", file, text], { encoding: "utf8" }).trim();
const exists = (file) => stat(file).then(() => true, () => false);
// How often a route answered with a 2xx.
async function asked(server, route) {
  const text = await (await server.fetch("/metrics")).text();
  return sample(text, "telltale_http_requests_total", { route, status: "2xx" });
}
const backup = (server, ...args) => cli(server, ["backup", "--store", server.store, ...args]);

// Posts events until it is told to end; answers seq -> name of what was accepted.
function keepPosting(server, workers = 4) {
  const accepted = new Map();
  let running = true;
  const post = async (worker) => {
    for (let n = 0; running; n++) {
      const names = Array.from({ length: 1 + (n % 20) }, (_, i) => `w${worker}n${n}i${i}`);
      const events = names.map((name) => ({ source: "load", data: { name, pad: "x".repeat(200) } }));
      const answer = await server.post("/events/batch", events);
      const body = await answer.json();
      assert.equal(answer.status, 200, JSON.stringify(body));
      const seqs = body.seqs ?? names.map((_, i) => body.first_seq + i);
      names.forEach((name, i) => accepted.set(seqs[i], name));
    }
  };
  const all = Promise.all(Array.from({ length: workers }, (_, worker) => post(worker)));
  return {
    accepted,
    stop: async () => {
      running = false;
      await all;
    },
  };
}

async function fill(server, bytes) {
  const batch = Array.from({ length: 100 }, (_, n) => ({ source: "old", data: { n, pad: "x".repeat(10_000) } }));
  for (let sent = 0; sent < bytes; sent += 1_000_000)
    assert.equal((await server.post("/events/batch", batch)).status, 200);
}

// Another server on the same machine, with the backup as its store.
async function restore(t, file) {
  const folder = await temporaryFolder(t);
  await copyFile(file, path.join(folder, "telltale.db"));
  return startServer(t, { folder });
}

test("under load: one moment, whole, and above everything that was given out", { timeout: 120000 }, async (t) => {
  const server = await startServer(t, { control: true, env: { TELLTALE_TEST_TABLE_ROWS: "1000" } });
  const file = path.join(server.folder, "copy.db");
  await fill(server, 20e6);
  const load = keepPosting(server);
  await until(() => load.accepted.size > 200, { what: "the load" });
  const made = await backup(server, "--json", file);
  const later = load.accepted.size;
  await until(() => load.accepted.size > later + 200, { what: "load after the backup" });
  await load.stop();
  assert.equal(made.code, 0, made.err);
  const { head_seq: head, bytes, path: named } = JSON.parse(made.out);
  assert.equal(named, file);
  const { size, mode } = await stat(file);
  assert.deepEqual([size, mode & 0o777], [bytes, 0o600]);
  assert.ok(Number(await server.control("hits store.backup")) > 3, "it took several bites");
  assert.equal(await exists(`${file}.partial`), false);
  const issued = Math.max(...load.accepted.keys());
  assert.ok(head < issued, "the load went on after the backup");
  assert.equal(sql(file, "PRAGMA integrity_check"), "ok");

  const restored = await restore(t, file);
  const events = await readHistory(restored);
  assert.deepEqual(
    events.map((event) => event.seq),
    Array.from({ length: head }, (_, i) => i + 1),
    "every number up to the head, once",
  );
  for (const [seq, name] of load.accepted)
    if (seq <= head) assert.equal(events[seq - 1].data.name, name);
  const next = (await (await restored.post("/events", { source: "new" })).json()).seq;
  assert.ok(next > issued, `${next} was given out again`);
  // Who was ahead of the backup is told, as is who was behind.
  for (const last of [head - 1, head, issued]) {
    const stream = await openStream(`${restored.url}/events/stream`, { headers: { "last-event-id": String(last) } });
    await until(() => stream.lastId === String(next), { what: "the new event" });
    stream.close();
    const dropped = stream.events.filter((event) => event.type === "dropped").map((event) => JSON.parse(event.data));
    assert.deepEqual(dropped.map((d) => [d.from_seq, d.to_seq, d.reason]), [[Math.max(last, head) + 1, next - 1, "restored"]]);
    assert.equal(stream.events.filter((event) => event.type === "reset").length, 0);
  }
  await restored.stop();
  await restored.start();
  const again = (await (await restored.post("/events", { source: "new" })).json()).seq;
  assert.equal(again, next + 1, "it jumps once");
});

test("tokens and the log's name survive", async (t) => {
  const server = await startServer(t);
  const file = path.join(server.folder, "copy.db");
  const made = await cli(server, ["token", "create", "--scope", "admin", "--store", server.store]);
  const authorization = { authorization: `Bearer ${made.out.trim()}` };
  const name = (await server.fetch("/events/recent", { headers: authorization })).headers.get("telltale-log");
  assert.equal((await backup(server, file)).code, 0);
  const restored = await restore(t, file);
  assert.equal((await restored.fetch("/events/recent")).status, 401);
  const read = await restored.fetch("/events/recent", { headers: authorization });
  assert.equal(read.status, 200);
  assert.ok(name);
  assert.equal(read.headers.get("telltale-log"), name);
});

test("a key's answer is repeated by the restored server", async (t) => {
  const server = await startServer(t);
  const file = path.join(server.folder, "copy.db");
  const keys = ["mine", "0190b8a8-7a4e-4b0e-9d6a-2f1c5d3e7a11/1"];
  const post = async (to, key) => (await to.post("/events", { source: "a" }, { "idempotency-key": key })).json();
  const first = [];
  for (const key of keys) first.push((await post(server, key)).seq);
  assert.equal((await backup(server, file)).code, 0);
  const restored = await restore(t, file);
  for (const [i, key] of keys.entries()) assert.equal((await post(restored, key)).seq, first[i]);
});

test("without a server, and over and over", async (t) => {
  const server = await startServer(t);
  const file = path.join(server.folder, "copy.db");
  await server.post("/events", { source: "a" });
  await server.kill(); // what is not in the file yet is in its log
  const made = await backup(server, file);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /copy\.db: .* MB, events up to 1\n/);
  assert.equal(sql(file, "PRAGMA integrity_check; SELECT count(*) FROM log_1"), "ok\n1");
  const again = await backup(server, file);
  assert.equal(again.code, 1);
  assert.match(again.err, /copy\.db is there already.*--force/);
  assert.equal((await backup(server, "--force", file)).code, 0);
  const itself = await backup(server, "--force", path.join(server.folder, "telltale.db"));
  assert.match(itself.err, /is the store itself/);
  await server.start();
  assert.match((await backup(server, file)).err, /copy\.db is there already.*--force/);
  assert.equal((await backup(server, "--force", file)).code, 0);
});

test("what cannot be made says why and leaves nothing", async (t) => {
  const server = await startServer(t, { control: true });
  const file = path.join(server.folder, "copy.db");
  await server.post("/events", { source: "a" });
  for (const [args, words, code = 1] of [
    [[], /say which FILE/, 2],
    [[path.join(server.folder, "none", "copy.db")], /cannot create .*none\/copy\.db\.partial: No such file/],
    [[server.folder], /is not a file: name another/],
    [[`${server.folder}/`], /names no file/],
    [["--store", "memory", file], /a memory store has nothing to back up/],
    [["--store", `sqlite:${server.folder}/other.db`, file], /there is no store at .*other\.db.*--store/],
  ]) {
    const { code: got, err } = await backup(server, ...args);
    assert.equal(got, code, err);
    assert.match(err, words);
  }
  await writeFile(`${file}-wal`, "a log of something else");
  assert.match((await backup(server, "--force", file)).err, /copy\.db-wal shows that .* is a database in use/);
  const other = path.join(server.folder, "b.db");
  await server.control("fault store.backup fail ENOSPC 1");
  assert.match((await backup(server, other)).err, /no space left on the device of .*b\.db/);
  await server.control("fault store.backup fail EIO 1");
  assert.match((await backup(server, other)).err, /copying .*telltale\.db to .*b\.db failed/);
  const left = (await readdir(server.folder)).filter((name) => /^(b|copy)\.db/.test(name));
  assert.deepEqual(left, ["copy.db-wal"]);
  assert.equal((await server.post("/events", { source: "b" })).status, 200, "the store is as it was");
  const remote = await server.post("/api/v1/backup", { path: "/tmp/x" });
  assert.deepEqual([remote.status, (await remote.json()).code], [403, "local_only"]);
  // Too small a device is known before anything is written.
  const disk = path.join(server.folder, "disk");
  execFileSync("mkdir", [disk]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", disk]);
  const small = await backup(server, path.join(disk, "b.db"));
  execFileSync("umount", ["-l", disk]);
  assert.match(small.err, /needs up to \d+ MB .* free: free some/);
});

test("the unfinished file takes nothing else's place", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "copy.db");
  const other = path.join(folder, "other");
  const server = await startServer(t, { folder, store: `sqlite:${file}.partial` });
  assert.equal((await server.post("/events", { source: "a" })).status, 200);
  assert.match((await backup(server, file)).err, /copy\.db\.partial is the store itself: name another file/);
  await server.stop();
  assert.match((await backup(server, file)).err, /copy\.db\.partial is the store itself: name another file/);
  await server.start();
  assert.equal((await (await server.fetch("/events")).json()).items.length, 1);
  await writeFile(other, "somebody's");
  await link(other, path.join(folder, "b.db.partial"));
  assert.match((await backup(server, path.join(folder, "b.db"))).err, /b\.db\.partial was not left by a backup: remove it/);
  assert.equal(await readFile(other, "utf8"), "somebody's");
  execFileSync("mkfifo", [path.join(folder, "c.db.partial")]);
  assert.match((await backup(server, path.join(folder, "c.db"))).err, /c\.db\.partial was not left by a backup: remove it/);
});

test("one at a time, and given up by Ctrl-C", async (t) => {
  const server = await startServer(t, { control: true });
  const file = path.join(server.folder, "copy.db");
  await fill(server, 5e6);
  await server.control("fault store.backup wait");
  const run = startCli(server, ["backup", "--store", server.store, file]);
  await until(async () => (await server.control("hits store.backup")) !== "0", { what: "the first bite" });
  const second = await backup(server, `${file}2`);
  assert.match(second.err, /409 a backup to .*copy\.db is being made/);
  run.child.kill("SIGINT");
  await until(() => asked(server, "backup_cancel"), { what: "the cancellation" });
  await server.control("release store.backup");
  const { code, err } = await run.done;
  assert.equal(code, 1);
  assert.match(err, /cancelled; no file was left/);
  assert.deepEqual([await exists(file), await exists(`${file}.partial`)], [false, false]);
  assert.equal((await backup(server, file)).code, 0);
});

test("a server killed in the middle leaves no half file under the name", async (t) => {
  const server = await startServer(t, { control: true });
  const file = path.join(server.folder, "copy.db");
  await fill(server, 20e6);
  await server.control("fault store.backup kill 2");
  const { code, err } = await backup(server, file);
  assert.equal(code, 1);
  assert.match(err, /the server ended during the backup/);
  await server.wait();
  assert.deepEqual([await exists(file), await exists(`${file}.partial`)], [false, true]);
  await server.start();
  const made = await backup(server, file);
  assert.equal(made.code, 0, made.err);
  assert.equal(await exists(`${file}.partial`), false);
  assert.equal(sql(file, "PRAGMA integrity_check"), "ok");
});

test("a backup put beside the log of another database is refused", async (t) => {
  const server = await startServer(t);
  const file = path.join(server.folder, "copy.db");
  await server.post("/events", { source: "a" });
  assert.equal((await backup(server, file)).code, 0);
  await server.kill();
  await copyFile(file, path.join(server.folder, "telltale.db"));
  await assert.rejects(new Server(server.folder).start(), /is a backup and .*-wal belongs to another database: move/);
});

test("an older copy of the files put back is known by the lock file", async (t) => {
  const server = await startServer(t);
  const file = path.join(server.folder, "telltale.db");
  const post = async () => (await (await server.post("/events", { source: "a" })).json()).seq;
  assert.deepEqual([await post(), await post()], [1, 2]);
  await server.stop();
  await copyFile(file, `${file}.old`);
  await server.start();
  assert.deepEqual([await post(), await post()], [3, 4]);
  await server.stop();
  await copyFile(`${file}.old`, file);
  await server.start();
  assert.match(server.stderr, /older than what was here last: its events end with 2/);
  const next = await post();
  assert.ok(next > 1e15, `${next}`);
  const stream = await openStream(`${server.url}/events/stream`, { headers: { "last-event-id": "4" } });
  await until(() => stream.lastId === String(next), { what: "the new event" });
  stream.close();
  assert.deepEqual(stream.events.map((event) => event.type), ["dropped", "message"]);
  assert.equal(JSON.parse(stream.events[0].data).reason, "restored");
});

test("a terminal sees how far it is, a pipe does not", async (t) => {
  const server = await startServer(t, { control: true });
  await fill(server, 20e6);
  await server.control("fault store.backup wait 2");
  const run = cliOnTerminal(server, ["backup", "--store", server.store, path.join(server.folder, "a.db")]);
  await until(async () => Number(await server.control("hits store.backup")) > 2, { what: "the third bite" });
  const seen = await asked(server, "backup_state");
  await until(async () => (await asked(server, "backup_state")) > seen + 1, { what: "a look at it" });
  await server.control("release store.backup");
  const { text } = await run;
  assert.match(text, /\d+ % of \d+\.\d MB/);
  const { out, err } = await backup(server, path.join(server.folder, "b.db"));
  assert.deepEqual([out.split("\n").length, err], [2, ""]);
});

test("a shutdown does not wait for a backup", async (t) => {
  const server = await startServer(t, { control: true });
  const file = path.join(server.folder, "copy.db");
  await fill(server, 20e6);
  await server.control("fault store.backup wait 2");
  const run = startCli(server, ["backup", "--store", server.store, file]);
  await until(async () => Number(await server.control("hits store.backup")) > 2, { what: "the third bite" });
  server.child.kill("SIGTERM");
  await until(() => /shutting down/.test(server.stderr), { what: "the shutdown" });
  await server.control("release store.backup");
  assert.equal((await server.wait()).code, 0);
  await run.done;
  // It may have been at its end.
  if (await exists(file)) assert.equal(sql(file, "PRAGMA integrity_check"), "ok");
  assert.equal(await exists(`${file}.partial`), false);
});
