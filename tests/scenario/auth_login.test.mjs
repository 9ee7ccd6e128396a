// Logging in with a browser: a token in, a cookie out.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { request } from "../harness/raw.mjs";
import { openStream } from "../harness/sse.mjs";
import { startServer, until } from "../harness/server.mjs";

const readToken = "tt_read_of_the_test";
const adminToken = "tt_admin_of_the_test";
const env = {
  TELLTALE_TOKEN_READ: readToken,
  TELLTALE_TOKEN_ADMIN: adminToken,
};
const bearer = (token) => ({ authorization: `Bearer ${token}` });

const login = (server, token, headers = {}) =>
  request(server, {
    method: "POST",
    path: "/login",
    headers,
    body: JSON.stringify({ token }),
  });

const get = (server, path, headers = {}) => request(server, { path, headers });

// The Set-Cookie of an answer: {name, value, attributes}.
function cookieOf(answer) {
  const [text, ...more] = answer.headers["set-cookie"] ?? [];
  assert.deepEqual(more, []);
  const [pair, ...attributes] = text.split("; ");
  const at = pair.indexOf("=");
  return {
    name: pair.slice(0, at),
    value: pair.slice(at + 1),
    attributes,
    header: { cookie: pair },
  };
}

async function logIn(server, token = readToken, headers = {}) {
  const answer = await login(server, token, headers);
  assert.equal(answer.status, 200, answer.text);
  return cookieOf(answer);
}

test("a token becomes a cookie that does what the token may", async (t) => {
  const server = await startServer(t, { env });
  const answer = await login(server, readToken);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["cache-control"], "no-store");
  const state = answer.json();
  const left = Date.parse(state.expires_at) - Date.now();
  assert.ok(left > 11.9 * 3600e3 && left <= 12 * 3600e3);
  assert.deepEqual([state.needed, state.scopes], [true, ["read"]]);
  const cookie = cookieOf(answer);
  assert.equal(cookie.name, `telltale-${server.port}`);
  assert.match(cookie.value, /^tl_[A-Za-z0-9_-]{43}$/);
  assert.deepEqual(cookie.attributes, [
    "Path=/",
    "Max-Age=43200",
    "HttpOnly",
    "SameSite=Strict",
  ]);
  assert.ok(!answer.text.includes(cookie.value));

  const own = (path) => get(server, path, cookie.header);
  assert.equal((await own("/events/recent")).status, 200);
  assert.equal((await own("/api/v1/tokens")).status, 403);
  const stream = await openStream(`${server.url}/events/stream`, {
    headers: cookie.header,
  });
  assert.equal(stream.status, 200);
  stream.close();
  const shown = (await own("/login")).json();
  assert.deepEqual(shown, state);
  // Beside other cookies, and not as a token.
  const crowd = { cookie: `a=b; ${cookie.header.cookie} ; c=d` };
  assert.equal((await get(server, "/events", crowd)).status, 200);
  assert.equal((await get(server, "/events", bearer(cookie.value))).status, 401);
});

test("without a good cookie nothing opens", async (t) => {
  const server = await startServer(t, { env });
  const { name, value } = await logIn(server);
  for (const cookie of [
    `${name}=`,
    `${name}=tl_wrong`,
    `${name}=${value}x`,
    `x${name}=${value}`,
    `${name}=${readToken}`,
    `telltale-1=${value}`,
    value,
    "",
  ])
    assert.equal((await get(server, "/events", { cookie })).status, 401, cookie);
  const nobody = (await get(server, "/login")).json();
  assert.deepEqual(nobody, { needed: true, name: "", scopes: [] });
});

test("a login needs a token, and says what is wrong", async (t) => {
  const server = await startServer(t, { env });
  for (const body of ["", "{}", "[]", '{"token":1}', '{"token":"a","b":1}']) {
    const answer = await request(server, {
      method: "POST",
      path: "/login",
      body,
    });
    assert.equal(answer.status, 400, body);
    assert.equal(answer.json().code, "invalid_json");
  }
  const wrong = await login(server, "tt_wrong");
  assert.equal(wrong.status, 401);
  assert.equal(wrong.json().code, "unauthorized");
  assert.equal(wrong.headers["set-cookie"], undefined);
  const large = await login(server, "x".repeat(5000));
  assert.equal(large.status, 413);
  const open = await startServer(t);
  const none = await login(open, readToken);
  assert.equal(none.status, 409);
  assert.equal(none.json().code, "no_tokens");
  assert.equal((await get(open, "/login")).json().needed, false);
});

