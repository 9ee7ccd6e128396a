// /openapi.json is an OpenAPI document, and what the server really answers is
// what the document says: each operation is asked, each status that it names is
// provoked, each answer is held against its schema.
import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";
import net from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { exchange, request } from "../harness/raw.mjs";
import { Receiver, allowLoopback } from "../harness/receiver.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";
import { sinkServer } from "../harness/sinks.mjs";

const tokens = {
  TELLTALE_TOKEN_INGEST: `tt_${"i".repeat(43)}`,
  TELLTALE_TOKEN_READ: `tt_${"r".repeat(43)}`,
  TELLTALE_TOKEN_ADMIN: `tt_${"a".repeat(43)}`,
};
const bearer = (scope) => ({
  authorization: `Bearer ${tokens[`TELLTALE_TOKEN_${scope.toUpperCase()}`]}`,
});

const fleetId = "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d";
const fleetPath = `/v1/update/${fleetId}`;
const fleetUpdate = (data, timestamp = "2026-01-02T03:04:05Z") => ({
  path: fleetPath,
  body: JSON.stringify({ instance_id: fleetId, timestamp, data }),
});

// Objects may have the members that are described, and no others.
function strict(node) {
  if (Array.isArray(node)) return node.map(strict);
  if (node === null || typeof node !== "object") return node;
  const copy = Object.fromEntries(
    Object.entries(node).map(([name, value]) => [name, strict(value)]),
  );
  if (copy.type === "object" && copy.properties)
    copy.additionalProperties ??= false;
  return copy;
}

const escaped = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1");

// The document of a server, with its operations and what was seen of them.
const seen = new Set();
let known; // the operations
class Document {
  constructor(json) {
    this.json = json;
    this.ajv = new Ajv({ strict: false, allErrors: true });
    formats(this.ajv);
    this.ajv.addSchema(strict(json), "api");
    this.operations = [];
    for (const [path, methods] of Object.entries(json.paths))
      for (const [method, about] of Object.entries(methods))
        this.operations.push({ path, method, id: about.operationId, about });
    known = this.operations;
  }

  operation(id) {
    const found = this.operations.find((operation) => operation.id === id);
    assert.ok(found, `${id} is not an operation of the document`);
    return found;
  }

  // The answer is one that the document allows.
  check({ id, path, method, about }, answer) {
    const where = `${method} ${path}: ${answer.status} ${answer.text}`;
    let at = `api#/paths/${escaped(path)}/${method}/responses/${answer.status}`;
    let response = about.responses[answer.status];
    if (!response) {
      at = "api#/components/responses/Error";
      response = this.json.components.responses.Error;
    } else {
      seen.add(`${id} ${answer.status}`);
    }
    for (const name of Object.keys(response.headers ?? {})) {
      const value = answer.headers[name.toLowerCase()];
      const { schema } = this.json.components.headers[name];
      const number = schema.type === "integer" ? Number(value) : value;
      if (value !== undefined)
        this.matches(schema, number, `${where}: header ${name}`);
    }
    if (!response.content) {
      assert.equal(answer.text, "", where);
      return;
    }
    const type = answer.headers["content-type"]?.split(";")[0];
    const content = response.content[type] ?? response.content["*/*"];
    assert.ok(content, `${where}: ${type} is not described`);
    if (type !== "application/json") return;
    const name = response.content[type] ? type : "*/*";
    const $ref = `${at}/content/${encodeURIComponent(escaped(name))}/schema`;
    this.matches({ $ref }, JSON.parse(answer.text), where);
  }

  matches(schema, value, where) {
    const good = this.ajv.validate(schema, value);
    assert.ok(good, `${where}: ${this.ajv.errorsText()}`);
  }
}

async function documentOf(server, headers = {}) {
  const answer = await server.fetch("/openapi.json", { headers });
  assert.equal(answer.status, 200);
  return new Document(await answer.json());
}

const filled = (path) => path.replaceAll(/\{[^}]+\}/g, "none");

// A request of an operation; streams are cut off after their head.
async function ask(server, document, operation, more = {}) {
  const { path = filled(operation.path), query = "", status } = more;
  const answer = await head(server, operation, { ...more, path: path + query });
  if (status)
    assert.equal(answer.status, status, `${operation.id}: ${answer.text}`);
  document.check(operation, answer);
  return answer;
}

