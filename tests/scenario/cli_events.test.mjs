// `telltale events`: history at the command line, and going on with what comes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { startServer, testBinary, until } from "../harness/server.mjs";

// Starts `telltale events`; `exited` answers {code, stdout, stderr}.
function start(server, args, { url = server.url } = {}) {
  const child = spawn(testBinary, ["events", "--url", url, ...args], {
    env: { PATH: process.env.PATH, HOME: server.folder },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60000,
  });
  const run = { child, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (text) => (run[name] += text));
  run.exited = new Promise((resolve) =>
    child.on("close", (code) => resolve({ code, ...run })),
  );
  return run;
}

const events = (server, ...args) => start(server, args).exited;

const lines = (text) =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

async function seqs(server, ...args) {
  const run = await events(server, "--json", ...args);
  assert.equal(run.code, 0, run.stderr);
  return lines(run.stdout).map((event) => event.seq);
}

async function emit(server, count, more = {}) {
  const batch = Array.from({ length: count }, (_, i) => ({
    source: i % 10 === 3 ? "rare" : "common",
    ...more,
  }));
  const answer = await server.post("/events/batch", batch);
  assert.equal(answer.status, 200, await answer.text());
}

const range = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("events prints any part of the history, in order", async (t) => {
  const server = await startServer(t);
  await emit(server, 2500);
  assert.deepEqual(await seqs(server), range(2401, 2500));
  assert.deepEqual(await seqs(server, "-n", "3"), [2498, 2499, 2500]);
  // More than a page of the newest.
  assert.deepEqual(await seqs(server, "-n", "2100"), range(401, 2500));
  assert.deepEqual(await seqs(server, "-n", "9999"), range(1, 2500));
  assert.deepEqual(await seqs(server, "--limit", "0"), range(1, 2500));
  assert.deepEqual(await seqs(server, "--after", "5", "-n2"), [6, 7]);
  assert.deepEqual(await seqs(server, "--after", "7", "--before", "10"), [8, 9]);
  assert.deepEqual(await seqs(server, "--before", "3"), [1, 2]);
  assert.deepEqual(
    await seqs(server, "--before", "2001", "-n", "1500", "--source", "common"),
    range(1, 2000)
      .filter((seq) => (seq - 1) % 10 !== 3)
      .slice(-1500),
  );
  assert.deepEqual(await seqs(server, "--limit", "1500", "--after", "0"), range(1, 1500));
  assert.equal((await seqs(server, "--source", "rare", "-n", "0")).length, 250);
});

test("events takes times", async (t) => {
  const server = await startServer(t);
  await emit(server, 3);
  const [, second] = (await server.json("/events")).items;
  const before = new Date(Date.parse(second.ts) - 3600e3).toISOString();
  const behind = new Date(Date.parse(second.ts) + 3600e3).toISOString();
  assert.deepEqual(await seqs(server, "--since", before), [1, 2, 3]);
  assert.deepEqual(await seqs(server, "--since", behind), []);
  assert.deepEqual(await seqs(server, "--until", behind), [1, 2, 3]);
  assert.deepEqual(await seqs(server, "--until", before), []);
});

test("events --since 10m counts back from now", async (t) => {
  const server = await startServer(t);
  await emit(server, 3);
  assert.deepEqual(await seqs(server, "--since", "10m"), [1, 2, 3]);
  assert.deepEqual(await seqs(server, "--since", "2h", "--until", "1h"), []);
  assert.deepEqual(await seqs(server, "--until", "3d"), []);
});

test("events says what it cannot use", async (t) => {
  const server = await startServer(t);
  for (const [args, code, message] of [
    [["--since", "yesterday"], 2, /--since yesterday is neither a duration/],
    [["--limit", "many"], 2, /--limit many is not a whole number/],
    [["--before", "0"], 2, /--before 0 is not a whole number above 0/],
    [["--follow", "--until", "1h"], 2, /--follow has no end/],
    [["--include", "all"], 2, /--include takes log, not all/],
    [["--level", ">=loud"], 1, /400 level/],
    [["word"], 2, /word: no such argument/],
  ]) {
    const run = await events(server, ...args);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, message);
    assert.equal(run.stdout, "");
  }
  const nobody = await start(server, [], { url: "http://127.0.0.1:1" }).exited;
  assert.equal(nobody.code, 3, nobody.stderr);
});

test("events prints lines for people", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "app", action: "go", data: { n: 1 } });
  const run = await events(server);
  assert.match(run.stdout, /^\d\d:\d\d:\d\d\.\d{3} info  app go n=1\n$/);
});

test("events --follow has no gap and no duplicate", async (t) => {
  const server = await startServer(t);
  const total = 4000;
  await emit(server, 1500);
  const run = start(server, ["--json", "--follow", "--limit", "0"]);
  t.after(() => run.child.kill());
  // Under the feet of the pages and of the change to the stream.
  for (let sent = 1500; sent < total; sent += 100) await emit(server, 100);
  const seen = () => run.stdout.split("\n").length - 1;
  await until(() => seen() >= total, { what: "the last event" });
  assert.deepEqual(
    lines(run.stdout).map((event) => event.seq),
    range(1, total),
  );
  // The server goes away and comes back.
  await server.stop();
  await until(() => run.stderr.includes("reconnecting"), { what: "a word" });
  await server.start();
  await emit(server, 10);
  await until(() => seen() >= total + 10, { what: "what came after" });
  assert.deepEqual(
    lines(run.stdout).map((event) => event.seq),
    range(1, total + 10),
  );
});

test("events --follow begins behind what its filter hid", async (t) => {
  const server = await startServer(t);
  await emit(server, 50);
  const run = start(server, ["--json", "-f", "-s", "late"]);
  const newest = start(server, ["--json", "-f", "-n", "2"]);
  t.after(() => run.child.kill() && newest.child.kill());
  await until(() => newest.stdout.split("\n").length === 3);
  await server.post("/events", { source: "late" });
  await until(() => run.stdout.includes("\n"), { what: "the late event" });
  await until(() => newest.stdout.split("\n").length === 4);
  assert.deepEqual(
    lines(run.stdout).map((event) => event.seq),
    [51],
  );
  assert.deepEqual(
    lines(newest.stdout).map((event) => event.seq),
    [49, 50, 51],
  );
});
