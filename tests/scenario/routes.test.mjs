// Events that a rule of the configuration publishes.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { startServer, temporaryFolder } from "../harness/server.mjs";

async function routingServer(t, routes, args = [], options = {}) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, `routes: ${JSON.stringify(routes)}\n`);
  return startServer(t, { folder, args: ["--config", file, ...args], ...options });
}

const published = async (server) => (await server.json("/api/v1/events")).items.reverse();

const rules = [
  { level: ">=error", publish: "alert.{channel}", subject: "{source}: {action}" },
  { channel: "orders", publish: "order" },
];

for (const durability of ["sync", "memory"]) {
  test(`what matches a rule is published with its row (${durability})`, { timeout: 60000 }, async (t) => {
    const server = await routingServer(t, rules, ["--durability", durability]);
    await server.post("/events/batch", [
      { source: "shop", action: "quiet" },
      { source: "shop", action: "burnt down", channel: "North Side", level: "fatal", data: { at: 9 } },
      { source: "shop", channel: "orders", level: "error" },
    ]);
    await server.post("/log", { logger: "orders", level: "error", message: "no event" });
    const items = await published(server);
    assert.deepEqual(
      items.map((one) => [one.type, one.subject ?? null, one.seq]),
      [
        ["alert.north_side", "shop: burnt down", 2],
        ["alert.orders", "shop: ", 3],
        ["order", null, 3],
      ],
    );
    const first = await server.json(`/api/v1/events/${items[0].id}`);
    assert.equal(first.data.action, "burnt down");
    assert.deepEqual(first.data.data, { at: 9 });
    assert.equal(first.data.seq, 2);
  });
}

test("a request that comes again publishes nothing again", { timeout: 60000 }, async (t) => {
  const server = await routingServer(t, rules);
  for (let i = 0; i < 2; i++)
    await server.post("/events", { source: "shop", channel: "orders" }, { "idempotency-key": "once" });
  assert.equal((await published(server)).length, 1);
});

test("what fails to be published is not stored either", { timeout: 60000 }, async (t) => {
  const server = await routingServer(t, rules, [], { control: true });
  await server.control("fault outbox.publish fail EIO 1");
  const refused = await server.post("/events", { source: "shop", channel: "orders" });
  assert.equal(refused.status, 503);
  assert.deepEqual(await published(server), []);
  assert.deepEqual(await server.json("/events/recent"), []);
});