async function head(server, operation, { path, headers = {}, body }) {
  const method = operation.method.toUpperCase();
  const is = operation.about.responses[200]?.content?.["text/event-stream"];
  if (!is) return request(server, { method, path, headers, body });
  const lines = Object.entries({ host: "localhost", ...headers });
  const text = await exchange(
    server,
    `${method} ${path} HTTP/1.1\r\n` +
      lines.map(([name, value]) => `${name}: ${value}\r\n`).join("") +
      "connection: close\r\n\r\n",
    (text) => /^HTTP\/1.1 200[^]*\r\n\r\n/.test(text),
  );
  const [first, ...fields] = text.split("\r\n\r\n")[0].split("\r\n");
  return {
    status: Number(first.split(" ")[1]),
    headers: Object.fromEntries(
      fields.map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 2),
      ]),
    ),
    text: text.slice(text.indexOf("\r\n\r\n") + 4),
  };
}

const json = (value, headers = {}) => ({
  body: JSON.stringify(value),
  headers: { "content-type": "application/json", ...headers },
});
const csv = { headers: { accept: "text/csv" } };
const ndjson = { headers: { accept: "application/x-ndjson" } };

// What each operation is asked, and what it answers: [status, request], with
// `query` behind the path. Parameters that are described with a code, and what
// follows from scope and body, are tried for every operation by themselves.
const key = { "idempotency-key": "one" };
const calls = {
  publish: [
    [201, json({ type: "order.paid", id: "evt_a", data: { rows: 1 }, labels: ["vip"] })],
    [200, json({ type: "order.paid", id: "evt_a", data: { rows: 1 }, labels: ["vip"] })],
    [422, json({ type: "order.paid", id: "evt_a" })],
    [201, json({ type: "order.paid" }, key)],
    [201, json({ type: "order.paid" }, key)],
    [400, json({ type: "Order" })],
    [400, json({ type: "a" }, { "idempotency-key": "\t" })],
    [413, json({ type: "a", data: "x".repeat(1000000) })],
  ],
  events: [
    [200, json({ source: "a", level: "error", duration_ms: 5 }, key)],
    [200, json({ source: "a", level: "error", duration_ms: 5 }, key)],
    [422, json({ source: "b" }, key)],
    [200, json({ source: "a", channel: "c", action: "x", data: { b: [1] } })],
    [200, json({ source: "a", metadata: { k: "v" }, ts: "2026-01-02T03:04:05Z" })],
    [200, json({ source: "big", data: { text: "x".repeat(1000001) } })],
    [400, json({ action: "without a source" })],
    [400, json({ source: "a" }, { "idempotency-key": "\t" })],
  ],
  events_batch: [
    [200, json([{ source: "a" }, { source: "b", agent_id: "z" }], key)],
    [422, json([{ source: "b" }], key)],
    [200, json([])],
    [400, json([{ source: "a" }, {}])],
    [400, json([], { "idempotency-key": "\t" })],
  ],
  events_list: [
    [200, { query: "?limit=2" }],
    [200, { query: "?view=envelope&level=%3E%3Dwarn&include=log" }],
    [200, csv],
    [200, ndjson],
    [400, { ...csv, query: "?cursor=1" }],
  ],
  events_stream: [
    [200, {}],
    [200, { query: "?replay=all&view=envelope" }],
    [400, { headers: { "last-event-id": "nonsense" } }],
  ],
  events_recent: [[200, { query: "?n=3" }], [200, { query: "?n=all" }]],
  events_histogram: [
    [200, {}],
    [200, { query: "?buckets=7&by=level" }],
    [400, { query: "?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z" }],
  ],
  events_aggregate: [
    [200, { query: "?by=source" }],
    [200, { query: "?by=action" }],
    [400, {}],
  ],
  events_stats: [[200, {}]],
  events_rate: [[200, {}], [400, { query: "?minutes=61" }]],
  events_channels: [[200, {}]],
  log: [
    [200, json({ level: "warn", logger: "db", message: "m", fields: { a: 1 } })],
    [200, json({ level: "debug" }, key)],
    [422, json({ level: "info" }, key)],
    [400, json({ message: 5 })],
    [400, json({}, { "idempotency-key": "\t" })],
  ],
  log_batch: [
    [200, json([{ message: "m" }, { message: "n", caller: "a.c:1" }], key)],
    [422, json([{ message: "o" }], key)],
    [400, json([{ message: 5 }])],
    [400, json([], { "idempotency-key": "\t" })],
  ],
  logs_stream: [
    [200, { query: "?replay=all" }],
    [400, { headers: { "last-event-id": "nonsense" } }],
  ],
  logs_recent: [[200, {}], [200, { query: "?n=1" }]],
  logs_stats: [[200, {}]],
  logs_rate: [[200, {}], [400, { query: "?minutes=61" }]],
  healthz: [[200, {}]],
  readyz: [[200, {}]],
  metrics: [
    [200, {}],
    [200, { headers: { accept: "application/openmetrics-text" } }],
  ],
  openapi: [[200, {}]],
  status: [[200, {}]],
  login: [
    [200, json({ token: tokens.TELLTALE_TOKEN_READ })],
    [400, json({})],
    [401, json({ token: "tt_wrong" })],
  ],
  login_state: [[200, {}]],
  logout: [[204, {}]],
  token_list: [[200, {}]],
  token_create: [
    [201, json({ name: "ci", scopes: ["ingest", "read"] }, bearer("admin"))],
    [201, json({ name: "ci", scopes: "read" })],
    [400, json([])],
    [400, json({ name: "ci", scope: "read" })],
    [400, json({ name: "", scopes: [] })],
  ],
  token_revoke: [[404, {}]],
  telemetry_get: [[404, {}]],
  telemetry_put: [
    [400, json([])],
    [400, json({ browser: { consol: {} } })],
    [400, { body: "{" }],
    [201, {}],
    [200, json({ browser: { page: { enabled: false } } })],
  ],
  telemetry_patch: [
    [200, json({ export: { otlp: { enabled: false } } })],
    [400, json({ browser: 1 })],
  ],
  telemetry_events: [
    [200, json({ type: "a", category: "api", source: { kind: "cdp" } }, key)],
    [200, json({ type: "a", category: "api", source: { kind: "cdp" } }, key)],
    [422, json({ type: "b", category: "api" }, key)],
    [204, json({ type: "a", category: "page" })],
    [400, json({ category: "api" })],
    [400, json({}, { "idempotency-key": "\t" })],
  ],
  telemetry_stream: [
    [200, {}],
    [200, { query: "?replay=all&view=relay" }],
    [400, { headers: { "last-event-id": "nonsense" } }],
  ],
  sessions_list: [[200, {}]],
  session_get: [
    [404, {}],
    [400, { path: "/telemetry/sessions/No" }],
  ],
  session_put: [
    [400, json([])],
    [201, {}],
    [200, json({ browser: { page: { enabled: false } } })],
  ],
  session_patch: [
    [404, { path: "/telemetry/sessions/other" }],
    [200, json({ export: {} })],
    [400, json({ browser: 1 })],
  ],
  session_events: [
    [200, json({ type: "a", category: "api" }, key)],
    [422, json({ type: "b", category: "api" }, key)],
    [204, json({ type: "a", category: "page" })],
    [400, json({ category: "api" })],
    [400, json({}, { "idempotency-key": "\t" })],
  ],
  session_stream: [
    [200, {}],
    [200, { query: "?replay=all&view=relay" }],
    [400, { headers: { "last-event-id": "nonsense" } }],
  ],
  backup_start: [[403, json({ path: "/tmp/none" })]],
  backup_state: [[403, {}]],
  backup_cancel: [[403, {}]],
  fleet_update: [
    [200, fleetUpdate({ version: "1.2", os: [{ value: "linux", count: 1 }] })],
    [400, { path: fleetPath, body: "{" }],
    [429, fleetUpdate({}, "2026-01-02T03:04:06Z")],
  ],
  fleet_control: [[200, {}]],
  fleet_control_put: [
    [200, json([{ match: { where: { version: "1.*" } }, next_update: "6h" }])],
    [400, json([{ stopp: true }])],
    [412, json([], { "if-match": '"other"' })],
  ],
  fleet_preview: [
    [200, json([{ match: { share: 0.5 }, disable: ["os"] }])],
    [400, json({})],
  ],
  fleet_instances_list: [
    [200, {}],
    [400, { query: "?where=version" }],
  ],
  fleet_instance_show: [[404, {}]],
  fleet_updates_list: [
    [404, {}],
    [400, { query: "?limit=0" }],
  ],
  fleet_keys_list: [
    [200, {}],
    [400, { query: "?cursor=none" }],
  ],
  fleet_aggregate_show: [
    [200, {}],
    [200, { query: "?by=version&step=1d" }],
    [400, { query: "?step=1m" }],
  ],
  webhook_create: [
    [201, json({ url: "https://a.example/", events: ["*"] }, key)],
    [422, json({ url: "https://b.example/", events: ["*"] }, key)],
    [400, json({ url: "https://b.example/" })],
    [400, json({ urls: 1 })],
    [400, json({}, { "idempotency-key": "\t" })],
    [400, { body: "{" }],
  ],
  webhook_list: [[200, {}], [200, { query: "?limit=1" }]],
  webhook_match: [
    [200, json({ type: "order.paid" })],
    [400, json({})],
    [400, json({ typ: 1 })],
  ],
  webhook_show: [[404, {}]],
  webhook_update: [[404, json({})], [400, json({ events: [] })]],
  webhook_delete: [[404, {}]],
  webhook_rotate: [[404, {}], [400, { headers: { "idempotency-key": "\t" } }]],
  webhook_test: [
    [404, json({})],
    [400, json({ event: 1 })],
    [400, json({}, { "idempotency-key": "\t" })],
  ],
  delivery_list: [[404, {}]],
  delivery_show: [[404, {}]],
  since_start: [[400, json({ since: "then" })]],
  since_state: [[404, {}]],
  since_cancel: [[404, {}]],
  event_list: [[200, {}]],
  event_show: [[404, {}]],
  event_explain: [[404, {}]],
  event_redeliver: [
    [404, json({})],
    [400, json({ webhook_id: 1 })],
    [400, json({}, { "idempotency-key": "\t" })],
  ],
  janitor_now: [[200, {}]],
  sinks_list: [[200, {}]],
  sinks_requeue: [[404, {}]],
};

