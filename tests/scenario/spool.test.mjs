// The emitter and the real server, while either is killed and started again:
// what was emitted is stored once, is in the spool, or is counted as dropped.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import test from "node:test";
import { startCli } from "../harness/cli.mjs";
import { Emitter } from "../harness/emitter.mjs";
import { long, startServer, temporaryFolder, until } from "../harness/server.mjs";

const rounds = long ? 20 : 4;

// The numbers of all events that the server has stored.
async function stored(server) {
  const answer = await server.fetch("/events", { headers: { accept: "application/x-ndjson" } });
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line).data.i);
}

function assertOnce(numbers, count) {
  assert.equal(new Set(numbers).size, numbers.length, "an event is stored twice");
  if (count !== undefined) assert.equal(numbers.length, count);
}

// Kills the server again and again while the program goes on emitting.
async function emitUnderKills(emitter, server) {
  let next = 0;
  const emit = async (times) => {
    for (let i = 0; i < times; i++) {
      await emitter.emit(next, 97);
      next += 97;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  for (let round = 0; round < rounds; round++) {
    await emit(15);
    const killed = server.kill();
    await emit(15);
    await killed;
    await server.start();
  }
  await emit(5);
  return next;
}

test("with a spool, every event is stored once, however often the server is killed", async (t) => {
  const server = await startServer(t);
  const spool = path.join(server.folder, "spool");
  const emitter = new Emitter(t, `${server.url}/events`, spool);
  const count = await emitUnderKills(emitter, server);
  const stats = await emitter.settle();
  assert.equal(stats.sent, count);
  assert.equal(stats.dropped, 0);
  const numbers = await stored(server);
  assertOnce(numbers, count);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), "the order stays");
  assert.deepEqual(await readdir(spool).catch(() => []), []);
  await emitter.free();
});

test("without one, every event is stored once or counted as dropped", async (t) => {
  const server = await startServer(t);
  const emitter = new Emitter(t, `${server.url}/events`);
  const count = await emitUnderKills(emitter, server);
  const stats = await emitter.settle();
  assert.equal(stats.sent + stats.dropped, count);
  const numbers = await stored(server);
  assertOnce(numbers);
  // What was given up may have been stored without an answer.
  assert.ok(numbers.length >= stats.sent && numbers.length <= count);
  assert.equal(stats.dropped - stats.drops.queue_full, stats.drops.retries);
  await emitter.free();
});

test("a program that is killed too loses nothing that was spooled", async (t) => {
  const server = await startServer(t);
  const spool = path.join(server.folder, "spool");
  let next = 0;
  for (let round = 0; round < rounds; round++) {
    const emitter = new Emitter(t, `${server.url}/events`, spool);
    await emitter.emit(next, 500);
    next += 500;
    await server.kill();
    await emitter.emit(next, 500);
    next += 500;
    assert.equal((await emitter.flush(60000)).queued, 0);
    await emitter.kill();
    await server.start();
    const second = new Emitter(t, `${server.url}/events`, spool);
    await second.emit(next, 1);
    next += 1;
    // In the middle of sending what it found.
    await second.flush(1);
    await second.kill();
  }
  const last = new Emitter(t, `${server.url}/events`, spool);
  await last.emit(next, 1);
  await until(
    async () => {
      const stats = await last.settle();
      return stats.spooled === 0 && (await readdir(spool)).length === 0;
    },
    { timeout: 60000, what: "an empty spool" },
  );
  await last.free();
  const numbers = new Set(await stored(server));
  assertOnce(await stored(server));
  // The one that was emitted last may have been in memory when its program was
  // killed; all others had been flushed.
  for (let i = 0; i < next; i++)
    assert.ok(numbers.has(i) || i % 1001 === 1000, `event ${i} is lost`);
});

test("two programs share a spool", async (t) => {
  const server = await startServer(t);
  const spool = path.join(server.folder, "spool");
  await server.kill();
  const emitters = [0, 1].map(() => new Emitter(t, `${server.url}/events`, spool));
  for (let i = 0; i < 20; i++) {
    for (const [which, emitter] of emitters.entries()) {
      await emitter.emit((2 * i + which) * 100, 100);
      if (i % 3 === 0) await emitter.flush(10000);
    }
  }
  await emitters[0].flush(10000);
  assert.equal((await emitters[0].stats()).spooled, 2000);
  await emitters[1].flush(10000);
  await emitters[1].kill(); // its part is the other's now
  await server.start();
  await until(
    async () => {
      await emitters[0].settle();
      return (await readdir(spool)).length === 0;
    },
    { timeout: 60000, what: "an empty spool" },
  );
  assert.equal((await emitters[0].free()).adopted, 2000);
  assertOnce(await stored(server), 4000);
});

