// What installed programs reported, read: instances, updates, keys, sums.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fleetGet, instanceId, report, settled } from "../harness/fleet.mjs";
import { startServer } from "../harness/server.mjs";

const ids = ({ items }) => items.map(({ id }) => id);

// The status and the code of what is refused.
async function refused(server, path) {
  const answer = await server.fetch(`/api/v1/fleet/${path}`);
  return [answer.status, (await answer.json()).code];
}

test("which versions, since when, and what they do, in one call", async (t) => {
  const server = await startServer(t);
  for (const [n, version] of [[1, "1.0"], [2, "1.0"], [3, "2.0"]])
    await report(server, n, {
      version,
      orders: n * 10,
      mode: n < 3 ? "fast" : "slow",
      browsers: [{ value: "firefox", count: n }, { value: "lynx", count: 1 }],
      lines: [1, 2, 3],
    });
  const versions = await settled(server, "by=version&step=1h");
  assert.deepEqual(
    versions.items.map(({ value, updates, instances }) => [value, updates, instances]),
    [["1.0", 2, 2], ["2.0", 1, 1]],
  );
  const first = await fleetGet(server, `instances/${instanceId(1)}`);
  assert.equal(versions.items[0].first_at, first.first_at);
  assert.deepEqual(versions.items[0].buckets.at(-1).updates, 2);

  const [orders] = (await settled(server, "key=orders")).items;
  const { updates, instances, count, sum, min, max } = orders;
  assert.deepEqual(
    { updates, instances, count, sum, min, max },
    { updates: 3, instances: 3, count: 3, sum: 60, min: 10, max: 30 },
  );
  assert.ok(Math.abs(orders.p50 - 20) <= 0.4);
  assert.equal(orders.p99, 30);
  const [old] = (await settled(server, "key=orders&by=version")).items;
  assert.deepEqual([old.value, old.sum], ["1.0", 30]);

  const [browsers] = (await settled(server, "key=browsers")).items;
  assert.deepEqual(browsers.values, [{ value: "firefox", count: 6 }, { value: "lynx", count: 3 }]);
  const [cut] = (await settled(server, "key=browsers&limit=1")).items;
  assert.deepEqual([cut.values.length, cut.values_other], [1, 3]);
  const [mode] = (await settled(server, "key=mode")).items;
  assert.deepEqual(mode.values, [{ value: "fast", count: 2 }, { value: "slow", count: 1 }]);
  assert.equal((await settled(server, "key=lines")).items[0].sum, 9);
  const cut_versions = await settled(server, "by=version&limit=1");
  assert.deepEqual(cut_versions.items.map(({ value, other, updates }) => [value, other, updates]), [
    ["1.0", undefined, 2],
    [undefined, true, 1],
  ]);
  assert.deepEqual((await settled(server, "key=nobody-sends-this")).items, []);
});

test("instances are found by what they said, by key, by time, and when they are late", async (t) => {
  const server = await startServer(t, { control: true });
  await report(server, 1, { version: "1.0", os: "linux", "feature.a": 1 });
  await report(server, 2, { version: "1.2", os: "linux" });
  await server.control(`clock advance_us ${3660 * 1e6}`);
  await report(server, 3, { version: "2.0", os: "linux" });
  const [one, two, three] = [1, 2, 3].map(instanceId);
  assert.deepEqual(ids(await fleetGet(server, "instances")), [three, two, one]);
  assert.deepEqual(ids(await fleetGet(server, "instances?where=version:1.*")), [two, one]);
  assert.deepEqual(ids(await fleetGet(server, "instances?where=version:1.2,os:linux")), [two]);
  assert.deepEqual(ids(await fleetGet(server, "instances?where=version:1.2,os:mac")), []);
  assert.deepEqual(ids(await fleetGet(server, "instances?key=feature.*")), [one]);
  assert.deepEqual(ids(await fleetGet(server, "instances?late=true")), [two, one]);
  const { last_at } = await fleetGet(server, `instances/${three}`);
  assert.deepEqual(ids(await fleetGet(server, `instances?since=${last_at}`)), [three]);
  assert.deepEqual(ids(await fleetGet(server, `instances?until=${last_at}`)), [two, one]);
  const pages = [];
  for (let cursor = ""; cursor !== null; ) {
    const page = await fleetGet(server, `instances?limit=1&cursor=${cursor}`);
    pages.push(...ids(page));
    cursor = page.next_cursor;
  }
  assert.deepEqual(pages, [three, two, one]);
  const { next_cursor } = await fleetGet(server, "instances?limit=1");
  assert.deepEqual(await refused(server, `instances?late=true&cursor=${next_cursor}`), [400, "invalid_cursor"]);
});

test("an instance's last update and those before it are as they were sent", async (t) => {
  const server = await startServer(t, { args: ["--fleet-min-interval", "0s"] });
  for (let n = 1; n <= 3; n++) await report(server, 7, { n, text: "ü\u0000" }, Date.now() + n);
  const one = await fleetGet(server, `instances/${instanceId(7)}`);
  assert.deepEqual([one.updates, one.data], [3, { n: 3, text: "ü\u0000" }]);
  const page = await fleetGet(server, `instances/${instanceId(7)}/updates?limit=2`);
  assert.deepEqual(page.items.map(({ data }) => data.n), [3, 2]);
  const rest = await fleetGet(server, `instances/${instanceId(7)}/updates?limit=2&cursor=${page.next_cursor}`);
  assert.deepEqual([rest.items.map(({ data }) => data.n), rest.next_cursor], [[1], null]);
  const { items } = await fleetGet(server, "keys");
  assert.deepEqual(
    items.map(({ key, shapes, instances }) => [key, shapes, instances]),
    [["text", ["string"], 1], ["n", ["number"], 1]],
  );
});

test("what is asked wrongly is told", async (t) => {
  const server = await startServer(t);
  for (const [path, ...answer] of [
    ["instances/none", 404, "instance_not_found"],
    [`instances/${instanceId(1)}`, 404, "instance_not_found"],
    [`instances/${instanceId(1)}/updates`, 404, "instance_not_found"],
    ["instances?where=version", 400, "invalid_where"],
    ["instances?late=perhaps", 400, "invalid_late"],
    ["instances?since=yesterday", 400, "invalid_since"],
    ["keys?limit=0", 400, "invalid_limit"],
    ["keys?cursor=none", 400, "invalid_cursor"],
    ["aggregate?by=colour", 400, "invalid_by"],
    ["aggregate?step=1m", 400, "invalid_step"],
    ["aggregate?limit=201", 400, "invalid_limit"],
    ["aggregate?until=now", 400, "invalid_until"],
  ])
    assert.deepEqual(await refused(server, path), answer, path);
  await report(server, 1, { version: "1" });
  await settled(server);
  assert.deepEqual(await refused(server, "aggregate?since=1970-01-02T00:00:00Z&step=1d"), [400, "invalid_step"]);
});