test("the document is valid OpenAPI 3.1", async (t) => {
  const server = await startServer(t);
  const { json } = await documentOf(server);
  assert.match(json.openapi, /^3\.1\./);
  const result = await new Validator().validate(json);
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  // Paths that are served are described, by whichever part.
  for (const path of ["/", "/events", "/healthz", "/openapi.json"])
    assert.ok(json.paths[path]?.get, path);
});

test("operations answer what the document says", async (t) => {
  const server = await startServer(t, { env: tokens });
  const document = await documentOf(server, bearer("admin"));
  for (const operation of document.operations) {
    const page = operation.about.tags[0] === "page";
    const asked = page ? [[200, {}]] : calls[operation.id];
    assert.ok(asked, `${operation.id} is not tried: add it to calls`);
    for (const [status, more] of asked)
      await ask(server, document, operation, {
        ...more,
        status,
        headers: { ...bearer("admin"), ...more.headers },
      });
  }
  const made = await server.post(
    "/api/v1/tokens",
    { name: "short", scopes: "read" },
    bearer("admin"),
  );
  const path = `/api/v1/tokens/${(await made.json()).id}`;
  const revoke = document.operation("token_revoke");
  await ask(server, document, revoke, {
    path,
    headers: bearer("admin"),
    status: 204,
  });
});

