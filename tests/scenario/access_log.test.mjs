// The access log: a line for each request, and nobody waits for it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { constants } from "node:fs";
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { exchange, request, sample } from "../harness/raw.mjs";
import { openStream } from "../harness/sse.mjs";
import { Server, startServer, temporaryFolder, until } from "../harness/server.mjs";

const env = {
  TELLTALE_TOKEN_READ: "tt_read_of_the_test",
  TELLTALE_TOKEN_ADMIN: "tt_admin_of_the_test",
};
const admin = { authorization: `Bearer ${env.TELLTALE_TOKEN_ADMIN}` };

const linesOf = async (file) =>
  (await readFile(file, "utf8").catch(() => "")).split("\n").slice(0, -1);

// Waits for a line that `wanted` is true for.
const line = (file, wanted) =>
  until(async () => (await linesOf(file)).find(wanted), { what: "the line" });

const jsonLine = async (file, wanted) =>
  JSON.parse(await line(file, (text) => wanted(JSON.parse(text))));

async function logged(t, format, options = {}) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "access.log");
  const args = ["--access-log", format, "--access-log-file", file];
  const server = await startServer(t, {
    ...options,
    folder,
    args: [...args, ...(options.args ?? [])],
  });
  return { server, file };
}

test("it is off unless it was turned on", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "s" });
  await server.stop();
  assert.ok(!server.stderr.includes("duration_ms"));
});

test("a line says who asked what, and how it went", async (t) => {
  const { server, file } = await logged(t, "json", { env });
  const answer = await request(server, {
    method: "POST",
    path: "/events?secret=in-a-query",
    headers: { ...admin, "x-request-id": 'a "b"\\c' },
    body: '{"source":"s"}',
  });
  assert.equal(answer.status, 200);
  const post = await jsonLine(file, (entry) => entry.method === "POST");
  assert.ok(Math.abs(Date.parse(post.ts) - Date.now()) < 60000);
  assert.ok(post.duration_ms > 0 && post.duration_ms < 60000);
  assert.deepEqual(
    { ...post, ts: 0, duration_ms: 0 },
    {
      ts: 0,
      method: "POST",
      path: "/events",
      status: 200,
      bytes: answer.text.length,
      duration_ms: 0,
      client: "127.0.0.1",
      token: "environment-admin",
      request_id: 'a "b"\\c',
    },
  );
  await request(server, { path: "/nowhere", headers: admin });
  await request(server, { path: "/events", headers: { authorization: "Bearer x" } });
  await request(server, { method: "HEAD", path: "/healthz" });
  const none = await jsonLine(file, (entry) => entry.status === 404);
  assert.deepEqual([none.path, none.token], ["/nowhere", "environment-admin"]);
  const wrong = await jsonLine(file, (entry) => entry.status === 401);
  assert.equal(wrong.token, undefined);
  const head = await jsonLine(file, (entry) => entry.method === "HEAD");
  assert.deepEqual([head.status, head.bytes], [200, 0]);
  const text = await readFile(file, "utf8");
  for (const secret of ["secret", "tt_", "Bearer"])
    assert.ok(!text.includes(secret), secret);
});

test("logfmt has the same", async (t) => {
  const { server, file } = await logged(t, "logfmt");
  await server.fetch("/healthz", { headers: { "x-request-id": "r1" } });
  assert.match(
    await line(file, (text) => text.includes("/healthz")),
    /^ts=\S+Z method=GET path="\/healthz" status=200 bytes=\d+ duration_ms=\d+\.\d{3} client=127\.0\.0\.1 request_id="r1"$/,
  );
});

test("a stream has its line when it ends", async (t) => {
  const { server, file } = await logged(t, "json");
  const stream = await openStream(`${server.url}/events/stream`);
  await server.post("/events", { source: "s", action: "x".repeat(5000) });
  await until(() => stream.events.some((event) => event.data.includes("xxx")));
  assert.ok(!(await linesOf(file)).some((text) => text.includes("stream")));
  stream.close();
  const entry = await jsonLine(file, (entry) => entry.path === "/events/stream");
  assert.equal(entry.status, 200);
  assert.ok(entry.bytes > 5000);
});

test("the client is whom a trusted proxy speaks for", async (t) => {
  const { server, file } = await logged(t, "json", {
    env,
    args: ["--trusted-proxy", "127.0.0.1"],
  });
  const headers = { "x-forwarded-for": "6.6.6.6, 2001:db8::7" };
  await request(server, { path: "/healthz", headers });
  const entry = await jsonLine(file, (entry) => entry.path === "/healthz");
  assert.equal(entry.client, "2001:db8::7");
});

test("pipelined requests, and what is no request, have lines too", async (t) => {
  const { server, file } = await logged(t, "json", { env });
  await exchange(
    server,
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" +
      `Authorization: ${admin.authorization}\r\n\r\n` +
      "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n" +
      "nonsense\r\n\r\n",
  );
  await until(async () => (await linesOf(file)).length === 3);
  const lines = (await linesOf(file)).map((text) => JSON.parse(text));
  assert.deepEqual(
    lines.map(({ path, status, token }) => [path, status, token]),
    [
      ["/healthz", 200, "environment-admin"],
      ["/events", 401, undefined],
      [undefined, 400, undefined],
    ],
  );
});

