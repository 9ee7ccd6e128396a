// An application that books orders and events all the while, and another
// process that takes the events, either killed at any point: nothing is lost,
// nothing is there twice, and the application never meets a lock.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import test from "node:test";
import { promisify } from "node:util";
import { buildDir, long, sanitizerOptions, temporaryFolder } from "../harness/server.mjs";

const program = path.join(buildDir, "tests/outbox-run");
const run = promisify(execFile);
const rounds = long ? 50 : 10;

class Process {
  constructor(t, ...args) {
    const env = { ...process.env, ...sanitizerOptions() };
    this.child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.exited = once(this.child, "exit");
    this.stderr = "";
    this.child.stderr.on("data", (text) => (this.stderr += text));
    this.lines = [];
    this.reader = readline.createInterface({ input: this.child.stdout });
    this.reader.on("line", (line) => this.lines.push(line));
    t.after(() => this.child.kill("SIGKILL"));
  }

  // So many more lines: the program made so much progress.
  async progress(lines) {
    const end = this.lines.length + lines;
    while (this.lines.length < end) {
      if (this.child.exitCode !== null) assert.fail(this.stderr);
      await Promise.race([once(this.reader, "line"), this.exited]);
    }
  }

  async kill() {
    assert.equal(this.child.exitCode, null, this.stderr);
    this.child.kill("SIGKILL");
    await this.exited;
  }

  // In order, once it has said anything and so can be told to.
  async stop() {
    if (this.lines.length === 0) await this.progress(1);
    this.child.kill("SIGTERM");
    assert.deepEqual(await this.exited, [0, null], this.stderr);
  }
}

async function sql(file, query) {
  const { stdout } = await run(program, ["sql", file, query]);
  return stdout.trimEnd();
}

async function assertAllOnce(file, copy) {
  const ask = (query) => sql(file, `ATTACH '${copy}' AS c; ${query}`);
  const number = "json_extract(body,'$.data.order')";
  const orders = Number(await ask("SELECT count(*) FROM orders"));
  assert.ok(orders > 0);
  assert.equal(Number(await ask("SELECT count(*) FROM c.copied")), orders);
  assert.equal(await ask(`SELECT number FROM orders EXCEPT SELECT ${number} FROM c.copied`), "");
  assert.equal(
    await ask(
      "SELECT e.id FROM tt_outbox_events e LEFT JOIN c.copied k ON k.id=e.id AND k.body=e.body" +
        " WHERE k.id IS NULL OR e.status<>'taken'",
    ),
    "",
  );
  return orders;
}

async function setUp(t) {
  const folder = await temporaryFolder(t);
  return { file: path.join(folder, "app.db"), copy: path.join(folder, "copy.db") };
}

test("each committed event is taken once, whoever is killed when", async (t) => {
  const { file, copy } = await setUp(t);
  let app = new Process(t, "app", file);
  let taker = new Process(t, "take", file, copy);
  for (let round = 0; round < rounds; round++) {
    await app.progress(1 + Math.floor(Math.random() * 20));
    if (round % 3 !== 0) {
      await taker.kill();
      await app.progress(1);
    }
    if (round % 3 !== 1) await app.kill();
    if (round % 3 !== 1) app = new Process(t, "app", file);
    if (round % 3 !== 0) taker = new Process(t, "take", file, copy);
  }
  await app.progress(20);
  await app.stop();
  await taker.stop();
  const orders = await assertAllOnce(file, copy);
  t.diagnostic(`${orders} orders; the application ${app.lines.at(-1)}`);
});

test("what was copied and not marked before a crash is taken once", async (t) => {
  const { file, copy } = await setUp(t);
  const app = new Process(t, "app", file);
  await app.progress(2);
  await app.stop();
  for (let i = 0; i < 2; i++) await run(program, ["copy", file, copy]);
  const taker = new Process(t, "take", file, copy);
  await taker.stop();
  await assertAllOnce(file, copy);
  assert.equal(await sql(copy, "SELECT max(seen) FROM copied"), "3");
});

test("two takers of one outbox lose nothing either", async (t) => {
  const { file, copy } = await setUp(t);
  const app = new Process(t, "app", file);
  const takers = [0, 1].map(() => new Process(t, "take", file, copy));
  await app.progress(10);
  await app.stop();
  for (const taker of takers) await taker.stop();
  await assertAllOnce(file, copy);
});
