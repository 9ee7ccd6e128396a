// TLS: who gets in, what holds as without it, and other certificates while the
// server runs.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { promisify } from "node:util";
import { exchange, request, sample } from "../harness/raw.mjs";
import { cli } from "../harness/cli.mjs";
import { buildDir, startServer, temporaryFolder, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";
import { Certificates } from "../harness/tls.mjs";

const run = promisify(execFile);
const event = { source: "a", action: "b" };
const json = { "content-type": "application/json" };

// A CA, a server that it has signed, with `clients` a CA for clients and a
// client that this has signed; answers
// {server, certificates, target}: target is what request() takes.
async function started(t, { more = [], clients = false, ...options } = {}) {
  const folder = await temporaryFolder(t);
  const certificates = new Certificates(folder);
  certificates.make("ca").make("server", "ca");
  const args = [...certificates.args("server"), ...more];
  if (clients) {
    certificates.make("clients").make("client", "clients");
    args.push("--tls-client-ca", `${certificates.file("clients")}.crt`);
  }
  const server = await startServer(t, { ...options, folder, args });
  const target = { port: server.port, tls: certificates.client("ca") };
  return { server, certificates, target, folder };
}

const post = (target, body, headers = {}) =>
  request(target, {
    method: "POST",
    path: "/events",
    headers: { ...json, ...headers },
    body: JSON.stringify(body),
  });

const handshakes = async (target, outcome) =>
  sample(
    (await request(target, { path: "/metrics" })).text,
    "telltale_tls_handshakes_total",
    { outcome },
  );

test("the URL that is printed is https, and works with curl and Node", async (t) => {
  const { server, certificates, target } = await started(t);
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const { stdout } = await run("curl", [
    ...["-sS", "--fail", "--cacert", `${certificates.file("ca")}.crt`],
    ...["-d", JSON.stringify(event), `${server.url}/events`],
  ]);
  assert.deepEqual(JSON.parse(stdout), { seq: 1 });
  assert.deepEqual((await post(target, event)).json(), { seq: 2 });
  const recent = (await request(target, { path: "/events/recent" })).json();
  assert.deepEqual(
    recent.map((e) => e.seq),
    [1, 2],
  );
  assert.equal(await handshakes(target, "ok"), 4);
  const text = (await request(target, { path: "/metrics" })).text;
  const days =
    sample(text, "telltale_tls_certificate_expiry_seconds") - Date.now() / 1000;
  assert.ok(days > 29 * 86400 && days <= 30 * 86400, `${days}`);
});

test("TLS 1.2 and 1.3 are spoken, 1.1 is not; HTTP/1.1 is what ALPN chooses", async (t) => {
  const { server, target } = await started(t);
  const connect = async (options) => {
    const socket = tls.connect({
      ...{ host: "127.0.0.1", port: server.port, ...target.tls },
      ...options,
    });
    try {
      await once(socket, "secureConnect");
      return { version: socket.getProtocol(), alpn: socket.alpnProtocol };
    } catch (error) {
      return error.code;
    } finally {
      socket.destroy();
    }
  };
  for (const version of ["TLSv1.2", "TLSv1.3"])
    assert.deepEqual(
      await connect({
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ["h2", "http/1.1"],
      }),
      { version, alpn: "http/1.1" },
    );
  assert.match(
    await connect({
      minVersion: "TLSv1.1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    }),
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/,
  );
  assert.match(await connect({ ALPNProtocols: ["h2"] }), /ALPN|NO_APPLICATION/i);
  assert.equal(await handshakes(target, "refused"), 2);
});

test("plain HTTP is told that this port speaks TLS", async (t) => {
  const { server, target } = await started(t);
  const text = await exchange(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /connection: close/i);
  assert.match(text, /"code":"tls_required".*https:\/\//);
  await until(() => /speak TLS: it sent plain HTTP/.test(server.stderr));
  assert.equal(await handshakes(target, "plain_http"), 1);
});

test("a client that says nothing, or stops in the middle, is ended in time", async (t) => {
  const { server, target } = await started(t, { control: true });
  const silent = net.connect(server.port, "127.0.0.1");
  const halting = net.connect(server.port, "127.0.0.1");
  await Promise.all([once(silent, "connect"), once(halting, "connect")]);
  // The head of a record that announces a hello of 512 bytes, and some of it.
  halting.write(Buffer.from("16030102000100", "hex"));
  const ended = [silent, halting].map((socket) => {
    socket.on("error", () => {});
    socket.resume();
    return once(socket, "close");
  });
  assert.equal((await post(target, event)).status, 200);
  await Promise.all(ended); // 10 s, and no setting that shortens it
  assert.equal(await handshakes(target, "timeout"), 2);
  await until(() => /it sent nothing|of the handshake/.test(server.stderr));
});

test("batches of the largest size, slowly answered reads and pipelining hold", async (t) => {
  const { server, target } = await started(t, { more: ["--loops", "1"] });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const line = `${JSON.stringify({ source: "big", data: { x: "x".repeat(9e5) } })}\n`;
  const count = Math.floor((16 << 20) / line.length);
  const batch = (path, body, headers) =>
    request({ ...target, agent }, { method: "POST", path, body, headers });
  const ndjson = { "content-type": "application/x-ndjson" };
  const answer = await batch("/events/batch", line.repeat(count), ndjson);
  assert.equal(answer.json().count, count);
  const over = await batch("/events/batch", line.repeat(count + 1), ndjson);
  assert.equal(over.status, 413);
  const { text } = await request(target, {
    path: "/events",
    headers: { accept: "application/x-ndjson" },
  });
  const stored = text.trim().split("\n");
  assert.equal(stored.length, count);
  assert.ok(stored.every((event) => JSON.parse(event).data.x.length === 9e5));

  const socket = tls.connect({ port: server.port, host: "127.0.0.1", ...target.tls });
  const body = JSON.stringify(event);
  const head = `POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.write((head + body).repeat(200));
  socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  let answers = "";
  socket.setEncoding("latin1").on("data", (more) => (answers += more));
  await once(socket, "end"); // told by TLS, not only by TCP
  const seqs = [...answers.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq));
  assert.deepEqual(
    seqs,
    Array.from({ length: 200 }, (_, i) => count + 1 + i),
  );
  assert.match(answers, /Expect|HTTP\/1\.1 200 OK/);
});

test("Expect: 100-continue is answered over TLS", async (t) => {
  const { server, certificates } = await started(t);
  const { stdout, stderr } = await run("curl", [
    ...["-sSv", "--fail", "--cacert", `${certificates.file("ca")}.crt`],
    ...["-H", "Expect: 100-continue", "-d", JSON.stringify(event)],
    `${server.url}/events`,
  ]);
  assert.deepEqual(JSON.parse(stdout), { seq: 1 });
  assert.match(stderr, /HTTP\/1\.1 100 Continue/);
});

test("a stream over TLS resumes where it was cut", async (t) => {
  const { server, target } = await started(t);
  const url = `${server.url}/events/stream`;
  const first = await openStream(url, { tls: target.tls });
  for (let i = 0; i < 5; i++) await post(target, { ...event, data: { i } });
  await until(() => first.events.length === 5);
  first.close();
  for (let i = 5; i < 300; i++) await post(target, { ...event, data: { i } });
  const second = await openStream(url, {
    tls: target.tls,
    headers: { "last-event-id": first.lastId },
  });
  await until(() => second.events.length === 295);
  assert.deepEqual(
    second.events.map((e) => JSON.parse(e.data).data.i),
    Array.from({ length: 295 }, (_, i) => i + 5),
  );
  second.close();
});

test("a reader that does not read holds a bounded amount, and misses nothing", async (t) => {
  const { server, target } = await started(t);
  const socket = tls.connect({ port: server.port, host: "127.0.0.1", ...target.tls });
  await once(socket, "secureConnect");
  socket.pause();
  socket.write("GET /events/stream?replay=all HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const batch = JSON.stringify(
    Array.from({ length: 50 }, () => ({ ...event, data: "x".repeat(10000) })).map(
      (e) => ({ ...e, data: { x: e.data } }),
    ),
  );
  for (let i = 0; i < 60; i++) {
    const answer = await request(target, {
      method: "POST",
      path: "/events/batch",
      headers: json,
      body: batch,
    });
    assert.equal(answer.status, 200);
  }
  const held = sample(
    (await request(target, { path: "/metrics" })).text,
    "telltale_http_body_bytes",
  );
  assert.ok(held < 200_000, `${held} bytes are held`);
  let text = "";
  const seen = [];
  socket.setEncoding("latin1").on("data", (more) => {
    text += more;
    const end = text.lastIndexOf("\n");
    for (const [, id] of text.slice(0, end).matchAll(/^id: (\d+)$/gm))
      seen.push(Number(id));
    text = text.slice(end);
  });
  socket.resume();
  await until(() => seen.at(-1) === 3000, { timeout: 30000, what: "the end" });
  assert.deepEqual(
    seen,
    Array.from({ length: 3000 }, (_, i) => i + 1),
  );
  socket.destroy();
});

test("other certificates come by SIGHUP, without losing a request", async (t) => {
  const { server, certificates, target } = await started(t);
  certificates.make("ca2").make("second", "ca2").make("odd", "ca2");
  const copy = (name) => {
    for (const kind of ["key", "crt"])
      copyFileSync(
        `${certificates.file(name)}.${kind}`,
        `${certificates.file("server")}.${kind}`,
      );
  };
  const reload = async (pattern) => {
    const logged = server.stderr.length;
    server.child.kill("SIGHUP");
    await until(() => pattern.test(server.stderr.slice(logged)), {
      what: String(pattern),
    });
  };
  const trusted = Buffer.concat([certificates.read("ca"), certificates.read("ca2")]);
  const both = { port: server.port, tls: { ca: trusted } };
  const stream = await openStream(`${server.url}/events/stream`, target);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  let stop = false;
  let sent = 0;
  const load = Array.from({ length: 8 }, async (_, i) => {
    while (!stop) {
      const answer = await post(i < 4 ? { ...both, agent } : both, event);
      assert.equal(answer.status, 200);
      sent++;
    }
  });
  const presented = async () => {
    const socket = tls.connect({ port: server.port, host: "127.0.0.1", ca: trusted });
    await once(socket, "secureConnect");
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };
  assert.equal(await presented(), "server");
  for (const name of ["second", "odd", "second"]) {
    copy(name);
    await reload(/new connections get the certificate/);
    assert.equal(await presented(), name);
  }
  // A key of another certificate: nothing changes, and it is said and counted.
  copyFileSync(
    `${certificates.file("odd")}.key`,
    `${certificates.file("server")}.key`,
  );
  await reload(/nothing was changed.*not the key of the certificate/);
  assert.equal(await presented(), "second");
  stop = true;
  await Promise.all(load);
  const metrics = (await request(both, { path: "/metrics" })).text;
  const outcome = "failed";
  assert.equal(sample(metrics, "telltale_config_reloads_total", { outcome }), 1);
  assert.ok(sent > 20, `${sent}`);
  await until(() => stream.events.length === sent); // of the first certificate
  stream.close();
});

test("a client's certificate is as good as a token, for sending", async (t) => {
  const { server, certificates, target } = await started(t, {
    clients: true,
    env: { TELLTALE_TOKEN_ADMIN: "secret" },
  });
  certificates.make("stranger");
  const known = { ...target, tls: certificates.client("ca", "client") };
  const status = async (to, path, headers) =>
    (await request(to, { path, headers })).status;
  const bearer = { authorization: "Bearer secret" };

  assert.equal((await post(known, event)).status, 200);
  assert.equal((await post(target, event)).status, 401);
  assert.equal((await post(target, event, bearer)).status, 200);
  // A wrong token is wrong, whoever shows it.
  const wrong = { authorization: "Bearer wrong" };
  assert.equal((await post(known, event, wrong)).status, 401);
  // For reading a token is needed as before.
  assert.equal(await status(known, "/events/recent"), 401);
  assert.equal(await status(known, "/events/recent", bearer), 200);
  assert.equal(await status(known, "/api/v1/tokens"), 401);
  // A browser's cookie stays inside TLS.
  const login = await request(target, {
    method: "POST",
    path: "/login",
    headers: json,
    body: JSON.stringify({ token: "secret" }),
  });
  assert.match(login.headers["set-cookie"][0], /; Secure/);
  // Keys are the client's own: another's are not in the way.
  const key = { "idempotency-key": "k" };
  const seq = async (to, headers) =>
    (await post(to, event, { ...headers, ...key })).json().seq;
  const one = await seq(known, {});
  assert.equal(await seq(known, {}), one);
  assert.notEqual(await seq(target, bearer), one);

  // One that nobody we know has signed does not get in.
  const stranger = { ...target, tls: certificates.client("ca", "stranger") };
  await assert.rejects(post(stranger, event), /unknown ca|ECONNRESET|EPIPE/i);
  await until(() => /client's certificate: self-signed/.test(server.stderr));
});

const secure = path.join(buildDir, "examples/example-secure");

test("the emitter trusts the CA it is given, and shows its certificate", async (t) => {
  const { server, certificates, target } = await started(t, {
    clients: true,
    env: { TELLTALE_TOKEN_READ: "secret" },
  });
  const file = (name, kind = "crt") => `${certificates.file(name)}.${kind}`;
  const url = `${server.url}/events`;
  const client = [file("client"), file("client", "key")];
  const { stdout } = await run(secure, [url, file("ca"), ...client]);
  assert.equal(stdout, "1000 of 1000 events sent\n");
  const headers = { authorization: "Bearer secret" };
  const stats = await request(target, { path: "/events/stats", headers });
  assert.equal(stats.json().total_events, 1000);

  const failed = async (args) => {
    const error = await run(secure, [url, ...args]).then(
      () => assert.fail("it was sent"),
      (error) => error,
    );
    assert.equal(error.stdout, "0 of 1000 events sent\n");
    return error.stderr;
  };
  assert.match(await failed([file("clients")]), /certificate problem/);
  assert.match(await failed([file("ca")]), /401/);
  assert.match(await failed([file("none")]), /none\.crt|certificate/);
});

test("the commands take CA, certificate and key by option or environment", async (t) => {
  const { server, certificates } = await started(t, {
    clients: true,
    env: { TELLTALE_TOKEN_READ: "secret" },
  });
  const file = (name, kind = "crt") => `${certificates.file(name)}.${kind}`;
  const send = (args, env = {}) =>
    cli(server, ["send", "-s", "cli", "-a", "x", ...args], { env });
  const flags = ["--ca", file("ca"), "--cert", file("client"), "--key", file("client", "key")];
  assert.equal((await send(flags)).code, 0);
  const env = {
    TELLTALE_CA: file("ca"),
    TELLTALE_CERT: file("client"),
    TELLTALE_KEY: file("client", "key"),
    TELLTALE_TOKEN: "",
  };
  assert.equal((await send([], env)).code, 0);
  const recent = await cli(server, ["recent", "--json", "--ca", file("ca")], {
    env: { TELLTALE_TOKEN: "secret" },
  });
  assert.equal(recent.out.trim().split("\n").length, 2);
  const tail = await cli(server, ["tail", "--all", "-n", "2", "--json"], {
    env: { TELLTALE_TOKEN: "secret", TELLTALE_CA: file("ca") },
  });
  assert.equal(tail.out, recent.out);

  const untrusted = await send([]);
  assert.equal(untrusted.code, 3);
  assert.match(untrusted.err, /name its CA with --ca/);
  const missing = await send(["--ca", file("none")]);
  assert.equal(missing.code, 2);
  assert.match(missing.err, /--ca .*none\.crt: cannot be read: No such file/);
  const half = await send(["--key", file("client", "key")]);
  assert.equal(half.code, 2);
  assert.match(half.err, /--key .* without --cert/);
});

test("files that cannot be used end the start: option, file, what to do", async (t) => {
  const folder = await temporaryFolder(t);
  const certificates = new Certificates(folder);
  certificates.make("one").make("two");
  const file = (name, kind = "crt") => `${certificates.file(name)}.${kind}`;
  writeFileSync(file("text"), "hello\n");
  execFileSync("openssl", [
    ...["pkey", "-aes-128-cbc", "-passout", "pass:x"],
    ...["-in", file("one", "key"), "-out", file("locked", "key")],
  ]);
  const pair = (cert, key) => ["--tls-cert", cert, "--tls-key", key];
  const one = pair(file("one"), file("one", "key"));
  for (const [args, wanted] of [
    [pair(file("no"), file("one", "key")), /--tls-cert .*no\.crt: cannot be read: No such/],
    [pair(file("text"), file("one", "key")), /--tls-cert .*text\.crt: holds no certificate in PEM/],
    [pair(file("one"), file("two", "key")), /--tls-key .*two\.key is not the key of .*one\.crt/],
    [pair(file("one"), file("locked", "key")), /--tls-key .*locked\.key: the key is encrypted.*openssl pkey/],
    [["--tls-cert", file("one")], /--tls-cert is given without --tls-key/],
    [["--tls-client-ca", file("one")], /--tls-client-ca is given without --tls-cert/],
    [[...one, "--tls-client-ca", file("text")], /--tls-client-ca .*text\.crt: holds no certificate/],
  ]) {
    const serve = await cli(null, ["serve", "--store", "memory", "--listen", "127.0.0.1:0", ...args]);
    assert.equal(serve.code, 2, serve.err);
    assert.match(serve.err, wanted);
    const check = await cli(null, ["config", "check", ...args]);
    assert.equal(check.code, 2);
    assert.equal(check.err, serve.err);
  }
  assert.equal((await cli(null, ["config", "check", ...one])).code, 0);
});
