// A fleet reports every hour for a day, on a clock that runs ahead, while the
// server is killed again and again. Afterwards every sum is exact.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fleetGet, reportAll, settled } from "../harness/fleet.mjs";
import { long, startServer } from "../harness/server.mjs";

const INSTANCES = long ? 10000 : 240;
const HOURS = long ? 24 : 8;
const HOUR_MS = 3600000;

// What dies when: between the parts of a sum, and around a commit.
const kills = new Map([
  [2, "fault fleet.portion kill 1"],
  [4, "fault store.commit.after kill 3"],
  [6, "fault fleet.portion kill 0"],
]);

const versionOf = (n, hour) => (n % 3 === 0 ? "2.0" : n % 3 === 1 && hour >= HOURS / 2 ? "1.1" : "1.0");
// Enough keys that their sums take more than one transaction.
const dataOf = (n, hour) => ({
  ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`feature-${i}`, i])),
  version: versionOf(n, hour),
  os: n % 2 ? "linux" : "mac",
  requests: n + hour,
  balance: -n,
  browsers: [{ value: `browser-${n % 5}`, count: 1 + (n % 3) }],
  process: { threads: 1 + (n % 8) },
});

// The same, added up here.
function expected() {
  const all = { updates: 0, requests: 0, balance: 0, threads: 0 };
  const byVersion = {};
  const browsers = {};
  for (let hour = 0; hour < HOURS; hour++)
    for (let n = 1; n <= INSTANCES; n++) {
      const data = dataOf(n, hour);
      all.updates++;
      all.requests += data.requests;
      all.balance += data.balance;
      all.threads += data.process.threads;
      byVersion[data.version] = (byVersion[data.version] ?? 0) + data.requests;
      const [{ value, count }] = data.browsers;
      browsers[value] = (browsers[value] ?? 0) + count;
    }
  return { all, byVersion, browsers };
}

async function liveThroughTheDay(server, begin) {
  for (let hour = 0; hour < HOURS; hour++) {
    await server.control(`clock advance_us ${HOUR_MS * 1000}`);
    if (kills.has(hour)) await server.control(kills.get(hour));
    const updates = Array.from({ length: INSTANCES }, (_, i) => ({
      n: i + 1,
      at: begin + hour * HOUR_MS,
      data: dataOf(i + 1, hour),
    }));
    let taken = await reportAll(server, updates);
    if (!kills.has(hour)) {
      assert.ok(taken, `the server went away in hour ${hour}`);
      continue;
    }
    const end = await server.wait(30000);
    assert.equal(end.signal, "SIGKILL");
    await server.start();
    await server.control(`clock advance_us ${(hour + 1) * HOUR_MS * 1000}`);
    taken = await reportAll(server, updates);
    assert.ok(taken);
  }
}

// A count of different instances is exact up to 256, else an estimate.
function assertInstances(got, want) {
  const off = want <= 256 ? 0 : want * 0.07;
  assert.ok(Math.abs(got - want) <= off, `${got} instances, not ${want}`);
}

test("a day of a fleet adds up exactly, whenever the server dies", { timeout: 600000 }, async (t) => {
  const server = await startServer(t, {
    control: true,
    args: ["--fleet-new-instances", "1000000"],
  });
  await liveThroughTheDay(server, Date.now());
  const want = expected();
  const [sums] = (await settled(server, "", { timeout: 120000 })).items;
  assert.equal(sums.updates, want.all.updates);
  assertInstances(sums.instances, INSTANCES);
  for (const [key, sum] of [
    ["requests", want.all.requests],
    ["balance", want.all.balance],
    ["process.threads", want.all.threads],
  ]) {
    const [item] = (await fleetGet(server, `aggregate?key=${key}`)).items;
    assert.deepEqual([item.updates, item.count, item.sum], [want.all.updates, want.all.updates, sum], key);
  }
  const versions = await fleetGet(server, "aggregate?key=requests&by=version");
  assert.deepEqual(
    Object.fromEntries(versions.items.map(({ value, sum }) => [value, sum]).sort()),
    want.byVersion,
  );
  const [browsers] = (await fleetGet(server, "aggregate?key=browsers")).items;
  assert.deepEqual(
    Object.fromEntries(browsers.values.map(({ value, count }) => [value, count])),
    want.browsers,
  );
  const since = new Date(Date.now() - HOUR_MS).toISOString();
  const [steps] = (await fleetGet(server, `aggregate?step=1h&since=${since}`)).items;
  const told = steps.buckets.filter(({ updates }) => updates);
  assert.deepEqual(told.map(({ updates }) => updates), Array(HOURS).fill(INSTANCES));
  for (const bucket of told) assertInstances(bucket.instances, INSTANCES);
});