test("a login ends at logout, and only that one", async (t) => {
  const server = await startServer(t, { env });
  const one = await logIn(server);
  const two = await logIn(server);
  const stream = await openStream(`${server.url}/events/stream`, {
    headers: one.header,
  });
  const logout = (headers) =>
    request(server, { method: "POST", path: "/logout", headers });
  const answer = await logout(one.header);
  assert.equal(answer.status, 204);
  const gone = cookieOf(answer);
  assert.deepEqual([gone.name, gone.value], [one.name, ""]);
  assert.ok(gone.attributes.includes("Max-Age=0"));
  await stream.ended;
  assert.equal((await get(server, "/events", one.header)).status, 401);
  assert.equal((await get(server, "/events", two.header)).status, 200);
  assert.equal((await logout(one.header)).status, 204);
  assert.equal((await logout({})).status, 204);
});

test("a login survives a restart, and is kept as a digest only", async (t) => {
  const server = await startServer(t, { env });
  const cookie = await logIn(server);
  const ended = await logIn(server);
  await request(server, {
    method: "POST",
    path: "/logout",
    headers: ended.header,
  });
  await server.stop();
  for (const name of await readdir(server.folder)) {
    const bytes = await readFile(`${server.folder}/${name}`);
    assert.ok(!bytes.includes(cookie.value.slice(3)), name);
  }
  await server.start();
  const { name } = cookie; // the port is the same
  assert.equal(name, `telltale-${server.port}`);
  assert.equal((await get(server, "/events", cookie.header)).status, 200);
  assert.equal((await get(server, "/events", ended.header)).status, 401);
  // Another token of the same name is another token.
  await server.stop();
  server.env = { ...env, TELLTALE_TOKEN_READ: "tt_another" };
  await server.start();
  assert.equal((await get(server, "/events", cookie.header)).status, 401);
});

test("a login ends by itself after twelve hours", async (t) => {
  const server = await startServer(t, { env, control: true });
  const cookie = await logIn(server);
  const stream = await openStream(`${server.url}/events/stream`, {
    headers: cookie.header,
  });
  await server.control(`clock advance_us ${(12 * 3600 - 60) * 1e6}`);
  assert.equal((await get(server, "/events", cookie.header)).status, 200);
  await server.control("clock advance_us 61000000");
  assert.equal((await get(server, "/events", cookie.header)).status, 401);
  assert.deepEqual((await get(server, "/login", cookie.header)).json().scopes, []);
  await stream.ended;
});

test("revoking a token ends its logins and all its streams at once", async (t) => {
  const server = await startServer(t, { env });
  const made = (
    await request(server, {
      method: "POST",
      path: "/api/v1/tokens",
      headers: bearer(adminToken),
      body: JSON.stringify({ name: "me", scopes: "read" }),
    })
  ).json();
  const cookie = await logIn(server, made.token);
  const other = await logIn(server);
  const open = (headers) =>
    openStream(`${server.url}/events/stream`, { headers });
  const mine = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      open(i % 2 ? cookie.header : bearer(made.token)),
    ),
  );
  const theirs = await open(other.header);
  let theirsEnded = false;
  theirs.ended.then(() => (theirsEnded = true));
  const revoked = await request(server, {
    method: "DELETE",
    path: `/api/v1/tokens/${made.id}`,
    headers: bearer(adminToken),
  });
  assert.equal(revoked.status, 204);
  await Promise.all(mine.map((stream) => stream.ended));
  assert.equal((await get(server, "/events", cookie.header)).status, 401);
  assert.equal((await get(server, "/events", other.header)).status, 200);
  assert.equal(theirsEnded, false);
  theirs.close();
});

test("a cookie counts only for this server's own pages", async (t) => {
  const origin = "https://app.example";
  const server = await startServer(t, {
    env,
    args: ["--cors-origin", origin],
  });
  const { header } = await logIn(server, adminToken);
  const host = `127.0.0.1:${server.port}`;
  const send = (headers) =>
    request(server, {
      method: "POST",
      path: "/events",
      headers: { host, ...header, ...headers },
      body: '{"source":"s"}',
    });
  const own = { origin: `http://${host}`, "sec-fetch-site": "same-origin" };
  assert.equal((await send(own)).status, 200);
  assert.equal((await send({})).status, 200);
  for (const headers of [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:1", "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
  ])
    assert.equal((await send(headers)).status, 403);
  // A page that CORS lets in brings a token of its own.
  assert.equal((await send({ origin })).status, 401);
  assert.equal((await send({ origin, ...bearer(adminToken) })).status, 200);
  const read = (headers) =>
    get(server, "/events/recent", { host, ...header, ...headers });
  assert.equal((await read({ "sec-fetch-site": "none" })).status, 200);
  assert.equal((await read({ "sec-fetch-site": "same-origin" })).status, 200);
  assert.equal((await read({ "sec-fetch-site": "same-site" })).status, 401);
  assert.equal((await read({ "sec-fetch-site": "cross-site" })).status, 401);
  // Nor may another site's page log anybody in or out.
  const evil = { origin: "http://evil.example" };
  assert.equal((await login(server, readToken, evil)).status, 403);
  const out = await request(server, {
    method: "POST",
    path: "/logout",
    headers: { ...header, ...evil },
  });
  assert.equal(out.status, 403);
  assert.equal((await read({})).status, 200);
});

