// Who may do what: tokens and scopes, and what a browser or a proxy could be
// made to do.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { openStream } from "../harness/sse.mjs";
import { exchange, request } from "../harness/raw.mjs";
import { Server, startServer, temporaryFolder } from "../harness/server.mjs";

const tokens = {
  TELLTALE_TOKEN_INGEST: "tt_ingest_of_the_test",
  TELLTALE_TOKEN_READ: "tt_read_of_the_test",
  TELLTALE_TOKEN_ADMIN: "tt_admin_of_the_test",
};
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const ingest = bearer(tokens.TELLTALE_TOKEN_INGEST);
const read = bearer(tokens.TELLTALE_TOKEN_READ);
const admin = bearer(tokens.TELLTALE_TOKEN_ADMIN);

const tokensByScope = { ingest, read, admin };

const post = (server, headers = {}, more = {}) =>
  request(server, {
    method: "POST",
    path: "/events",
    headers,
    body: '{"source":"s"}',
    ...more,
  });

const get = (server, route, headers = {}) =>
  request(server, { path: route, headers });

test("without tokens everything on loopback is open", async (t) => {
  const server = await startServer(t);
  assert.equal((await post(server)).status, 200);
  assert.equal((await get(server, "/events/recent")).status, 200);
  assert.equal((await get(server, "/api/v1/tokens")).status, 200);
});

test("with tokens every route but the open ones needs one", async (t) => {
  const server = await startServer(t, { env: tokens });
  for (const route of ["/healthz", "/readyz", "/"])
    assert.equal((await get(server, route)).status, 200, route);
  for (const route of [
    "/events",
    "/events/recent",
    "/events/stream",
    "/events/stats",
    "/events/rate",
    "/events/channels",
    "/metrics",
    "/api/v1/status",
    "/api/v1/tokens",
  ]) {
    const answer = await get(server, route);
    assert.equal(answer.status, 401, route);
    assert.match(answer.headers["www-authenticate"], /^Bearer/);
    assert.equal(answer.json().code, "unauthorized");
  }
  assert.equal((await post(server)).status, 401);
});

test("a scope allows what it says; admin allows everything", async (t) => {
  const server = await startServer(t, { env: tokens });
  const table = [
    [ingest, 200, 403, 403],
    [read, 403, 200, 403],
    [admin, 200, 200, 200],
    [bearer("tt_wrong"), 401, 401, 401],
    [bearer(""), 401, 401, 401],
    [{ authorization: "Basic dXNlcjpwYXNz" }, 401, 401, 401],
    [{ authorization: `bearer ${tokens.TELLTALE_TOKEN_ADMIN}` }, 200, 200, 200],
    [bearer("x".repeat(5000)), 401, 401, 401],
  ];
  for (const [headers, posting, reading, managing] of table) {
    const name = JSON.stringify(headers).slice(0, 60);
    assert.equal((await post(server, headers)).status, posting, name);
    assert.equal(
      (await get(server, "/events/recent", headers)).status,
      reading,
      name,
    );
    assert.equal(
      (await get(server, "/api/v1/tokens", headers)).status,
      managing,
      name,
    );
  }
  const wrong = await post(server, read);
  assert.equal(wrong.json().code, "insufficient_scope");
});

// Every route with the scope that it needs; "" is open to everybody.
const routes = [
  ["POST", "/events", "ingest"],
  ["POST", "/events/batch", "ingest"],
  ["GET", "/events", "read"],
  ["GET", "/events/stream", "read"],
  ["GET", "/events/recent", "read"],
  ["GET", "/events/stats", "read"],
  ["GET", "/events/rate", "read"],
  ["GET", "/events/channels", "read"],
  ["GET", "/metrics", "read"],
  ["GET", "/api/v1/status", "read"],
  ["POST", "/api/v1/tokens", "admin"],
  ["GET", "/api/v1/tokens", "admin"],
  ["DELETE", "/api/v1/tokens/tok_0", "admin"],
  ["GET", "/healthz", ""],
  ["GET", "/readyz", ""],
  ["GET", "/", ""],
];

