// A disk that fails or fills while the server runs: nothing is promised that is
// not kept, and it recovers by itself.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { sample, total } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";

const ready = async (server) => (await server.fetch("/readyz")).status;

async function ledger(server) {
  const text = await (await server.fetch("/metrics")).text();
  return {
    received: sample(text, "telltale_events_received_total"),
    stored: sample(text, "telltale_events_stored_total"),
    rejected: total(text, "telltale_events_rejected_total"),
    flying: sample(text, "telltale_events_in_flight"),
  };
}

async function assertBalanced(server) {
  const l = await ledger(server);
  assert.equal(l.flying, 0);
  assert.equal(l.received, l.stored + l.rejected);
}

// A full disk is red until there is room; a failed commit only for as long as it
// takes to open the file again.
for (const [point, errno, red] of [
  ["store.write", "ENOSPC", true],
  ["store.commit.before", "EIO", false],
]) {
  test(`${errno} at ${point} answers 503 and passes`, async (t) => {
    const server = await startServer(t, { control: true });
    const first = await server.post("/events", { source: "before" });
    assert.equal(first.status, 200);
    await server.control(`fault ${point} fail ${errno}`);
    const failed = await server.post("/events", { source: "lost?" });
    assert.equal(failed.status, 503);
    assert.ok(Number(failed.headers.get("retry-after")) > 0);
    const error = await failed.json();
    assert.equal(error.code, "store_unavailable");
    assert.match(error.message, /nothing was stored/);
    if (red) {
      await until(async () => (await ready(server)) === 503, {
        what: "a red /readyz",
      });
      const { reason } = await (await server.fetch("/readyz")).json();
      assert.ok(reason.length > 10, reason);
    }
    assert.equal((await server.fetch("/healthz")).status, 200);

    await server.control("clear");
    await until(async () => (await ready(server)) === 200, {
      what: "a green /readyz",
    });
    const after = await server.post("/events", { source: "after" });
    assert.equal(after.status, 200);
    const events = await server.json("/events/recent");
    assert.deepEqual(
      events.map((event) => event.source),
      ["before", "after"],
    );
    await assertBalanced(server);
  });
}

test("a full disk is survived, and room again is used", async (t) => {
  const disk = mkdtempSync(path.join(tmpdir(), "telltale-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
  t.after(() => {
    execFileSync("umount", ["-l", disk]);
    rmdirSync(disk);
  });
  const filler = path.join(disk, "filler");
  writeFileSync(filler, Buffer.alloc(1 << 20));
  const server = await startServer(t, {
    store: `sqlite:${path.join(disk, "telltale.db")}`,
  });
  const stored = new Set();
  const pad = "x".repeat(100_000);
  let status = 200;
  for (let i = 0; i < 200 && status === 200; i++) {
    const answer = await server.post("/events", { source: "s", data: { pad } });
    status = answer.status;
    const body = await answer.json();
    if (status === 200) stored.add(body.seq);
  }
  assert.equal(status, 503);
  assert.ok(stored.size > 0);
  await until(async () => (await ready(server)) === 503, {
    what: "a red /readyz",
  });
  rmSync(filler);
  await until(async () => (await ready(server)) === 200, {
    what: "a green /readyz",
    timeout: 20000,
  });
  const answer = await server.post("/events", { source: "s" });
  assert.equal(answer.status, 200);
  stored.add((await answer.json()).seq);
  const events = await server.json("/events/recent?n=1000");
  assert.deepEqual(new Set(events.map((event) => event.seq)), stored);
  await assertBalanced(server);
  await server.stop();
});
