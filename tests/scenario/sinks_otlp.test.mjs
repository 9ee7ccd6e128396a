// The otlp sink, beside a receiver that judges with OpenTelemetry's own classes.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { startReceiver } from "../harness/otlp.mjs";
import { caughtUp, postEvents, sink, sinkServer } from "../harness/sinks.mjs";
import { long, temporaryFolder, until } from "../harness/server.mjs";

const entryFor = (receiver, more = {}) => ({ name: "otel", type: "otlp", endpoint: receiver.url, ...more });

// Every seq is there, and what is there twice came in requests whose outcome the
// server could not know.
function complete(receiver, seqs, doubtful = 0) {
  const there = receiver.seqs();
  const distinct = new Set(there);
  assert.deepEqual(seqs.filter((seq) => !distinct.has(seq)), [], "these are missing");
  assert.ok(there.length - distinct.size <= doubtful, `${there.length - distinct.size} came twice`);
}

test("every field of an event arrives where the mapping says", async (t) => {
  const receiver = await startReceiver(t);
  const folder = await temporaryFolder(t);
  const token = path.join(folder, "token");
  await writeFile(token, "first\n");
  const server = await sinkServer(
    t,
    [entryFor(receiver, { token_file: token, service_name: "shop", resource_attributes: "zone=eu%20west", compression: "gzip" })],
    { folder, env: { OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=blue" } },
  );
  const posted = await server.json("/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ts: "2026-01-02T03:04:05.000006Z",
      source: "api",
      source_event: "handler",
      channel: "network",
      action: "request_failed",
      agent_id: "a7",
      duration_ms: 12,
      metadata: { region: "eu" },
      data: { method: "GET", url: "https://shop.example/x", status: 502, half: 0.5, whole: 3.0, list: [1, "two", null, true] },
    }),
  });
  await server.post("/events", { source: "api", level: "fatal", action: "end" });
  await writeFile(token, "second\n");
  await caughtUp(server, "otel");
  const [first, second] = receiver.records;
  assert.equal(first.time, Date.parse("2026-01-02T03:04:05Z") * 1000 + 6);
  assert.ok(Math.abs(first.observed / 1000 - Date.now()) < 60000);
  assert.equal(first.event, "request_failed");
  assert.equal(first.severityText, "warn");
  assert.equal(first.severity, 13);
  assert.deepEqual(first.body, {
    method: "GET",
    url: "https://shop.example/x",
    status: 502,
    half: 0.5,
    whole: 3,
    list: [1, "two", undefined, true],
  });
  assert.deepEqual(first.resource, { "service.name": "shop", zone: "eu west" });
  assert.ok(first.scope.name);
  const { attributes } = first;
  const seq = posted.seq ?? posted.first_seq;
  assert.equal(attributes["telltale.event.seq"], seq);
  assert.equal(attributes["telltale.event.type"], "request_failed");
  assert.equal(attributes["telltale.event.category"], "network");
  assert.equal(attributes["telltale.source.kind"], "api");
  assert.equal(attributes["telltale.source.event"], "handler");
  assert.equal(attributes["telltale.region"], "eu");
  assert.equal(attributes["telltale.agent_id"], "a7");
  assert.equal(attributes["http.request.method"], "GET");
  assert.equal(attributes["url.full"], "https://shop.example/x");
  assert.equal(attributes["http.response.status_code"], 502);
  assert.equal(second.severity, 21);
  const { headers, url } = receiver.requests[0];
  assert.equal(url, "/v1/logs");
  assert.match(headers.authorization, /^Bearer (first|second)$/);
  assert.equal(headers["x-tenant"], "blue");
  assert.equal(headers["content-encoding"], "gzip");
  // Neither the log nor any answer tells a secret.
  const listed = JSON.stringify(await sink(server, "otel"));
  for (const secret of ["first", "second", "blue"]) assert.doesNotMatch(server.stderr + listed, new RegExp(`\\b${secret}\\b`));
});

test("an exporter begins at the tail and goes on where it was", async (t) => {
  const receiver = await startReceiver(t);
  const folder = await temporaryFolder(t);
  const server = await sinkServer(t, [], { folder });
  await postEvents(server, 10);
  await server.stop();
  await writeFile(server.configFile, `sinks: [${JSON.stringify(entryFor(receiver))}]`);
  await server.start();
  const seqs = await postEvents(server, 450);
  await caughtUp(server, "otel");
  await server.stop();
  await receiver.stop();
  await server.start();
  seqs.push(...(await postEvents(server, 10)));
  // Killed before it ever reached the receiver: nothing is forgotten.
  await server.kill();
  await receiver.start();
  await server.start();
  await caughtUp(server, "otel");
  assert.deepEqual(receiver.seqs(), seqs);
  assert.ok(receiver.requests.every(({ count }) => count <= 200));
});