test("telltale send keeps what the server does not take", async (t) => {
  const server = await startServer(t);
  const spool = path.join(server.folder, "spool");
  const send = (...more) => startCli(server, ["send", "--spool", spool, "-s", "script", ...more]).done;
  await server.kill();
  const kept = await send("-a", "one", "n:=1.50", "--duration-ms", "7", "-l", "warn", "-c", "cron");
  assert.equal(kept.code, 0);
  assert.match(kept.err, /kept in .*spool \(0 sent, 1 kept\)/);
  assert.deepEqual(JSON.parse((await send("-a", "two", "--json")).out), { sent: 0, spooled: 2, dropped: 0 });
  assert.equal((await readdir(spool)).length, 1);
  await server.start();
  assert.match((await send("-a", "three")).err, /^sent, with 2 that had been kept/);
  const [one, ...others] = await server.json("/events/recent");
  assert.deepEqual(others.map((event) => event.action), ["two", "three"]);
  const { seq, ts, ...rest } = one;
  assert.deepEqual(rest, { source: "script", channel: "cron", action: "one", level: "warn", duration_ms: 7, data: { n: 1.5 } });
  assert.deepEqual(await readdir(spool), []);
  assert.match((await send("--stdin")).err, /--stdin and --spool cannot be given together/);
});

test("what does not fit the spool is counted", async (t) => {
  const server = await startServer(t);
  const spool = path.join(server.folder, "spool");
  await server.kill();
  const emitter = new Emitter(t, `${server.url}/events`, spool, "200000");
  let count = 0;
  let stats = await emitter.stats();
  while (stats.drops.spool_full === 0) {
    stats = await emitter.emit(count, 1000);
    count += 1000;
    await emitter.flush(20);
    assert.ok(count < 1e6);
  }
  await server.start();
  stats = await emitter.settle();
  assert.equal(stats.dropped, stats.drops.spool_full);
  assertOnce(await stored(server), count - stats.dropped);
  const metrics = await (await server.fetch("/metrics")).text();
  assert.match(metrics, new RegExp(`emitter_dropped_total\\{reason="spool_full"\\} ${stats.dropped}\n`));
  await emitter.free();
});

// A server that does to each request what comes next in the script, and after
// it takes everything up to `max` bytes. It knows keys as the real one does.
async function misbehaving(t, script, max = Infinity) {
  const taken = [];
  const keys = new Set();
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const step = body.length > max ? { status: 413 } : (script.shift() ?? { status: 200 });
    if (step.slow) await new Promise((resolve) => setTimeout(resolve, step.slow));
    if ((step.cut === "after" || step.status === 200) && !keys.has(request.headers["idempotency-key"])) {
      keys.add(request.headers["idempotency-key"]);
      taken.push(...JSON.parse(body).map((event) => event.data.i));
    }
    if (step.cut) return request.socket.destroy();
    response.writeHead(step.status, step.headers ?? {});
    response.end("{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}/events`, taken };
}

const scripts = {
  "is slow": [{ slow: 1500, status: 200 }],
  "never answers in time": [{ slow: 4000, status: 200 }],
  "answers 413": [],
  "answers 429 with Retry-After": [{ status: 429, headers: { "retry-after": "1" } }],
  "answers 500": [{ status: 500 }, { status: 500 }],
  "cuts the connection before it takes it": [{ cut: "before" }, { cut: "before" }],
  "cuts the connection after it took it": [{ cut: "after" }, { cut: "after" }],
};

for (const [name, script] of Object.entries(scripts)) {
  for (const spooled of [false, true]) {
    test(`a server that ${name}, ${spooled ? "with" : "without"} a spool`, async (t) => {
      const folder = await temporaryFolder(t);
      const server = await misbehaving(t, [...script], name.includes("413") ? 2000 : undefined);
      const spool = spooled ? [path.join(folder, "spool")] : [];
      const emitter = new Emitter(t, server.url, ...spool);
      await emitter.emit(0, 300);
      // A time limit is kept, whatever the server does.
      assert.ok((await emitter.flush(200)).ms < 3000);
      await emitter.emit(300, 300);
      const stats = await emitter.settle();
      assert.equal(stats.sent, 600);
      assertOnce(server.taken, 600);
      assert.ok((await emitter.free()).ms < 5000);
    });
  }
}

test("free keeps its time while the server hangs, and leaves all in the spool", async (t) => {
  const folder = await temporaryFolder(t);
  const server = await misbehaving(t, Array(20).fill({ slow: 30000, status: 200 }));
  const spool = path.join(folder, "spool");
  const emitter = new Emitter(t, server.url, spool);
  await emitter.emit(0, 300);
  const stats = await emitter.free();
  assert.ok(stats.ms < 10000, `${stats.ms} ms`);
  assert.equal((await readdir(spool)).length, 1);
  assert.doesNotMatch(emitter.stderr, /dropped/);
});
