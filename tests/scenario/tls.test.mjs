// TLS: who gets in, what holds as without it, and other certificates while the
// server runs.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { promisify } from "node:util";
import { exchange, request, sample } from "../harness/raw.mjs";
import {
  buildDir,
  Server,
  startServer,
  temporaryFolder,
  testBinary,
  until,
} from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";
import { Certificates } from "../harness/tls.mjs";

const run = promisify(execFile);
const event = { source: "a", action: "b" };
const json = { "content-type": "application/json" };

// A CA, a server that it has signed, and {server, certificates, target}: target
// is what request() takes.
async function started(t, { more = [], ...options } = {}) {
  const folder = await temporaryFolder(t);
  const certificates = new Certificates(folder);
  certificates.make("ca").make("server", "ca");
  const args = [...certificates.args("server"), ...more];
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
  assert.match(server.stderr, /127\.0\.0\.1 did not get to speak TLS: .*plain/);
  assert.equal(await handshakes(target, "plain_http"), 1);
});