test("each route takes the scope that it says, and no other", async (t) => {
  const server = await startServer(t, { env: tokens });
  const who = { none: {}, ingest, read, admin, wrong: bearer("tt_wrong") };
  for (const [method, path, scope] of routes) {
    for (const [name, headers] of Object.entries(who)) {
      // HEAD, so that a stream ends; POST bodies are refused behind the gate.
      for (const verb of method === "GET" ? ["GET", "HEAD"] : [method]) {
        if (verb === "GET" && path === "/events/stream") continue;
        const body = method === "POST" ? "{" : undefined;
        const answer = await request(server, { method: verb, path, headers, body });
        const label = `${name}: ${verb} ${path} is ${answer.status}`;
        if (!scope || name === scope || name === "admin")
          assert.ok(![401, 403].includes(answer.status), label);
        else
          assert.equal(answer.status, name in tokensByScope ? 403 : 401, label);
      }
    }
  }
});

test("an Authorization that is empty or given twice is no token", async (t) => {
  const server = await startServer(t, { env: tokens });
  const good = `Authorization: Bearer ${tokens.TELLTALE_TOKEN_READ}\r\n`;
  for (const [lines, status] of [
    [good, 200],
    [good.replace("Authorization: Bearer", "aUTHORIZATION:  bEARER "), 200],
    ["Authorization:\r\n", 401],
    ["Authorization: \r\n", 401],
    ["Authorization: Bearer\r\n", 401],
    [good + good, 401],
    [`${good}Authorization: Bearer x\r\n`, 401],
    [`Authorization: Bearer x\r\n${good}`, 401],
    [good.replace("Bearer ", "Bearer\t"), 401],
    [good.replace("Bearer ", ""), 401],
  ]) {
    const answer = await exchange(
      server,
      `GET /events/recent HTTP/1.1\r\nHost: localhost\r\n${lines}` +
        "Connection: close\r\n\r\n",
    );
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), lines);
  }
});

// A compressed body may be decoded while the next request's head is there.
test("an idempotency key belongs to the token of its own request", async (t) => {
  const server = await startServer(t, { env: tokens });
  const text = randomBytes(150000).toString("base64");
  const body = gzipSync(JSON.stringify([{ source: "s", data: { text } }]));
  const batch = (headers, more) =>
    Buffer.concat([
      Buffer.from(
        "POST /events/batch HTTP/1.1\r\nHost: localhost\r\n" +
          "Content-Encoding: gzip\r\nIdempotency-Key: same\r\n" +
          `Authorization: ${headers.authorization}\r\n${more}` +
          `Content-Length: ${body.length}\r\n\r\n`,
      ),
      body,
    ]);
  const next =
    "POST /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
    `Authorization: ${ingest.authorization}\r\nContent-Length: 14\r\n\r\n` +
    '{"source":"s"}';
  const both = await exchange(
    server,
    Buffer.concat([batch(admin, ""), Buffer.from(next)]),
  );
  assert.equal(both.match(/HTTP\/1.1 200/g).length, 2, both);
  const other = await exchange(server, batch(ingest, "Connection: close\r\n"));
  assert.match(other, /HTTP\/1.1 200/);
  assert.doesNotMatch(other, /Idempotency-Replayed/);
  const again = await exchange(server, batch(admin, "Connection: close\r\n"));
  assert.match(again, /Idempotency-Replayed/);
});

test("one connection may change its token from request to request", async (t) => {
  const server = await startServer(t, { env: tokens });
  // fetch keeps the connection.
  for (let i = 0; i < 3; i++) {
    for (const [headers, status] of [
      [read, 200],
      [ingest, 403],
      [{}, 401],
      [admin, 200],
    ]) {
      const answer = await server.fetch("/events/recent", { headers });
      await answer.arrayBuffer();
      assert.equal(answer.status, status);
    }
  }
});