test("500, 429, 413, hanging up and partial success: each seq is there", { timeout: 120000 }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, [entryFor(receiver)]);
  const slow = { status: 429, headers: { "retry-after": "1" } };
  receiver.answers = [500, "cut before", slow, 413, 503, "cut after", 413, 401];
  const seqs = await postEvents(server, 400);
  await caughtUp(server, "otel");
  // Taken, and then cut: only the server that took it knows.
  const cut = receiver.requests.filter(({ script }) => script === "cut after");
  complete(receiver, seqs, cut.reduce((sum, { count }) => sum + count, 0));
  const at429 = receiver.requests.findIndex(({ script }) => script === slow);
  assert.ok(at429 >= 0);
  const halved = receiver.requests.findIndex(({ script }) => script === 413);
  assert.ok(receiver.requests[halved + 1].count <= Math.ceil(receiver.requests[halved].count / 2));
  // A cut on a connection that was used before is tried again without a word.
  const before = await sink(server, "otel");
  assert.ok(before.errors >= 4 && before.last_error);
  receiver.answers = [{ reject: 2 }];
  await postEvents(server, 5);
  const state = await caughtUp(server, "otel");
  assert.equal(state.rejected - before.rejected, 2);
});

test("what is refused for good is a dead letter, and can be sent again", async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, [entryFor(receiver)]);
  receiver.always = 400;
  const seqs = await postEvents(server, 3);
  const state = await caughtUp(server, "otel");
  assert.equal(state.dead_letters, 3);
  const file = path.join(server.folder, "telltale.db.otel.dead");
  const letters = (await readFile(file, "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(letters.map(({ seq }) => seq), seqs);
  assert.match(letters[0].reason, /400/);
  const still = await cli(server, ["sinks", "requeue", "otel"]);
  assert.deepEqual([still.code, still.out], [0, "otel: 0 sent, 3 left\n"]);
  receiver.always = 200;
  const sent = await cli(server, ["sinks", "requeue", "otel", "--json"]);
  assert.equal(sent.code, 0, sent.err);
  assert.deepEqual(JSON.parse(sent.out), { state: "done", sent: 3, left: 0 });
  complete(receiver, seqs);
  const unknown = await cli(server, ["sinks", "requeue", "other"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /no sink is called other/);
  const list = await cli(server, ["sinks"]);
  assert.match(list.out, /^otel +otlp +running +\d+ +0 +\d+ +.*400/m);
});

test("a receiver that is down for a while: what came meanwhile follows", { timeout: 120000 }, async (t) => {
  const receiver = await startReceiver(t);
  // The ring holds a part of it, the store the rest.
  const server = await sinkServer(t, [entryFor(receiver)], { args: ["--ring-entries", "64"] });
  await receiver.stop();
  const seqs = await postEvents(server, 1000);
  await until(async () => (await sink(server, "otel")).state === "failing");
  seqs.push(...(await postEvents(server, 500)));
  await receiver.start();
  await caughtUp(server, "otel");
  complete(receiver, seqs);
  assert.equal((await sink(server, "otel")).missed, undefined);
});

test("a receiver that hangs delays nobody", { timeout: 120000 }, async (t) => {
  const receiver = await startReceiver(t);
  const folder = await temporaryFolder(t);
  const file = { name: "file", type: "jsonl", path: path.join(folder, "out.jsonl") };
  const server = await sinkServer(t, [entryFor(receiver), file], { folder, args: ["--shutdown-timeout", "4s"] });
  receiver.always = "hang";
  const seqs = await postEvents(server, 50);
  await until(() => receiver.requests.length > 0, { what: "the request that hangs" });
  seqs.push(...(await postEvents(server, 50)));
  const state = await caughtUp(server, "file");
  assert.equal(state.appended, 100);
  const result = await server.stop({ timeout: 6000 });
  assert.equal(result.code, 0);
  receiver.always = 200;
  await server.start();
  await caughtUp(server, "otel");
  complete(receiver, seqs);
});

test("kill -9 during export, again and again: nothing is missing", { timeout: 300000 }, async (t) => {
  const receiver = await startReceiver(t);
  const server = await sinkServer(t, [entryFor(receiver)]);
  const seqs = [];
  for (let round = 0; round < (long ? 30 : 5); round++) {
    const some = receiver.records.length;
    seqs.push(...(await postEvents(server, 600)));
    await until(() => receiver.records.length > some, { timeout: 30000, what: "an export" });
    await server.kill();
    await server.start();
  }
  await caughtUp(server, "otel");
  // What was sent since the position was last kept comes again.
  complete(receiver, seqs, receiver.records.length);
});