test("wrong values of parameters get the codes that are described", async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  for (const operation of document.operations) {
    const codes = new Set();
    const parameters = operation.about.parameters ?? [];
    const needed = parameters
      .filter((parameter) => parameter.required && parameter.in === "query")
      .map(({ name, schema }) => `&${name}=${schema.enum[0]}`)
      .join("");
    for (const { name, in: place, schema } of parameters)
      if (place === "query") {
        const long = "x".repeat((schema.maxLength ?? 0) + 1);
        for (const wrong of schema.maxLength ? [long] : ["?", ">=", "%00,"]) {
          const query = `?${name}=${encodeURIComponent(wrong)}${needed}`;
          const answer = await ask(server, document, operation, { query });
          if (answer.status === 400) codes.add(JSON.parse(answer.text).code);
        }
      }
    const path = operation.path.replaceAll(/\{[^}]+\}/g, "No%20Name");
    if (operation.method === "get" && path !== operation.path) {
      const answer = await ask(server, document, operation, { path });
      if (answer.status === 400) codes.add(JSON.parse(answer.text).code);
    }
    const schema = operation.about.responses[400];
    const all = schema?.content["application/json"].schema.allOf[1];
    for (const code of all?.properties.code.enum ?? [])
      if (code.startsWith("invalid_") && operation.method === "get")
        assert.ok(
          codes.has(code) || code === "invalid_parameter",
          `${operation.id}: no parameter gave ${code}`,
        );
  }
});

