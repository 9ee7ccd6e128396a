// What the server says when it cannot start, and where its options come from.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  Server,
  startServer,
  temporaryFolder,
  testBinary,
} from "../harness/server.mjs";

const run = promisify(execFile);

// Runs `serve` and expects it to end by itself: {code, stdout, stderr}.
async function serve(folder, args, env = {}) {
  const options = {
    timeout: 15000,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  };
  try {
    return { code: 0, ...(await run(testBinary, ["serve", ...args], options)) };
  } catch (error) {
    assert.equal(error.killed, false, "it started although it should not have");
    return error;
  }
}

const oneLine = (text) =>
  text.split("\n").filter((line) => line.startsWith("telltale: "));

async function refuses(folder, args, code, ...parts) {
  const result = await serve(folder, args);
  assert.equal(result.code, code, result.stderr);
  const lines = oneLine(result.stderr);
  assert.equal(lines.length, 1, result.stderr);
  for (const part of parts) assert.match(lines[0], part);
  assert.equal(result.stdout, "");
}

test("an unknown key names file, line, key and the nearest", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, "loops: 1\nring:\n  entires: 5\n");
  await refuses(
    folder,
    ["--config", file],
    2,
    /telltale\.yaml:3/,
    /"ring\.entires"/,
    /did you mean "ring\.entries"/,
  );
});

test("a bad value says where it is and what is allowed", async (t) => {
  const folder = await temporaryFolder(t);
  await refuses(folder, ["--durability", "fast"], 2, /--durability/, /sync/);
  await refuses(folder, ["--durabilty=sync"], 2, /mean --durability/);
  await refuses(folder, ["--store", "mysql://x"], 2, /sqlite:PATH or memory/);
});

test("a port in use is told in one line", async (t) => {
  const folder = await temporaryFolder(t);
  const holder = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.on("listening", resolve));
  t.after(() => holder.close());
  const { port } = holder.address();
  await refuses(
    folder,
    ["--listen", `127.0.0.1:${port}`, "--store", "memory"],
    1,
    new RegExp(`\\b${port}\\b`),
    /in use/,
  );
});

test("a second server on the same port or store is refused", async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  await refuses(
    folder,
    ["--listen", `127.0.0.1:${server.port}`, "--store", "memory"],
    1,
    /in use/,
  );
  const before = await stat(path.join(server.folder, "telltale.db"));
  await refuses(
    folder,
    ["--listen", "127.0.0.1:0", "--store", server.store],
    1,
    /telltale\.db/,
  );
  const after = await stat(path.join(server.folder, "telltale.db"));
  assert.equal(after.mtimeMs, before.mtimeMs);
  assert.equal((await server.post("/events", { source: "s" })).status, 200);
});

test("a file that is no database is left alone", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "notes.db");
  const text = "dear diary, ".repeat(1000);
  await writeFile(file, text);
  await refuses(
    folder,
    ["--listen", "127.0.0.1:0", "--store", `sqlite:${file}`],
    1,
    /notes\.db/,
  );
  assert.equal(await readFile(file, "utf8"), text);
});

test("a place that cannot be written is named", async (t) => {
  const folder = await temporaryFolder(t);
  const missing = path.join(folder, "no/such/folder/telltale.db");
  await refuses(
    folder,
    ["--listen", "127.0.0.1:0", "--store", `sqlite:${missing}`],
    1,
    /no\/such\/folder/,
  );
});

test("the default store is private and beside nothing else", async (t) => {
  const folder = await temporaryFolder(t);
  const server = new Server(folder, { store: "" });
  await server.start();
  t.after(() => server.stop());
  const state = path.join(folder, "telltale");
  assert.equal((await stat(state)).mode & 0o777, 0o700);
  assert.ok((await stat(path.join(state, "telltale.db"))).isFile());
});

test("file, environment and flags come in that order", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, "limits: {body: 2KiB, batch: 1}\ndurability: commit\n");
  const server = await startServer(t, {
    folder,
    args: ["--config", file, "--max-batch", "3"],
    env: { TELLTALE_MAX_BATCH: "2" },
  });
  const status = await server.json("/api/v1/status");
  assert.equal(status.durability, "commit");
  const batch = (n) =>
    server.post("/events/batch", Array(n).fill({ source: "s" }));
  assert.equal((await batch(3)).status, 200);
  assert.equal((await batch(4)).status, 413);
  const large = { source: "s", data: { x: "x".repeat(2048) } };
  assert.equal((await server.post("/events", large)).status, 413);
});

test("tokens come from files, and a public one is warned of", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "token");
  await writeFile(file, "tt_from_a_file\n");
  await chmod(file, 0o644);
  const server = await startServer(t, {
    folder,
    env: { TELLTALE_TOKEN_READ_FILE: file },
  });
  assert.match(server.stderr, /chmod 600/);
  const good = await server.fetch("/events", {
    headers: { authorization: "Bearer tt_from_a_file" },
  });
  assert.equal(good.status, 200);
});

test("it says that it is ready on one line, then what to try", async (t) => {
  const server = await startServer(t);
  const lines = server.stdout.trimEnd().split("\n");
  const ready = lines.filter((line) => line.includes("ready"));
  assert.equal(ready.length, 1);
  assert.equal(
    ready[0],
    `telltale ready on ${server.url}  store ${server.store}  durability sync`,
  );
  assert.ok(server.stdout.includes(`${server.url}/events/stream`));
  assert.ok(server.stdout.includes("curl "));
});

test("help names every option and exits well", async (t) => {
  const folder = await temporaryFolder(t);
  const { code, stdout } = await serve(folder, ["--help"]);
  assert.equal(code, 0);
  for (const flag of ["--listen", "--store", "--durability", "--config"])
    assert.ok(stdout.includes(flag));
});
