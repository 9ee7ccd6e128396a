// telltale fleet: what its operator sees of installed programs.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { instanceId, report, settled } from "../harness/fleet.mjs";
import { startServer } from "../harness/server.mjs";

async function ok(server, ...args) {
  const { code, out, err } = await cli(server, ["fleet", ...args]);
  assert.equal(code, 0, err);
  return out;
}
const objects = (out) => out.split("\n").filter(Boolean).map((line) => JSON.parse(line));

async function someFleet(t) {
  const server = await startServer(t);
  for (const n of [1, 2, 3])
    await report(server, n, {
      version: n < 3 ? "1.0" : "2.0",
      orders: n,
      browsers: [{ value: "lynx\u0007", count: n }],
    });
  await settled(server);
  return server;
}

test("instances, keys and one of them are shown", async (t) => {
  const server = await someFleet(t);
  const table = await ok(server, "instances");
  assert.match(table, /^ID +UPDATES +FIRST/);
  assert.equal(table.trim().split("\n").length, 4);
  assert.match(table, new RegExp(`${instanceId(1)} .*"version":"1.0"`));
  const found = objects(await ok(server, "instances", "--where", "version:1.*", "--json"));
  assert.deepEqual(found.map(({ id }) => id), [instanceId(2), instanceId(1)]);
  assert.deepEqual(objects(await ok(server, "instances", "--late", "--json")), []);
  assert.equal(objects(await ok(server, "instances", "--limit", "2", "--json")).length, 2);
  assert.equal(objects(await ok(server, "instances", "--sends", "ord*", "--json")).length, 3);
  assert.equal(objects(await ok(server, "instances", "--sends", "ord", "--json")).length, 0);
  assert.match(await ok(server, "keys"), /orders/);
  assert.match(await ok(server, "show", instanceId(3)), /data +\{"version":"2.0","orders":3/);
  const [update] = objects(await ok(server, "show", instanceId(3), "updates", "--json"));
  assert.equal(update.data.orders, 3);
});

test("sums are shown by version, in steps, and with their values", async (t) => {
  const server = await someFleet(t);
  const versions = await ok(server, "aggregate", "--by", "version");
  assert.match(versions, /FIRST .* INSTANCES .* VALUE\n.* 2 +2 .* 1\.0\n.* 1 +1 .* 2\.0\n$/);
  const orders = await ok(server, "aggregate", "orders", "--step", "1d");
  assert.equal(orders.trim().split("\n").length, 3);
  const browsers = await ok(server, "aggregate", "browsers");
  assert.match(browsers, / 6 {2}lynx\\x07\n$/);
  const answer = JSON.parse(await ok(server, "aggregate", "orders", "--json"));
  assert.equal(answer.items[0].sum, 6);
});

test("the rules are tried, set and shown", async (t) => {
  const server = await someFleet(t);
  const file = path.join(server.folder, "rules.json");
  await writeFile(file, JSON.stringify([{ match: { where: { version: "1.*" } }, stop: true }]));
  assert.deepEqual(JSON.parse(await ok(server, "control")), []);
  const preview = JSON.parse(await ok(server, "control", "preview", file));
  assert.equal(preview.rules[0].matches, 2);
  await ok(server, "control", "set", file);
  assert.equal(JSON.parse(await ok(server, "control", "get"))[0].stop, true);
  const set = await cli(server, ["fleet", "control", "set", "-"], { input: "[]" });
  assert.equal(set.code, 0, set.err);
  assert.deepEqual(JSON.parse(await ok(server, "control", "get")), []);
});

test("what is typed wrongly, and what the server refuses, is told", async (t) => {
  const server = await startServer(t);
  for (const [code, message, ...args] of [
    [2, /say instances, show/],
    [2, /"?explode"? is not instances/, "explode"],
    [2, /which instance/, "show"],
    [2, /is not get, set or preview/, "control", "drop"],
    [2, /which file/, "control", "set"],
    [1, /none.json/, "control", "set", "/none.json"],
    [1, /by: has to be a dimension \(version, os, arch\)/, "aggregate", "--by", "colour"],
    [1, /no instance of this id/, "show", instanceId(1)],
  ]) {
    const result = await cli(server, ["fleet", ...args]);
    assert.equal(result.code, code, args.join(" ") + result.err);
    assert.match(result.err, message);
  }
});
