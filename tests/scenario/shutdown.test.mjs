// How it stops: in order, in time, with nothing lost.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { openStream } from "../harness/sse.mjs";
import { Server, startServer, temporaryFolder, until } from "../harness/server.mjs";

test("SIGTERM under load loses nothing that was answered", async (t) => {
  for (const args of [[], ["--durability", "memory"], ["--durability", "commit"]]) {
    const folder = await temporaryFolder(t);
    const server = new Server(folder, { args });
    await server.start();
    const answered = [];
    let running = true;
    const load = Array.from({ length: 8 }, async () => {
      while (running) {
        try {
          const answer = await server.post("/events", { source: "s" });
          if (answer.status === 200) answered.push((await answer.json()).seq);
          else await answer.arrayBuffer();
        } catch {
          return;
        }
      }
    });
    await until(() => answered.length > 200);
    const stopped = server.stop();
    await Promise.all(load);
    running = false;
    assert.equal((await stopped).code, 0);
    await server.start();
    const events = await server.json("/events/recent?n=10000");
    const kept = new Set(events.map((event) => event.seq));
    assert.equal(kept.size, events.length);
    for (const seq of answered) assert.ok(kept.has(seq), `${seq} is gone`);
    await server.stop();
  }
});

test("subscribers are told to come back, and do not hold it up", async (t) => {
  const server = await startServer(t);
  const streams = await Promise.all(
    Array.from({ length: 5 }, () => openStream(`${server.url}/events/stream`)),
  );
  const began = Date.now();
  await server.stop();
  assert.ok(Date.now() - began < 5000);
  await Promise.all(streams.map((stream) => stream.ended));
  for (const stream of streams) assert.ok(stream.retry > 0);
});

test("an idle or half-sent request does not outlast the timeout", async (t) => {
  const server = await startServer(t, { args: ["--shutdown-timeout", "300ms"] });
  const idle = net.connect(server.port, "127.0.0.1");
  const half = net.connect(server.port, "127.0.0.1");
  idle.on("error", () => {});
  half.on("error", () => {});
  await Promise.all([once(idle, "connect"), once(half, "connect")]);
  half.write("POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{");
  await server.post("/events", { source: "s" });
  const began = Date.now();
  await server.stop();
  assert.ok(Date.now() - began < 5000);
  idle.destroy();
  half.destroy();
});

test("a second signal ends it at once", async (t) => {
  const server = await startServer(t, { args: ["--shutdown-timeout", "1m"] });
  const half = net.connect(server.port, "127.0.0.1");
  half.on("error", () => {});
  await once(half, "connect");
  half.write(
    "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
  );
  await once(half, "data"); // now the server waits for the body
  server.child.kill("SIGTERM");
  await until(() => server.stderr.includes("shutting down"));
  server.child.kill("SIGINT");
  const { code } = await server.wait(5000);
  assert.equal(code, 1);
  half.destroy();
});

test("the terminal may go while it finishes", async (t) => {
  const server = await startServer(t);
  const half = net.connect(server.port, "127.0.0.1");
  half.on("error", () => {});
  await once(half, "connect");
  half.write(
    "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n",
  );
  await once(half, "data");
  server.child.kill("SIGINT");
  await until(() => server.stderr.includes("shutting down"));
  server.child.kill("SIGHUP");
  half.write('{"source":"s"}');
  const [answer] = await once(half, "data");
  assert.match(String(answer), /^HTTP\/1.1 200/);
  assert.equal((await server.wait()).code, 0);
});

test("a disk that hangs does not hold it beyond the limit", async (t) => {
  const args = ["--shutdown-timeout", "1s"];
  const server = await startServer(t, { args, control: true });
  await server.control("fault store.commit.before wait");
  const held = server.post("/events", { source: "s" }).catch(() => {});
  await until(async () => {
    const status = await server.json("/api/v1/status");
    return status.in_flight > 0;
  });
  const began = Date.now();
  server.child.kill("SIGTERM");
  await server.wait(10000);
  // One second for all of it, not one for each of its steps.
  assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
  assert.match(server.stderr, /longer than --shutdown-timeout/);
  await held;
});

test("SIGHUP and SIGPIPE do not end it", async (t) => {
  const server = await startServer(t);
  server.child.kill("SIGHUP");
  server.child.kill("SIGPIPE");
  await until(() => server.stderr.includes("SIGHUP"));
  assert.equal((await server.fetch("/healthz")).status, 200);
});