test("what follows from scope, body and origin is described", async (t) => {
  const server = await startServer(t, { env: tokens });
  const document = await documentOf(server, bearer("admin"));
  for (const operation of document.operations) {
    const scope = operation.about.security[0]?.token[0];
    const headers = scope ? bearer(scope) : {};
    const tried = (status, more) =>
      ask(server, document, operation, { status, headers, ...more });
    await tried(421, { headers: { host: "rebound.example" } });
    if (scope) {
      await tried(401, { headers: {} });
      await tried(403, { headers: bearer(scope === "read" ? "ingest" : "read") });
    }
    if (operation.method !== "get")
      await tried(403, { headers: { ...headers, origin: "https://a.example" } });
    if (!operation.about.requestBody) continue;
    const encoding = (name) => ({ ...headers, "content-encoding": name });
    await tried(400, { headers: encoding("gzip"), body: "not gzip" });
    await tried(415, { headers: encoding("br"), body: "x" });
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    await tried(413, { headers: encoding("gzip"), body: bomb });
  }
});

test("a server without memory for requests says so everywhere", async (t) => {
  const server = await startServer(t, {
    args: ["--budget", "1MiB", "--loops", "1"],
  });
  const document = await documentOf(server);
  // Bodies that are announced and do not come hold their room.
  const claim = (bytes) => {
    const socket = net.connect(server.port, "127.0.0.1");
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.write(
      "POST /events HTTP/1.1\r\nHost: localhost\r\n" +
        `Content-Length: ${bytes}\r\n\r\n`,
    );
  };
  claim(1000000);
  await until(
    async () => {
      const full = (await server.fetch("/healthz")).status === 503;
      if (!full) claim(2000);
      return full;
    },
    { what: "a full budget" },
  );
  for (const operation of document.operations)
    await ask(server, document, operation, { status: 503 });
});

test("a store that cannot write is told by ingest, tokens and readiness", async (t) => {
  const server = await startServer(t, { control: true });
  const document = await documentOf(server);
  await server.control("fault store.write fail ENOSPC");
  const event = json({ source: "a" });
  for (const id of ["events", "token_create"])
    await ask(server, document, document.operation(id), {
      ...(id === "events" ? event : json({ name: "a", scopes: "read" })),
      status: 503,
    });
  const ready = await ask(server, document, document.operation("readyz"), {
    status: 503,
  });
  assert.equal(JSON.parse(ready.text).ready, false);
});

test("a key whose first request is not answered yet is in flight", async (t) => {
  const server = await startServer(t, { control: true });
  const document = await documentOf(server);
  const line = { message: "m", level: "error" };
  const event = { type: "a", category: "api" };
  await server.fetch("/telemetry", { method: "PUT" });
  await server.fetch("/telemetry/sessions/none", { method: "PUT" });
  const bodies = {
    telemetry_events: event,
    session_events: event,
    events: { source: "a" },
    events_batch: [{ source: "a" }],
    log: line,
    log_batch: [line],
  };
  for (const [id, body] of Object.entries(bodies)) {
    const operation = document.operation(id);
    const more = json(body, { "idempotency-key": "slow" });
    await server.control("fault store.commit.before wait");
    const hits = Number(await server.control("hits store.commit.before"));
    const first = ask(server, document, operation, { ...more, status: 200 });
    await until(
      async () =>
        Number(await server.control("hits store.commit.before")) > hits,
    );
    await ask(server, document, operation, { ...more, status: 409 });
    await server.control("release store.commit.before");
    await first;
  }
});

test("backups over the admin socket answer as described", async (t) => {
  const folder = await temporaryFolder(t);
  const server = await startServer(t, { folder, control: true });
  const document = await documentOf(server);
  const socket = { socketPath: path.join(folder, "telltale.db.sock") };
  const tried = (id, status, more) =>
    ask(socket, document, document.operation(id), { ...more, status });
  const file = json({ path: path.join(folder, "copy.db") });
  await server.post("/events", { source: "a" });
  await server.control("fault store.backup wait");
  await tried("backup_start", 400, json({ path: 5 }));
  await tried("backup_start", 202, file);
  await tried("backup_start", 409, file);
  await tried("backup_state", 200);
  await tried("backup_cancel", 202);
  await server.control("release store.backup");
});

