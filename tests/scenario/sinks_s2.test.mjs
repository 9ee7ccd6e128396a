// The s2 sink of the server, beside a basin that misbehaves.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { startS2 } from "../harness/s2.mjs";
import { caughtUp, postEvents, sinkServer } from "../harness/sinks.mjs";
import { long, temporaryFolder, until } from "../harness/server.mjs";

async function start(t, env = {}) {
  const s2 = await startS2();
  t.after(() => s2.close());
  s2.create("events/one");
  const folder = await temporaryFolder(t);
  const token = path.join(folder, "token");
  await writeFile(token, `${s2.token}\n`);
  const entry = { name: "s2", type: "s2", basin: s2.basin, stream: "events/one", endpoint: s2.url, token_file: token };
  return { s2, server: await sinkServer(t, [entry], { folder, env }) };
}
const seqsIn = (s2) => s2.stream("events/one").records.map(({ body }) => JSON.parse(body).seq);

test("each event is one record, once, whatever the basin answers", { timeout: 120000 }, async (t) => {
  const { s2, server } = await start(t);
  s2.misbehave({ status: 500 }, { cut: "before" }, { cut: "after" }, { status: 429, headers: { "retry-after": "1" } }, { cut: "after" });
  const seqs = await postEvents(server, 200);
  const state = await caughtUp(server, "s2");
  assert.deepEqual(seqsIn(s2), seqs);
  assert.equal(state.appended, 200);
  assert.doesNotMatch(server.stderr, new RegExp(s2.token));
});

test("kill -9 during an append: still once, since a batch names its place", { timeout: 300000 }, async (t) => {
  const { s2, server } = await start(t);
  const seqs = [];
  for (let round = 0; round < (long ? 20 : 4); round++) {
    const some = s2.stream("events/one").records.length;
    seqs.push(...(await postEvents(server, 300)));
    await until(() => s2.stream("events/one").records.length > some, { timeout: 30000, what: "an append" });
    await server.kill();
    await server.start();
  }
  await caughtUp(server, "s2");
  assert.deepEqual(seqsIn(s2), seqs);
});
