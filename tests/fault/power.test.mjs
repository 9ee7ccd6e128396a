// Power loss: the test build's SQLite VFS holds back what was not synced and, at
// the cut, lets a random part of it reach the file before the process dies.
// What was acknowledged under `sync` must be there all the same.
import { test } from "node:test";
import { long, temporaryFolder } from "../harness/server.mjs";
import { crashRounds } from "./crash.mjs";

test("acknowledged is stored, once, over many power cuts", { timeout: 600000 }, async (t) => {
  const seed = Date.now() % 1000000;
  t.diagnostic(`seed ${seed}`);
  const cut = async (server) => {
    await server.control("power-cut").catch(() => {}); // it dies before it answers
    await server.wait();
  };
  const result = await crashRounds(
    await temporaryFolder(t),
    long ? 100 : 20,
    { control: true, env: { TELLTALE_TEST_VFS: String(seed) } },
    cut,
  );
  t.diagnostic(`${result.acknowledged} acknowledged, ${result.stored} stored`);
});