test("guessing is slowed down, address by address", async (t) => {
  const server = await startServer(t, {
    env,
    control: true,
    args: ["--trusted-proxy", "127.0.0.1"],
  });
  const guess = (from, token = "tt_wrong") =>
    login(server, token, { "x-forwarded-for": from });
  for (let i = 0; i < 10; i++)
    assert.equal((await guess("203.0.113.9")).status, 401);
  const slowed = await guess("203.0.113.9", readToken);
  assert.equal(slowed.status, 429);
  assert.equal(slowed.json().code, "too_many_logins");
  assert.ok(Number(slowed.headers["retry-after"]) >= 1);
  assert.match(slowed.json().message, /203\.0\.113\.9/);
  assert.equal((await guess("203.0.113.8", readToken)).status, 200);
  assert.match(server.stderr, /login refused: client=203\.0\.113\.9/);
  assert.ok(!server.stderr.includes("tt_wrong"));
  await server.control("clock advance_us 6100000");
  assert.equal((await guess("203.0.113.9", readToken)).status, 200);
});

test("the cookie is Secure where the client's connection is", async (t) => {
  const server = await startServer(t, {
    env,
    args: ["--trusted-proxy", "127.0.0.1"],
  });
  const secure = async (headers) =>
    (await logIn(server, readToken, headers)).attributes.includes("Secure");
  assert.equal(await secure({}), false);
  assert.equal(await secure({ "x-forwarded-proto": "https" }), true);
  assert.equal(await secure({ "x-forwarded-proto": "https, http" }), false);
  assert.equal(await secure({ forwarded: "for=1.2.3.4;proto=https" }), true);
  const untrusting = await startServer(t, { env });
  const cookie = await logIn(untrusting, readToken, {
    "x-forwarded-proto": "https",
  });
  assert.ok(!cookie.attributes.includes("Secure"));
});

test("there are at most a thousand logins, and the oldest goes", async (t) => {
  const server = await startServer(t, { env, store: "memory" });
  const first = await logIn(server);
  const second = await logIn(server);
  for (let i = 0; i < 999; i += 37)
    await Promise.all(
      Array.from({ length: Math.min(37, 999 - i) }, () => logIn(server)),
    );
  assert.equal((await get(server, "/events", first.header)).status, 401);
  assert.equal((await get(server, "/events", second.header)).status, 200);
});

test("a store that cannot write makes no login", async (t) => {
  const server = await startServer(t, { env, control: true });
  await server.control("fault store.write fail ENOSPC");
  const answer = await login(server, readToken);
  assert.equal(answer.status, 503);
  assert.equal(answer.json().code, "store_unavailable");
  assert.equal(answer.headers["set-cookie"], undefined);
});

test("a logout that could not be kept is kept when it is tried again", async (t) => {
  const server = await startServer(t, { env, control: true });
  const cookie = await logIn(server);
  const logout = () =>
    request(server, {
      method: "POST",
      path: "/logout",
      headers: cookie.header,
    });
  await server.control("fault store.write fail ENOSPC");
  assert.equal((await logout()).status, 503);
  assert.equal((await logout()).status, 503);
  await server.control("clear");
  await until(async () => (await logout()).status === 204);
  await server.stop();
  await server.start();
  assert.equal((await get(server, "/events", cookie.header)).status, 401);
});

test("a login that makes room for another ends at once", { timeout: 60000 }, async (t) => {
  const server = await startServer(t, { env, store: "memory" });
  const first = await logIn(server);
  const stream = await openStream(`${server.url}/events/stream`, {
    headers: first.header,
  });
  for (let i = 0; i < 1000; i += 40)
    await Promise.all(Array.from({ length: 40 }, () => logIn(server)));
  await stream.ended;
});
