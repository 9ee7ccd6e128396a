// Power loss: the test build's SQLite VFS holds back what was not synced and, at
// the cut, lets a random part of it reach the file before the process dies.
// What was acknowledged under `sync` must be there all the same; under `commit`
// and `memory` what is gone must be told, and no number used twice.
import { test } from "node:test";
import { long, temporaryFolder } from "../harness/server.mjs";
import { crashRounds } from "./crash.mjs";

for (const durability of ["sync", "commit", "memory"]) {
  test(`power cuts under ${durability}`, { timeout: 600000 }, async (t) => {
    const seed = Date.now() % 1000000;
    t.diagnostic(`seed ${seed}`);
    const cut = async (server) => {
      await server.control("power-cut").catch(() => {}); // it dies before it answers
      await server.wait();
    };
    const loses = durability !== "sync";
    const result = await crashRounds(
      await temporaryFolder(t),
      long ? 100 : loses ? 8 : 20,
      {
        control: true,
        args: ["--durability", durability],
        env: { TELLTALE_TEST_VFS: String(seed) },
        unknownRanges: loses,
        mayLose: loses,
      },
      cut,
    );
    t.diagnostic(`${result.acknowledged} acknowledged, ${result.stored} stored`);
  });
}
