// `telltale config check`: the settings that serve would run with.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { binary, temporaryFolder } from "../harness/server.mjs";

const run = promisify(execFile);

async function config(folder, args, env = {}) {
  const options = {
    timeout: 15000,
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  };
  try {
    return { code: 0, ...(await run(binary, ["config", ...args], options)) };
  } catch (error) {
    return error;
  }
}

// {key: [value, origin]} of what was printed.
function settings(stdout) {
  const rows = {};
  for (const line of stdout.split("\n")) {
    const found = /^(token \(\w+\)|\S+) +(.*?) *\((.*)\)$/.exec(line);
    if (found) rows[found[1]] = found.slice(2);
  }
  return rows;
}

test("config check prints each setting and its origin", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, "loops: 2\nring:\n  bytes: 1MiB\nretain: 36h\n");
  const result = await config(
    folder,
    ["check", "--config", file, "--retain", "2d", "--host", "a", "--host", "b"],
    { TELLTALE_LOOPS: "3", TELLTALE_TOKEN_ADMIN: "not-to-be-seen" },
  );
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stderr, "");
  assert.ok(result.stdout.startsWith(`file               ${file}\n`));
  const rows = settings(result.stdout);
  assert.deepEqual(rows.loops, ["3", "TELLTALE_LOOPS"]);
  assert.deepEqual(rows["ring.bytes"], ["1MiB", `${file}:3`]);
  assert.deepEqual(rows.retain, ["2d", "--retain"]);
  assert.deepEqual(rows.retain_bytes, ["5GB", "default"]);
  assert.deepEqual(rows.hosts, ["a,b", "--host"]);
  assert.deepEqual(rows["token (admin)"], ["****", "TELLTALE_TOKEN_ADMIN"]);
  assert.doesNotMatch(result.stdout, /not-to-be-seen/);
  const place = path.join(folder, ".local/state/telltale/telltale.db");
  assert.deepEqual(rows.store, [`sqlite:${place}`, "default"]);
  assert.deepEqual(await readdir(folder), ["telltale.yaml"], "it made something");
});

test("config check refuses what serve refuses", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, "loops: 1\nring:\n  entires: 5\n");
  for (const [args, message] of [
    [["check", "--config", file], /telltale\.yaml:3.*did you mean "ring\.entries"/],
    [["check", "--retian", "1d"], /did you mean --retain\?/],
    [["check", "--durability", "fast"], /--durability: .*memory, commit or sync/],
    [["check", "--config", path.join(folder, "none")], /cannot be read/],
    [["chekc"], /chekc is not check/],
  ]) {
    const result = await config(folder, args);
    assert.equal(result.code, 2, args.join(" "));
    assert.match(result.stderr, message);
    assert.equal(result.stdout, "");
  }
});

test("config check warns of what it cannot decide", async (t) => {
  const folder = await temporaryFolder(t);
  const result = await config(folder, ["check", "--listen", ":6060"]);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /beyond this machine: serve starts there only if/);
});

test("config alone is its help", async (t) => {
  const folder = await temporaryFolder(t);
  for (const args of [[], ["--help"], ["check", "--help"]]) {
    const result = await config(folder, args);
    assert.equal(result.code, 0);
    assert.match(result.stdout, /usage: telltale config check/);
    assert.match(result.stdout, /--ring-entries N/);
  }
});
