// telltale serve --outbox: events of an application's database are taken into
// the server's store, once, whoever is killed when.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { sample } from "../harness/raw.mjs";
import { buildDir, long, Server, startServer, temporaryFolder, until } from "../harness/server.mjs";

const program = path.join(buildDir, "tests/outbox-run");
const run = promisify(execFile);
const rounds = long ? 50 : 10;
const sql = async (file, query) => (await run(program, ["sql", file, query])).stdout.trimEnd();

// Books orders until `lines` lines of progress were made and `enough` is settled,
// then ends in order.
async function book(file, lines, enough) {
  const child = spawn(program, ["app", file], { stdio: ["ignore", "pipe", "inherit"] });
  let seen = 0;
  child.stdout.on("data", (text) => (seen += String(text).split("\n").length - 1));
  await until(() => seen >= lines, { timeout: 60000, what: "progress of the application" });
  await enough;
  child.kill("SIGTERM");
  await once(child, "exit");
}

const pending = (file) => sql(file, "SELECT count(*) FROM tt_outbox_events WHERE status = 'pending'");

async function assertTaken(app, store) {
  await until(async () => (await pending(app)) === "0", { timeout: 60000, what: "the marks" });
  const orders = await sql(app, "SELECT count(*) FROM orders");
  assert.equal(await sql(app, "SELECT count(*) FROM tt_outbox_events"), orders);
  assert.equal(await sql(store, "SELECT count(*) FROM outbox"), orders);
  const differ =
    `ATTACH '${store}' AS s; SELECT count(*) FROM tt_outbox_events e LEFT JOIN s.outbox o` +
    " ON o.id = e.id AND o.body = CAST(e.body AS BLOB) WHERE o.id IS NULL";
  assert.equal(await sql(app, differ), "0");
  await until(async () => (await sql(store, "SELECT count(*) FROM outbox WHERE status = 0")) === "0");
  return Number(orders);
}

test("killed between the copy and the mark, each event is there once", { timeout: 600000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const app = path.join(folder, "app.db");
  const store = path.join(folder, "telltale.db");
  await book(app, 1);
  const server = new Server(folder, { control: true, args: ["--outbox", `sqlite:${app}`] });
  for (let round = 0; round < rounds; round++) {
    await server.start();
    await server.control(`fault outbox.mark kill ${round % 2}`);
    await book(app, 1, server.exited);
  }
  await server.start();
  const orders = await assertTaken(app, store);
  await server.stop();
  t.diagnostic(`${orders} orders over ${rounds} kills`);
});

test("a file that is not there yet is taken once it is", async (t) => {
  const folder = await temporaryFolder(t);
  const app = path.join(folder, "app.db");
  const server = await startServer(t, { folder, args: ["--outbox", `sqlite:${app}`] });
  const state = async () => (await server.json("/api/v1/status")).outboxes[0];
  await until(async () => (await state()).problem === "there is no such file");
  assert.equal((await state()).path, app);
  await sql(app, "CREATE TABLE orders(n)");
  await until(async () => /tt_outbox_migrate/.test((await state()).problem));
  await sql(app, "DROP TABLE orders");
  await book(app, 2);
  await assertTaken(app, path.join(folder, "telltale.db"));
  await until(async () => (await state()).problem === undefined);
  assert.ok((await state()).taken > 0);
  const lag = async () => sample(await (await server.fetch("/metrics")).text(), "telltale_outbox_file_lag_seconds");
  await until(async () => (await lag()) === 0, { what: "a lag of 0" });
});

test("what is no outbox is a bad option", async (t) => {
  const server = new Server(await temporaryFolder(t), { args: ["--outbox", "app.db"] });
  await assert.rejects(server.start(), /--outbox.*sqlite: and the path/s);
});