test("SIGHUP opens the file again, and moves it", async (t) => {
  const { server, file } = await logged(t, "json");
  await server.fetch("/healthz");
  await line(file, (text) => text.includes("/healthz"));
  await rename(file, `${file}.1`);
  const kept = await linesOf(`${file}.1`);
  server.child.kill("SIGHUP");
  await until(() => server.stderr.includes("no setting changed"));
  await server.fetch("/readyz");
  await line(file, (text) => text.includes("/readyz"));
  assert.deepEqual(await linesOf(`${file}.1`), kept);
});

test("it can be turned on, changed and off while it runs", async (t) => {
  const folder = await temporaryFolder(t);
  const config = path.join(folder, "telltale.yaml");
  const file = path.join(folder, "access.log");
  await writeFile(config, "{}");
  const server = await startServer(t, { folder, args: ["--config", config] });
  const reload = async (text, pattern) => {
    const logged = server.stderr.length;
    await writeFile(config, text);
    server.child.kill("SIGHUP");
    await until(() => pattern.test(server.stderr.slice(logged)), {
      what: String(pattern),
    });
  };
  await reload(`access_log: json\naccess_log_file: ${file}\n`, /changed: access_log/);
  await server.fetch("/healthz");
  await line(file, (text) => text.startsWith('{"ts"'));
  const nowhere = path.join(folder, "no/such/folder");
  await reload(
    `access_log: json\naccess_log_file: ${nowhere}\n`,
    /nothing was changed: access_log_file: \S+ cannot be opened/,
  );
  await server.fetch("/readyz");
  await line(file, (text) => text.includes("/readyz"));
  await reload("access_log: logfmt\n", /changed: access_log, access_log_file/);
  await server.fetch("/healthz?x");
  await until(() => /^ts=\S+ method=GET path="\/healthz"/m.test(server.stderr));
  await reload("access_log: off\n", /changed: access_log/);
  const before = server.stderr;
  await server.fetch("/healthz");
  await server.stop();
  assert.ok(!server.stderr.slice(before.length).includes("/healthz"));
});

test("a file that cannot be opened is refused at start", async (t) => {
  const folder = await temporaryFolder(t);
  const args = ["--access-log", "json", "--access-log-file", folder];
  const server = new Server(folder, { args });
  await assert.rejects(server.start(), /access_log_file: .* cannot be opened/);
});

test("who does not read it makes nobody wait", async (t) => {
  const folder = await temporaryFolder(t);
  const fifo = path.join(folder, "pipe");
  execFileSync("mkfifo", [fifo]);
  const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => reader.close());
  const args = ["--access-log", "json", "--access-log-file", fifo];
  const server = await startServer(t, { folder, args });
  const long = `/${"x".repeat(4000)}`;
  const batch =
    `GET ${long} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(60) +
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const dropped = async () =>
    sample(
      await (await server.fetch("/metrics")).text(),
      "telltale_access_log_dropped_total",
    );
  for (let i = 0; i < 100 && !(await dropped()); i++)
    assert.match(await exchange(server, batch), /"ok":true/);
  assert.ok((await dropped()) > 0);
  assert.equal((await server.stop()).code, 0);
});

test("a pipe that nobody reads does not keep SIGHUP from another target", async (t) => {
  const folder = await temporaryFolder(t);
  const [config, fifo, file] = ["telltale.yaml", "pipe", "access.log"].map((name) => path.join(folder, name));
  execFileSync("mkfifo", [fifo]);
  const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  t.after(() => reader.close());
  await writeFile(config, `access_log: json\naccess_log_file: ${fifo}\n`);
  const server = await startServer(t, { folder, args: ["--config", config] });
  const long = `/${"x".repeat(1000)}`;
  const batch =
    `GET ${long} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(60) +
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  for (let i = 0; i < 3; i++)
    assert.match(await exchange(server, batch), /"ok":true/);
  await writeFile(config, `access_log: json\naccess_log_file: ${file}\n`);
  server.child.kill("SIGHUP");
  await until(() => /changed: access_log_file/.test(server.stderr));
  await server.fetch("/readyz");
  await line(file, (text) => text.includes("/readyz"));
});

test("a full disk costs the lines that did not fit, and no other", async (t) => {
  let disk;
  t.after(() => disk && execFileSync("umount", ["-l", disk]));
  const folder = await temporaryFolder(t);
  disk = path.join(folder, "disk");
  const filler = path.join(disk, "filler");
  const file = path.join(disk, "access.log");
  execFileSync("mkdir", [disk]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
  await writeFile(filler, "x".repeat(40960));
  const args = ["--access-log", "json", "--access-log-file", file];
  const server = await startServer(t, { folder, args });
  const ask = async (what, times = 1) => {
    const one = `GET ${what} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    await exchange(server, one.repeat(times - 1) + last);
  };
  await ask(`/lost${"x".repeat(900)}`, 60);
  await until(() => /access.log cannot be written: No space left/.test(server.stderr));
  await rm(filler);
  await ask("/found");
  await until(() => /access.log is written again/.test(server.stderr));
  const whole = (text) => {
    try {
      return JSON.parse(text).path;
    } catch {
      return undefined;
    }
  };
  const paths = (await linesOf(file)).map(whole);
  assert.equal(paths.at(-1), "/found");
  const metrics = await (await server.fetch("/metrics")).text();
  const kept = paths.filter((path) => path?.startsWith("/lost")).length;
  assert.ok(kept > 0);
  assert.equal(sample(metrics, "telltale_access_log_dropped_total"), 60 - kept);
});
