// SIGKILL at the worst points of an event's way to its webhooks: whatever dies
// when, each committed event has one row in the outbox, and one delivery for
// each webhook that matches.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { buildDir, long, Server, temporaryFolder, until } from "../harness/server.mjs";

const run = promisify(execFile);
const rounds = long ? 50 : 10;
const WEBHOOKS = 3;

export async function sql(file, query) {
  const { stdout } = await run(path.join(buildDir, "tests/outbox-run"), ["sql", file, query]);
  return stdout.trimEnd();
}

// Webhooks of which no request can come to anything: no address is allowed.
async function addWebhooks(file) {
  const values = Array.from(
    { length: WEBHOOKS },
    (_, i) => `('wh_${i}', 'https://127.0.0.1:9/', '["*"]', 'standard', 0, 'whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=', 1, 1, 1)`,
  );
  values.push(`('wh_none', 'https://127.0.0.1:9/', '["never"]', 'standard', 0, 'whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=', 1, 1, 1)`);
  await sql(
    file,
    "INSERT INTO webhooks(id, url, events, format, ordered, secret, enabled, created_us, updated_us)" +
      ` VALUES${values.join(",")}`,
  );
}

export async function assertOnce(file, ids) {
  await until(async () => (await sql(file, "SELECT count(*) FROM outbox WHERE status = 0")) === "0", {
    what: "the fan-out of everything",
    timeout: 60000,
  });
  const held = new Set((await sql(file, "SELECT id FROM outbox")).split("\n"));
  for (const id of ids) assert.ok(held.has(id), `${id} was acknowledged and is not there`);
  assert.equal(await sql(file, `SELECT count(*) FROM outbox WHERE status <> 1 OR matched_count <> ${WEBHOOKS}`), "0");
  const wrong =
    "SELECT event_id, webhook_id, count(*) FROM deliveries GROUP BY 1, 2 HAVING count(*) > 1" +
    " UNION ALL SELECT o.id, w.id, 0 FROM outbox o JOIN webhooks w ON w.id <> 'wh_none' WHERE NOT EXISTS" +
    " (SELECT 1 FROM deliveries d WHERE d.event_id = o.id AND d.webhook_id = w.id)" +
    " UNION ALL SELECT event_id, webhook_id, -1 FROM deliveries WHERE webhook_id = 'wh_none'";
  assert.equal(await sql(file, wrong), "");
}

for (const [point, what] of [
  ["outbox.lease", "between the commit and the fan-out"],
  ["outbox.insert_delivery", "inside the fan-out, at a delivery"],
  ["outbox.update_status", "inside the fan-out, at the end of an event"],
])
  test(`killed ${what}`, { timeout: 600000 }, async (t) => {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, "telltale.db");
    const server = new Server(folder, { control: true });
    const acknowledged = [];
    await server.start();
    await addWebhooks(file);
    for (let round = 0; round < rounds; round++) {
      await server.control(`fault ${point} kill ${Math.floor(Math.random() * 8)}`);
      let alive = true;
      server.exited.then(() => (alive = false));
      for (let n = 0; alive; n++) {
        const id = `evt_${round}-${n}`;
        try {
          const answer = await server.post("/api/v1/events", { type: "order.paid", id, data: n });
          if (answer.status === 201) acknowledged.push(id);
        } catch {
          break;
        }
      }
      await server.exited;
      await server.start();
    }
    await assertOnce(file, acknowledged);
    await server.stop();
    assert.ok(acknowledged.length > 0);
    t.diagnostic(`${acknowledged.length} events over ${rounds} kills`);
  });
