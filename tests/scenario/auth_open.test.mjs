// What may be sent without a token, how often, and whom a proxy speaks for.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { request } from "../harness/raw.mjs";
import { Server, startServer, temporaryFolder } from "../harness/server.mjs";

const env = {
  TELLTALE_TOKEN_INGEST: "tt_ingest_of_the_test",
  TELLTALE_TOKEN_READ: "tt_read_of_the_test",
};
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const event = '{"source":"s"}';

const post = (server, headers = {}, route = "/events", body = event) =>
  request(server, { method: "POST", path: route, headers, body });

const from = (address) => ({ "x-forwarded-for": address });

const openServer = (t, ...args) =>
  startServer(t, {
    env,
    control: true,
    store: "memory",
    args: ["--open", "ingest", "--trusted-proxy", "127.0.0.1", ...args],
  });

// Sends `tries` events; `least` are taken, and no more than the time that it
// took has brought at `rate` a second; the rest are 429.
async function taken(server, tries, headers, least, rate) {
  const began = performance.now();
  let good = 0;
  for (let i = 0; i < tries; i++) {
    const answer = await post(server, headers);
    if (answer.status === 200) good++;
    else assert.equal(answer.status, 429, answer.text);
  }
  const brought = ((performance.now() - began) / 1000) * rate;
  assert.ok(good >= least && good <= least + Math.ceil(brought), `${good}`);
}

// Sends until it is refused, and answers with that.
async function refusal(server, headers) {
  for (let i = 0; i < 500; i++) {
    const answer = await post(server, headers);
    if (answer.status === 429) return answer;
    assert.equal(answer.status, 200, answer.text);
  }
  assert.fail("it was never refused");
}

test("open ingest takes events without a token, and nothing else", async (t) => {
  const server = await openServer(t);
  const client = from("203.0.113.9");
  for (const [route, body] of [
    ["/events", event],
    ["/events/batch", `[${event}]`],
    ["/log", '{"message":"m"}'],
    ["/log/batch", '[{"message":"m"}]'],
  ])
    assert.equal((await post(server, client, route, body)).status, 200, route);
  for (const route of ["/events", "/events/recent", "/events/stream", "/metrics"])
    assert.equal(
      (await request(server, { path: route, headers: client })).status,
      401,
      route,
    );
  assert.equal((await post(server, client, "/api/v1/tokens", "{}")).status, 401);
  // A token that is shown has to be right, and has to be for this.
  const wrong = { ...client, ...bearer("tt_wrong") };
  assert.equal((await post(server, wrong)).status, 401);
  const read = { ...client, ...bearer(env.TELLTALE_TOKEN_READ) };
  assert.equal((await post(server, read)).status, 403);
  // Nor may the page of another site send any.
  const page = { ...client, origin: "http://evil.example" };
  assert.equal((await post(server, page)).status, 403);
});

test("it is closed unless it was opened", async (t) => {
  const closed = await startServer(t, { env });
  assert.equal((await post(closed)).status, 401);
  const fleet = await startServer(t, { env, args: ["--open", "fleet"] });
  assert.equal((await post(fleet)).status, 401);
});

test("an address has a burst of 100 and 10 a second", async (t) => {
  const server = await openServer(t);
  const client = from("203.0.113.9");
  await taken(server, 110, client, 100, 10);
  const refused = await refusal(server, client);
  assert.equal(refused.json().code, "rate_limited");
  assert.equal(refused.headers["retry-after"], "1");
  assert.match(refused.json().message, /203\.0\.113\.9.* 10 requests/);
  await server.control("clock advance_us 1000000");
  await taken(server, 15, client, 10, 10);
  // Others have their own; so has who shows a token.
  assert.equal((await post(server, from("203.0.113.10"))).status, 200);
  const known = { ...client, ...bearer(env.TELLTALE_TOKEN_INGEST) };
  await taken(server, 150, known, 150, 0);
});