test("tokens are made, listed and revoked over HTTP", async (t) => {
  const server = await startServer(t, {
    env: { TELLTALE_TOKEN_ADMIN: tokens.TELLTALE_TOKEN_ADMIN },
  });
  const make = (body) =>
    request(server, {
      method: "POST",
      path: "/api/v1/tokens",
      headers: admin,
      body: JSON.stringify(body),
    });
  const made = await make({ name: "ci", scopes: ["ingest"] });
  assert.equal(made.status, 201);
  const { id, token, name, scopes, created_at } = made.json();
  assert.match(id, /^tok_[0-9a-f]{16}$/);
  assert.match(token, /^tt_[A-Za-z0-9_-]{43}$/);
  assert.deepEqual([name, scopes], ["ci", ["ingest"]]);
  assert.ok(Date.parse(created_at) > Date.now() - 60000);

  assert.equal((await post(server, bearer(token))).status, 200);
  assert.equal((await get(server, "/events", bearer(token))).status, 403);

  const list = (await get(server, "/api/v1/tokens", admin)).json();
  assert.deepEqual(list, {
    items: [{ id, name, scopes, created_at }],
    next_cursor: null,
  });

  // It survives a restart, and its text is in no other place.
  await server.stop();
  await server.start();
  assert.equal((await post(server, bearer(token))).status, 200);

  const revoke = (which) =>
    request(server, {
      method: "DELETE",
      path: `/api/v1/tokens/${which}`,
      headers: admin,
    });
  assert.equal((await revoke(id)).status, 204);
  assert.equal((await post(server, bearer(token))).status, 401);
  assert.equal((await revoke(id)).status, 404);
  assert.equal((await revoke("x".repeat(100))).status, 404);

  for (const [body, code] of [
    [{ name: "x", scopes: ["write"] }, "invalid_token"],
    [{ name: "x", scopes: [] }, "invalid_token"],
    [{ name: "", scopes: ["read"] }, "invalid_token"],
    [{ name: "x", scopes: ["read"], expires: 5 }, "unknown_field"],
    [[], "invalid_json"],
  ]) {
    const answer = await make(body);
    assert.equal(answer.status, 400);
    assert.equal(answer.json().code, code);
  }
});

test("the first token closes what was open, and ends its streams", async (t) => {
  const server = await startServer(t);
  const stream = await openStream(`${server.url}/events/stream`);
  const made = await server.json("/api/v1/tokens", {
    method: "POST",
    body: JSON.stringify({ name: "me", scopes: "read,admin" }),
  });
  assert.equal((await post(server)).status, 401);
  const mine = await openStream(`${server.url}/events/stream`, {
    headers: bearer(made.token),
  });
  assert.equal(mine.status, 200);
  await stream.ended;
  const gone = await request(server, {
    method: "DELETE",
    path: `/api/v1/tokens/${made.id}`,
    headers: bearer(made.token),
  });
  assert.equal(gone.status, 204);
  await mine.ended;
});

test("the socket beside the store is admin without a token", async (t) => {
  const server = await startServer(t, { env: tokens });
  const socketPath = path.join(server.folder, "telltale.db.sock");
  const answer = await request(
    { socketPath },
    {
      method: "POST",
      path: "/api/v1/tokens",
      body: JSON.stringify({ name: "cli", scopes: ["read"] }),
    },
  );
  assert.equal(answer.status, 201);
  const { token } = answer.json();
  assert.equal((await get(server, "/events", bearer(token))).status, 200);
});

