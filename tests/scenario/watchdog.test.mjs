// A worker that hangs: a metric, a red /readyz that names it, another one in
// its place where that can be, else the end of the process.
import assert from "node:assert/strict";
import { test } from "node:test";
import { sample } from "../harness/raw.mjs";
import { Server, startServer, temporaryFolder, until } from "../harness/server.mjs";

const patience = { timeout: 20000 };
const never = ["--watchdog", "300ms", "--watchdog-exit", "0"];

// Over a connection of its own, which may meet a loop that hangs: then again.
async function get(server, path) {
  for (;;) {
    try {
      const answer = await server.fetch(path, {
        headers: { connection: "close" },
        signal: AbortSignal.timeout(1000),
      });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      if (error.name !== "TimeoutError") throw error;
    }
  }
}

const metric = async (server, name, worker) =>
  sample((await get(server, "/metrics")).text, `telltale_worker_${name}`, {
    worker,
  });

async function red(server, worker) {
  const answer = await until(
    async () => {
      const answer = await get(server, "/readyz");
      return answer.status === 503 && answer;
    },
    { ...patience, what: `a red /readyz for ${worker}` },
  );
  const { ready, reason } = JSON.parse(answer.text);
  assert.equal(ready, false);
  assert.ok(reason.includes(`"${worker}"`), reason);
}

const green = (server) =>
  until(async () => (await get(server, "/readyz")).status === 200, {
    ...patience,
    what: "a green /readyz",
  });

const start = (t, args = []) =>
  startServer(t, { control: true, args: ["--loops", "2", ...never, ...args] });

test("a store writer that hangs is told until it goes on", async (t) => {
  const server = await start(t);
  await server.control("fault store.commit.before wait");
  const posted = server.post("/events", { source: "a" });
  await red(server, "store writer");
  assert.equal(await metric(server, "stuck", "store writer"), 1);
  assert.equal(await metric(server, "stalls_total", "store writer"), 1);
  // As much time has passed for those that are idle or work.
  const others = ["store reader 0", "store reader 1", "loop 0", "loop 1"];
  for (const worker of [...others, "thread pool"])
    assert.equal(await metric(server, "stalls_total", worker), 0, worker);
  await server.control("release store.commit.before");
  await green(server);
  assert.equal((await posted).status, 200);
  assert.equal(await metric(server, "stuck", "store writer"), 0);
  assert.match(server.stderr, /store writer has work and makes no progress/);
  assert.match(server.stderr, /store writer goes on after/);
});

test("store readers that hang are replaced, again and again", async (t) => {
  const server = await start(t);
  await server.post("/events", { source: "a" });
  for (const round of [1, 2, 3]) {
    await server.control("fault store.read wait 0 2");
    const asked = [1, 2, 3].map(() => server.json("/events/recent"));
    // Two hang. Nobody is left for the third, whichever that is, until there
    // are others.
    assert.equal((await Promise.race(asked)).length, 1);
    await green(server);
    for (const worker of ["store reader 0", "store reader 1"])
      await until(
        async () =>
          (await metric(server, "restarts_total", worker)) === round,
        { ...patience, what: `${worker} in place of one that hangs` },
      );
    await server.control("release store.read");
    for (const events of await Promise.all(asked))
      assert.equal(events.length, 1);
  }
  assert.match(server.stderr, /store reader 1 is replaced by a new one/);
});

test("a loop that hangs makes the others say so", async (t) => {
  const server = await start(t);
  await server.control("fault loop.1 wait");
  await red(server, "loop 1");
  assert.equal(await metric(server, "stuck", "loop 1"), 1);
  await server.control("release loop.1");
  await green(server);
});

test("a thread pool that hangs is told", async (t) => {
  const server = await start(t);
  await server.control("fault pool.work wait");
  await red(server, "thread pool");
  await server.control("release pool.work");
  await green(server);
});

test("what hangs and cannot be replaced ends the server in time", async (t) => {
  const folder = await temporaryFolder(t);
  const server = new Server(folder, {
    control: true,
    args: ["--watchdog", "200ms", "--watchdog-exit", "1s"],
  });
  await server.start();
  const kept = await (await server.post("/events", { source: "a" })).json();
  await server.control("fault store.commit.before wait");
  const lost = server.post("/events", { source: "b" }).catch(() => null);
  assert.equal((await server.wait(20000)).code, 1);
  assert.equal(await lost, null);
  assert.match(server.stderr, /store writer makes no progress .*watchdog-exit/);
  await server.start();
  const events = await server.json("/events/recent");
  assert.equal(events[0].seq, kept.seq);
  await server.stop();
});
