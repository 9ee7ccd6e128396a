// Clients that stop reading: they cost little, hurt nobody, and are sent away.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { sample } from "../harness/raw.mjs";
import { startServer, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

const patient = { timeout: 60000 };

// Asks and reads nothing, not even the head.
async function ask(t, server, path, headers = "") {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  return socket;
}

async function emit(server, count, bytes = 1000) {
  const event = { source: "s", data: { text: "x".repeat(bytes) } };
  const answer = await server.post("/events/batch", Array(count).fill(event));
  assert.equal(answer.status, 200, await answer.text());
}

async function metric(server, name, labels) {
  return sample(await (await server.fetch("/metrics")).text(), name, labels);
}

const stalled = (server) =>
  metric(server, "telltale_http_stalled_total", { reason: "timeout" });

test("exports that nobody takes give their places back", async (t) => {
  const server = await startServer(t, { args: ["--stall-timeout", "3s"] });
  const accept = { accept: "application/x-ndjson" };
  for (let i = 0; i < 8; i++) await emit(server, 1000);
  for (let i = 0; i < 16; i++)
    await ask(t, server, "/events", `Accept: ${accept.accept}\r\n`);
  await until(async () => {
    const { http } = await server.json("/api/v1/status");
    return http.streams === 16;
  }, patient);
  const refused = await server.fetch("/events", { headers: accept });
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).code, "busy");
  await until(async () => (await stalled(server)) === 16, patient);
  const whole = await server.fetch("/events", { headers: accept });
  assert.equal((await whole.text()).split("\n").length, 8001);
  assert.equal(await metric(server, "telltale_http_stream_bytes"), 0);
});

test("a subscriber that takes nothing is sent away, and misses nothing", async (t) => {
  const server = await startServer(t, { args: ["--stall-timeout", "1s"] });
  const stuck = await openStream(`${server.url}/events/stream`);
  stuck.response.pause();
  let sent = 0;
  // What the kernels of both sides hold has to be full before it stalls.
  for (const end = Date.now() + 20000; (await stalled(server)) === 0; sent += 200) {
    await emit(server, 200, 4000);
    assert.ok(Date.now() < end, "it was never sent away");
  }
  assert.equal((await server.json("/events/stats")).client_count, 0);
  stuck.response.resume();
  await stuck.ended;
  const seen = stuck.events.map((event) => Number(event.id));
  const rest = await openStream(`${server.url}/events/stream`, {
    headers: { "last-event-id": stuck.lastId },
    on: (event) => seen.push(Number(event.id)),
  });
  t.after(() => rest.close());
  await until(() => seen.length >= sent, patient);
  assert.deepEqual(seen, Array.from({ length: sent }, (_, i) => i + 1));
});