test("a rebound name is 421, a configured one is not", async (t) => {
  const server = await startServer(t, { args: ["--host", "telltale.lan"] });
  for (const host of ["localhost", "127.0.0.1", "[::1]", "localhost:1"])
    assert.equal((await get(server, "/healthz", { host })).status, 200, host);
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.2"]) {
    const answer = await get(server, "/events/recent", { host });
    assert.equal(answer.status, 421, host);
    assert.equal(answer.json().code, "foreign_host");
    assert.equal((await get(server, "/", { host })).status, 421, host);
  }
  assert.equal(
    (await get(server, "/healthz", { host: "telltale.lan" })).status,
    200,
  );
});

test("another site's page may not change anything", async (t) => {
  const server = await startServer(t);
  for (const headers of [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://localhost:1" },
    { "sec-fetch-site": "cross-site" },
  ]) {
    const answer = await post(server, headers);
    assert.equal(answer.status, 403);
    assert.equal(answer.json().code, "foreign_origin");
  }
  const host = `127.0.0.1:${server.port}`;
  const own = { host, origin: `http://${host}`, "sec-fetch-site": "same-origin" };
  assert.equal((await post(server, own)).status, 200);
  const events = (await get(server, "/events/recent")).json();
  assert.equal(events.length, 1);
});

test("pages of a configured origin are let in, others are not", async (t) => {
  const origin = "https://app.example";
  const server = await startServer(t, { args: ["--cors-origin", origin] });
  const cross = { origin, "sec-fetch-site": "cross-site" };
  const preflight = await request(server, {
    method: "OPTIONS",
    path: "/events",
    headers: { ...cross, "access-control-request-method": "POST" },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], origin);
  assert.match(preflight.headers["access-control-allow-methods"], /POST/);
  assert.match(preflight.headers["access-control-allow-headers"], /Content-Type/);
  const posted = await post(server, cross);
  assert.equal(posted.status, 200);
  assert.equal(posted.headers["access-control-allow-origin"], origin);
  const stranger = { origin: "https://evil.example" };
  assert.equal((await post(server, stranger)).status, 403);
  const read = await get(server, "/events/recent", stranger);
  assert.equal(read.headers["access-control-allow-origin"], undefined);
  assert.equal(read.headers.vary, "Origin");
  const off = await startServer(t);
  const plain = await get(off, "/events/recent", cross);
  assert.equal(plain.headers["access-control-allow-origin"], undefined);
});

test("without tokens a proxy makes nobody admin", async (t) => {
  const server = await startServer(t, { args: ["--host", "telltale.lan"] });
  const proxied = [
    { forwarded: "for=1.2.3.4" },
    { "x-forwarded-for": "1.2.3.4" },
    { "x-forwarded-proto": "https" },
    { via: "1.1 proxy" },
    { host: "telltale.lan" },
  ];
  for (const headers of proxied) {
    const answer = await get(server, "/events/recent", headers);
    assert.equal(answer.status, 403, JSON.stringify(headers));
    assert.equal(answer.json().code, "proxy_without_token");
    assert.match(answer.json().message, /token create/);
    assert.equal((await get(server, "/healthz", headers)).status, 200);
  }
  const guarded = await startServer(t, {
    args: ["--host", "telltale.lan"],
    env: tokens,
  });
  for (const headers of proxied) {
    const answer = await get(guarded, "/events/recent", { ...headers, ...read });
    assert.equal(answer.status, 200);
  }
});

test("beyond loopback a token or --insecure is needed", async (t) => {
  const folder = await temporaryFolder(t);
  const everywhere = ["--listen", "0.0.0.0:0"];
  const server = new Server(folder, { args: everywhere });
  await assert.rejects(server.start(), (error) => {
    assert.match(error.message, /ended with 1/);
    assert.match(error.message, /telltale token create/);
    assert.match(error.message, /--insecure/);
    return true;
  });
  for (const options of [
    { args: [...everywhere, "--insecure"] },
    { args: everywhere, env: tokens },
  ]) {
    const good = new Server(folder, options);
    await good.start();
    const open = !options.env;
    assert.equal((await post(good)).status, open ? 200 : 401);
    await good.stop();
  }
});
