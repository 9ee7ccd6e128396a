// What the server counts, in the backends that its configuration names.
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { startStatsd } from "../harness/metrics.mjs";
import { startReceiver } from "../harness/otlp.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";

// A server with these entries under `metrics:`.
async function countingServer(t, entries) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, `metrics: ${JSON.stringify(entries)}\n`);
  const server = await startServer(t, { folder, args: ["--config", file] });
  server.configFile = file;
  return server;
}

async function postSome(server, count) {
  for (let i = 0; i < count; i++) await server.post("/events", { source: "a", action: "b" });
  await server.post("/events", { action: "no source" });
}

test("a statsd daemon gets counters and gauges", { timeout: 120000 }, async (t) => {
  const statsd = await startStatsd(t);
  const server = await countingServer(t, [{ type: "statsd", address: statsd.address, interval: "100ms" }]);
  await postSome(server, 5);
  const has = (command, line) =>
    until(async () => (await statsd.ask(command)).includes(line), { timeout: 60000, what: `${line} in ${command}` });
  await has("counters", "'telltale.events_received': 6");
  await has("counters", "'telltale.events_rejected.invalid': 1");
  await has("gauges", "'telltale.store_head': 5");
  assert.match(await statsd.ask("counters"), /'statsd.bad_lines_seen': 0/);
});

test("what came last is sent at the end, with tags", { timeout: 60000 }, async (t) => {
  const socket = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => socket.close());
  await once(socket, "listening");
  const lines = [];
  socket.on("message", (packet) => {
    assert.ok(packet.length <= 1432);
    lines.push(...String(packet).split("\n"));
  });
  const address = `udp://127.0.0.1:${socket.address().port}`;
  const server = await countingServer(t, [{ type: "statsd", address, prefix: "shop.", tags: "dogstatsd", interval: "1h" }]);
  await postSome(server, 2);
  await server.stop();
  await until(() => lines.includes("shop.events_received:3|c"), { what: "the last packet" });
  assert.ok(lines.includes("shop.events_rejected:1|c|#reason:invalid"), lines.join("\n"));
  assert.ok(lines.includes("shop.http_requests:2|c|#route:events,status:2xx"), lines.join("\n"));
});

test("OTLP, as OpenTelemetry's own classes read it", { timeout: 60000 }, async (t) => {
  const receiver = await startReceiver(t);
  receiver.answers = [503, "cut before"];
  const server = await countingServer(t, [
    { type: "otlp", endpoint: receiver.url, interval: "100ms", service_name: "shop", compression: "gzip", headers: "x-tenant=blue" },
  ]);
  await postSome(server, 4);
  const last = await until(
    () => receiver.metrics.find(({ instruments }) => Number(instruments["telltale.events_received"].sum.dataPoints[0].asInt) === 5),
    { timeout: 30000, what: "the counter" },
  );
  assert.equal(last.resource["service.name"], "shop");
  assert.equal(receiver.requests[0].headers["x-tenant"], "blue");
  const { "telltale.events_received": received, "telltale.events_rejected": rejected, "telltale.store": store } = last.instruments;
  assert.equal(received.sum.isMonotonic, true);
  assert.equal(received.sum.aggregationTemporality, 2);
  const invalid = rejected.sum.dataPoints.find(({ attributes }) => attributes[0].value.stringValue === "invalid");
  assert.equal(invalid.attributes[0].key, "reason");
  assert.equal(Number(invalid.asInt), 1);
  assert.equal(store.unit, "By");
  assert.ok(store.gauge.dataPoints[0].asDouble > 0);
  const starts = new Set(receiver.metrics.map(({ instruments }) => String(instruments["telltale.events_stored"].sum.dataPoints[0].startTimeUnixNano)));
  assert.equal(starts.size, 1);
  // What the exporter met is counted where Prometheus looks.
  const text = await (await server.fetch("/metrics")).text();
  assert.match(text, /telltale_metrics_export_failures_total\{backend="otlp",reason="busy"\} 1/);
});

test("lines in the server's log, of the instruments that are named", { timeout: 60000 }, async (t) => {
  const server = await countingServer(t, [{ type: "log", only: ["events_received", "config_*"] }, { type: "log" }]);
  await postSome(server, 2);
  await server.fetch("/metrics");
  await until(() => server.stderr.includes("[metrics] event=events_received n=3"), { what: "the line" });
  assert.match(server.stderr, /module=metrics msg="\[metrics\] gauge=config_last_reload_ok value=1\.00"/);
  assert.doesNotMatch(server.stderr, /event=store_groups/);
});

test("other metrics need a restart, and say so", { timeout: 60000 }, async (t) => {
  const server = await countingServer(t, [{ type: "log" }]);
  const check = await cli(null, ["config", "check", "--config", server.configFile]);
  assert.match(check.out, /^metrics\.type +log +\(.*telltale\.yaml:1\)$/m);
  assert.match(check.out, /^metrics\.only +outbox_\*,/m);
  assert.doesNotMatch(check.out, /^metrics\.(tags|interval)/m);
  await writeFile(server.configFile, `metrics: ${JSON.stringify([{ type: "log", only: ["outbox_*"] }])}\n`);
  process.kill(server.pid, "SIGHUP");
  await until(() => /need a restart: metrics/.test(server.stderr), { what: "the warning" });
});

test("a backend whose other side hangs delays no shutdown", { timeout: 60000 }, async (t) => {
  const receiver = await startReceiver(t);
  receiver.always = "hang";
  const server = await countingServer(t, [{ type: "otlp", endpoint: receiver.url, interval: "50ms" }]);
  await until(() => receiver.requests.length > 0, { what: "the request that hangs" });
  await postSome(server, 1);
  await server.stop(); // with status 0: it was not cut off
});