test("sinks answer as described", async (t) => {
  for (const [store, status] of [[undefined, 202], ["memory", 409]]) {
    const folder = await temporaryFolder(t);
    const out = path.join(folder, "out");
    const entry = { name: "out", type: "jsonl", path: out };
    const server = await sinkServer(t, [entry], { folder, store });
    const document = await documentOf(server);
    await ask(server, document, document.operation("sinks_requeue"), {
      path: "/api/v1/sinks/out/requeue",
      status,
    });
    const list = document.operation("sinks_list");
    await until(async () => {
      const { text } = await ask(server, document, list, { status: 200 });
      return status === 409 || text.includes('"requeue"');
    });
  }
});

test("the fleet is told to stay away as described", async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  for (const status of [410, 451]) {
    const rules = JSON.stringify([{ status }]);
    await server.fetch("/api/v1/fleet/control", { method: "PUT", body: rules });
    const more = { ...fleetUpdate({}), status };
    await ask(server, document, document.operation("fleet_update"), more);
  }
});

test("an instance that reported is shown as described", async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  const update = document.operation("fleet_update");
  await ask(server, document, update, {
    ...fleetUpdate({ version: "1.2", orders: 3 }),
    status: 200,
  });
  for (const [id, path] of [
    ["fleet_instances_list", ""],
    ["fleet_instance_show", `/${fleetId}`],
    ["fleet_updates_list", `/${fleetId}/updates`],
  ])
    await ask(server, document, document.operation(id), {
      path: `/api/v1/fleet/instances${path}`,
      status: 200,
    });
  for (const query of ["?key=orders&step=1h", "?by=version"])
    await until(async () => {
      const operation = document.operation("fleet_aggregate_show");
      const answer = await ask(server, document, operation, { query });
      return JSON.parse(answer.text).items.length > 0;
    });
});

test("webhooks and published events answer as described", async (t) => {
  const receiver = await new Receiver().start(t);
  const server = await startServer(t, {
    control: true,
    args: allowLoopback,
    env: { TELLTALE_TEST_WEBHOOKS_MAX: "2" },
  });
  const document = await documentOf(server);
  const tried = async (id, status, path = "", more = {}) => {
    const operation = document.operation(id);
    const route = `/api/v1${path}`;
    const answer = await ask(server, document, operation, { ...more, path: route, status });
    return answer.text ? JSON.parse(answer.text) : null;
  };
  const url = receiver.url;
  const hook = json({
    ...{ url, events: ["*"], description: "d", headers: { "X-A": "b" } },
    filters: { sources: [], levels: [">=info"] },
  });
  const made = await tried("webhook_create", 201, "/webhooks", hook);
  const other = await tried("webhook_create", 201, "/webhooks", json({ url, events: ["b"] }));
  await tried("webhook_create", 409, "/webhooks", hook);
  const at = `/webhooks/${made.id}`;
  const event = json({ type: "a", subject: "s", labels: ["l"], level: "warn", data: {} });
  const { id } = await tried("publish", 201, "/events", event);
  await receiver.gets(1);
  const shown = () => tried("event_show", 200, `/events/${id}`);
  await until(async () => (await shown()).delivery_status.delivered === 1);
  await tried("event_explain", 200, `/events/${id}/explain`);
  await tried("event_list", 200, "/events");
  await tried("event_redeliver", 202, `/events/${id}/redeliver`, json({}, key));
  await tried("event_redeliver", 422, `/events/${id}/redeliver`, json({ webhook_id: made.id }, key));
  await tried("event_redeliver", 409, `/events/${id}/redeliver`, json({ webhook_id: other.id }));
  await receiver.gets(2);
  const test = await tried("webhook_test", 202, `${at}/test`, json({}, key));
  await tried("webhook_test", 422, `${at}/test`, json({ data: 1 }, key));
  await receiver.gets(3);
  await tried("delivery_list", 200, `${at}/deliveries`);
  const delivery = `${at}/deliveries/${test.delivery_id}`;
  await until(async () => (await tried("delivery_show", 200, delivery)).history.length > 0);
  const since = json({ since: new Date(Date.now() - 60000).toISOString() });
  await tried("since_start", 404, "/webhooks/none/redeliver-since", since);
  await tried("since_start", 202, `${at}/redeliver-since`, since);
  await tried("since_start", 429, `${at}/redeliver-since`, since);
  await tried("since_state", 200, `${at}/redeliver-since`);
  await tried("since_cancel", 200, `${at}/redeliver-since`);
  await tried("webhook_rotate", 200, `${at}/rotate-secret`, { headers: key });
  await tried("webhook_rotate", 422, `${at}/rotate-secret`, { headers: key, body: " " });
  await tried("webhook_show", 200, at);
  await tried("webhook_match", 200, "/webhooks/match", event);
  await tried("webhook_update", 200, at, json({ filters: null }));
  receiver.status = 410;
  await tried("webhook_test", 202, `${at}/test`, json({}));
  await until(async () => !(await tried("webhook_show", 200, at)).enabled);
  await tried("webhook_update", 409, at, json({ enabled: true }));
  await tried("webhook_test", 409, `${at}/test`, json({}));
  await tried("webhook_list", 200, "/webhooks");
  await server.control(`clock advance_us ${31 * 86400e6}`);
  await tried("event_show", 410, `/events/${id}`);
  await tried("event_explain", 410, `/events/${id}/explain`);
  await tried("event_redeliver", 410, `/events/${id}/redeliver`, json({}));
  await tried("webhook_delete", 204, at);
});

