// Errors at the two places where a store cannot just roll back: after COMMIT has
// written, and while the write-ahead log is brought into the database.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { startServer, until } from "../harness/server.mjs";
import { Follower, check, readHistory, startLoad } from "./crash.mjs";

const green = (server) =>
  until(async () => (await server.fetch("/readyz")).status === 200, { what: "a green /readyz", timeout: 20000 });

// Only the file knows whether such a group is stored: it is, and its clients
// learn that, once it was read again.
for (const errno of ["EIO", "ENOSPC", "ENOMEM"]) {
  test(`${errno} after COMMIT wrote: the answer is what the file says`, { timeout: 60000 }, async (t) => {
    const server = await startServer(t, { control: true });
    const follower = new Follower();
    await follower.connect(server);
    t.after(() => follower.stream.close());
    const acknowledged = new Map();
    const stop = startLoad(server, 0, acknowledged);
    await until(() => acknowledged.size > 20, { what: "the load" });
    await server.control(`fault store.commit.after fail ${errno} 5 3`);
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 100, { what: "load behind the errors" });
    await stop();
    await green(server);
    await until(() => follower.seen.length >= acknowledged.size, { what: "the stream" });
    await check(server, acknowledged, follower);
    const stored = await server.json("/api/v1/status");
    assert.equal(stored.rejected.unavailable, 0, "what is stored was not answered 503");
    const head = stored.store.head_seq;
    await server.kill(); // and it is what a new start finds
    await server.start();
    assert.equal((await server.json("/api/v1/status")).store.head_seq, head);
  });
}

for (const errno of ["EIO", "ENOSPC", "ENOMEM"]) {
  test(`${errno} in a checkpoint: nothing acknowledged is lost, and it goes on`, { timeout: 60000 }, async (t) => {
    const server = await startServer(t, { control: true });
    const pad = "x".repeat(50_000);
    const seqs = [];
    const post = async () => {
      const answer = await server.post("/events", { source: "s", data: { pad } });
      const body = await answer.json();
      if (answer.status === 200) seqs.push(body.seq);
      else assert.equal(answer.status, 503, JSON.stringify(body));
    };
    await server.control(`fault store.checkpoint fail ${errno} 3`);
    const failed = async () => Number(await server.control("hits store.checkpoint"));
    for (let n = 0; n < 2000 && (await failed()) < 5; n++) await post();
    assert.ok((await failed()) >= 5, "checkpoints went on after the errors");
    await green(server);
    await post();
    await server.kill();
    await server.start();
    const again = (await readHistory(server)).map((event) => event.seq);
    assert.deepEqual(again, seqs);
  });
}

test("a full disk: the room that the write-ahead log takes is used again", { timeout: 60000 }, async (t) => {
  const disk = mkdtempSync(path.join(tmpdir(), "telltale-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
  t.after(() => {
    execFileSync("umount", ["-l", disk]);
    rmdirSync(disk);
  });
  const server = await startServer(t, { store: `sqlite:${path.join(disk, "telltale.db")}` });
  const post = async () => (await server.post("/events", { source: "s" })).status;
  assert.equal(await post(), 200);
  await server.stop(); // the pages are in the database
  await server.start();
  for (let n = 0; n < 10; n++) assert.equal(await post(), 200);
  const wal = () => statSync(path.join(disk, "telltale.db-wal")).size;
  const before = wal();
  const filler = openSync(path.join(disk, "filler"), "w");
  const page = Buffer.alloc(4096, 1);
  for (let full = false; !full; ) {
    try {
      writeSync(filler, page);
    } catch (error) {
      assert.equal(error.code, "ENOSPC");
      full = true;
    }
  }
  closeSync(filler);
  const statuses = [];
  for (let n = 0; n < 10; n++) statuses.push(await post());
  assert.ok(statuses.includes(503), `${statuses}`);
  await until(async () => (await post()) === 200, { what: "room in the log", timeout: 20000 });
  assert.ok(wal() < before, `${wal()} bytes, ${before} before`);
});