// Each claims eight megabytes and sends next to nothing of it.
test("bodies without a token leave half the memory to the others", async (t) => {
  const server = await openServer(t, "--open-burst", "1000", "--budget", "32MiB");
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  let refused = 0;
  for (let i = 0; i < 8; i++) {
    const socket = net.connect(server.port, "127.0.0.1");
    sockets.push(socket);
    socket.on("error", () => {});
    socket.write(
      `POST /events/batch HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.${i}\r\n` +
        "Content-Length: 8000000\r\nExpect: 100-continue\r\n\r\n",
    );
    const [answer] = await once(socket, "data");
    if (/^HTTP\/1.1 503 /.test(answer)) refused++;
    else assert.match(String(answer), /^HTTP\/1.1 100 /);
  }
  assert.equal(refused, 6);
  const known = bearer(env.TELLTALE_TOKEN_INGEST);
  const large = `[${Array(9000).fill(`{"source":"s","action":"${"a".repeat(800)}"}`).join()}]`;
  assert.equal((await post(server, known, "/events/batch", large)).status, 200);
});

test("the limits can be set, and IPv6 counts by /64", async (t) => {
  const server = await openServer(t, "--open-rate", "1", "--open-burst", "3");
  await taken(server, 2, from("2001:db8::1"), 2, 0);
  await taken(server, 4, from("2001:db8::2"), 1, 2);
  await taken(server, 4, from("2001:db8:0:1::2"), 3, 1);
  await refusal(server, from("[2001:db8::3]:99"));
  await server.control("clock advance_us 2000000");
  await taken(server, 4, from("[2001:db8::3]:99"), 2, 1);
});

test("loopback is not limited, but what a stranger forwards is", async (t) => {
  const args = ["--open", "ingest", "--open-burst", "3", "--open-rate", "1"];
  const server = await startServer(t, { env, args });
  await taken(server, 10, {}, 10, 0);
  // No proxy is trusted: the header names nobody, but it says that this is not
  // this machine's own.
  const refused = await refusal(server, from("203.0.113.1"));
  assert.match(refused.json().message, /^127\.0\.0\.1 /);
  await taken(server, 10, {}, 10, 0);
});

test("only the right-most address that is not trusted counts", async (t) => {
  const server = await startServer(t, {
    env,
    args: [
      ...["--open", "ingest", "--open-burst", "1", "--open-rate", "1"],
      ...["--trusted-proxy", "127.0.0.1,10.0.0.0/8"],
    ],
  });
  const who = async (headers) => {
    const refused = await refusal(server, headers);
    return /"message":"(\S+) sends/.exec(refused.text)[1];
  };
  assert.equal(await who(from("6.6.6.6, 203.0.113.1")), "203.0.113.1");
  assert.equal(await who(from("6.6.6.6, 203.0.113.2, 10.1.1.1")), "203.0.113.2");
  assert.equal(await who(from("unknown, 10.3.3.3")), "10.3.3.3");
  assert.equal(await who(from("garbage")), "127.0.0.1");
  assert.equal(
    await who({ forwarded: 'for="[2001:db8::9]:1234";proto=https' }),
    "2001:db8::9",
  );
  // Two headers of one name are one list.
  const two = ["203.0.113.7", "203.0.113.8"];
  assert.equal(await who({ "x-forwarded-for": two }), "203.0.113.8");
});

test("two headers that disagree are refused", async (t) => {
  const server = await openServer(t);
  const answer = await post(server, {
    ...from("203.0.113.1"),
    forwarded: "for=203.0.113.2",
  });
  assert.equal(answer.status, 400);
  assert.equal(answer.json().code, "ambiguous_client");
  const agreed = { ...from("203.0.113.1"), forwarded: "for=203.0.113.1" };
  assert.equal((await post(server, agreed)).status, 200);
});

test("trust makes nobody admin where there is no token", async (t) => {
  const server = await startServer(t, {
    args: ["--trusted-proxy", "127.0.0.1", "--open", "ingest"],
  });
  const answer = await post(server, from("203.0.113.1"));
  assert.equal(answer.status, 403);
  assert.equal(answer.json().code, "proxy_without_token");
  assert.equal((await post(server)).status, 200);
});

test("wrong settings are refused at start", async (t) => {
  const folder = await temporaryFolder(t);
  for (const [args, wanted] of [
    [["--trusted-proxy", "10.0.0.1/8"], /trusted_proxies.*10\.0\.0\.1\/8/],
    [["--trusted-proxy", "proxy.example"], /addresses and networks/],
    [["--open", "everything"], /open cannot be "everything".*ingest and fleet/],
    [["--open-rate", "0"], /open_rate.*from 1/],
  ]) {
    const server = new Server(folder, { args });
    await assert.rejects(server.start(), (error) => {
      assert.match(error.message, /ended with 2/);
      assert.match(error.message, wanted);
      return true;
    });
  }
});