test("there may be so many tokens and no more", async (t) => {
  const server = await startServer(t, { store: "memory" });
  const document = await documentOf(server);
  const create = document.operation("token_create");
  const made = json({ name: "one of many", scopes: "read" });
  let admin = {};
  const first = await ask(server, document, create, {
    ...json({ name: "admin", scopes: "admin" }),
    status: 201,
  });
  admin = { authorization: `Bearer ${JSON.parse(first.text).token}` };
  for (let i = 1; i < 1000; i++)
    await server.post("/api/v1/tokens", made.body, admin);
  await ask(server, document, create, {
    ...made,
    headers: { ...made.headers, ...admin },
    status: 409,
  });
});

test("there may be so many sessions and no more", async (t) => {
  const server = await startServer(t, { store: "memory" });
  const document = await documentOf(server);
  const tried = (id, status) =>
    ask(server, document, document.operation(id), { status });
  await tried("telemetry_patch", 404);
  await tried("telemetry_put", 201);
  await tried("session_put", 201);
  await tried("telemetry_get", 200);
  await tried("session_get", 200);
  await tried("sessions_list", 200);
  const put = (name, body) =>
    server.fetch(`/telemetry/sessions/${name}`, { method: "PUT", body });
  const browser = {};
  for (const name of ["console", "network", "page", "interaction", "api"])
    browser[name] = { enabled: false };
  const off = JSON.stringify({ browser });
  for (const name of ["default", "none"]) await put(name, off);
  for (let i = 0; i < 256; i++) assert.equal((await put(`s-${i}`)).status, 201);
  await tried("telemetry_put", 409);
  await tried("session_put", 409);
  // Where one ends another one may begin.
  await put("s-77", off);
  await tried("session_put", 201);
});

test("who sends too much without a token is told to wait", async (t) => {
  const server = await startServer(t, {
    env: tokens,
    args: ["--open", "ingest", "--open-burst", "1", "--open-rate", "1"],
  });
  const document = await documentOf(server, bearer("admin"));
  const headers = { "x-forwarded-for": "203.0.113.9" };
  const wait = async (id, more) => {
    for (let tries = 0; tries < 100; tries++) {
      const answer = await ask(server, document, document.operation(id), more);
      if (answer.status === 429) return;
    }
    assert.fail(`${id} never answered 429`);
  };
  for (const id of ["events", "events_batch", "log", "log_batch"])
    await wait(id, json([], headers));
  await wait("login", json({ token: "tt_wrong" }));
});

test("without tokens there is nothing to log in to", async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  await ask(server, document, document.operation("login"), {
    ...json({ token: "tt_any" }),
    status: 409,
  });
});

test("an export over HTTP/1.0 is refused as described", async (t) => {
  const server = await startServer(t);
  const document = await documentOf(server);
  const text = await exchange(
    server,
    "GET /events HTTP/1.0\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n",
  );
  const [first, body] = [text.slice(9, 12), text.split("\r\n\r\n")[1]];
  assert.equal(first, "505");
  document.check(document.operation("events_list"), {
    status: 505,
    headers: { "content-type": "application/json" },
    text: body,
  });
});

after(() => {
  const missing = [];
  for (const { id, about } of known)
    for (const status of Object.keys(about.responses))
      if (status !== "default" && !seen.has(`${id} ${status}`))
        missing.push(`${id} ${status}`);
  assert.deepEqual(missing, [], "described, but never provoked");
});
