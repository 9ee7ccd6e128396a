// SIGKILL under load: every event that was answered 2xx is there once, seq goes
// on, and a subscriber that comes back with its Last-Event-ID misses nothing and
// sees nothing twice.
import { test } from "node:test";
import { long, temporaryFolder } from "../harness/server.mjs";
import { crashRounds } from "./crash.mjs";

test("acknowledged is stored, once, over many kills", { timeout: 600000 }, async (t) => {
  const result = await crashRounds(await temporaryFolder(t), long ? 100 : 20, {}, (server) => server.kill());
  t.diagnostic(`${result.acknowledged} acknowledged, ${result.stored} stored`);
});

test("the same under durability commit: a killed process loses nothing", { timeout: 300000 }, async (t) => {
  await crashRounds(await temporaryFolder(t), long ? 30 : 5, { args: ["--durability", "commit"] }, (server) => server.kill());
});

test("the same under memory: what is lost is told, and no number is used twice", { timeout: 300000 }, async (t) => {
  await crashRounds(
    await temporaryFolder(t),
    long ? 50 : 8,
    { args: ["--durability", "memory"], unknownRanges: true, mayLose: true },
    (server) => server.kill(),
  );
});
