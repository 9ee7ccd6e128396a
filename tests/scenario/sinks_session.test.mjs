// PATCH /telemetry switches the export of a session on and off while it runs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startReceiver } from "../harness/otlp.mjs";
import { caughtUp, sink, sinkServer } from "../harness/sinks.mjs";
import { startServer, until } from "../harness/server.mjs";

const telemetry = (server, method, body, route = "/telemetry") =>
  server.json(route, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

async function publish(server, type, route = "/telemetry") {
  const answer = await server.post(`${route}/events`, { type, category: "page" });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).seq;
}

const otlp = (enabled) => ({ export: { otlp: { enabled } } });
const types = (receiver) => receiver.records.map(({ event }) => event);
const exporter = (receiver) => [{ name: "otel", type: "otlp", endpoint: receiver.url, sessions: true }];

test("on begins at the tail, off ends it, a restart goes on", { timeout: 120000 }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, exporter(receiver));
  await telemetry(server, "PUT", {});
  await publish(server, "before");
  assert.deepEqual((await server.json("/api/v1/sinks")).items, []);
  await telemetry(server, "PATCH", otlp(true));
  await publish(server, "one"); // at once: it belongs to the export
  await server.post("/events", { source: "relay", action: "not of the session" });
  await until(() => receiver.records.length === 1, { what: "the export" });
  await caughtUp(server, "otel.default");
  await server.kill();
  await receiver.stop();
  await server.start();
  await publish(server, "two");
  await server.kill();
  await receiver.start();
  await server.start();
  await until(() => types(receiver).includes("two"), { what: "what came while the receiver was away" });
  await telemetry(server, "PATCH", otlp(false));
  await until(async () => !(await sink(server, "otel.default")), { what: "the end of the export" });
  await publish(server, "while off");
  await telemetry(server, "PATCH", otlp(true));
  await publish(server, "three");
  await until(() => types(receiver).includes("three"), { what: "the export that is on again" });
  assert.deepEqual([...new Set(types(receiver))], ["one", "two", "three"]);
});

test("sessions are exported by themselves", { timeout: 120000 }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, [], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } });
  const a = "/telemetry/sessions/a";
  const b = "/telemetry/sessions/b";
  await telemetry(server, "PUT", otlp(true), a);
  await telemetry(server, "PUT", otlp(false), b);
  await publish(server, "of b", b);
  await publish(server, "of a", a);
  await until(() => receiver.records.length > 0, { what: "the export" });
  await caughtUp(server, "sessions.a");
  assert.deepEqual(types(receiver), ["of a"]);
});

test("a receiver that hangs does not keep an export that is switched off", { timeout: 60000 }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, exporter(receiver));
  receiver.always = "hang";
  await telemetry(server, "PUT", otlp(true));
  await publish(server, "one");
  await until(() => receiver.requests.length > 0, { what: "the request that hangs" });
  await telemetry(server, "PATCH", otlp(false));
  await until(() => receiver.sockets.size === 0, { timeout: 30000, what: "the end of the connection" });
  assert.equal((await server.json("/telemetry")).config.export.otlp.enabled, false);
});

test("without a destination there is a warning and nothing else", async (t) => {
  const server = await startServer(t);
  await telemetry(server, "PUT", otlp(true));
  await until(() => /otlp export enabled but no destination/.test(server.stderr), { what: "the warning" });
  await publish(server, "one");
});
