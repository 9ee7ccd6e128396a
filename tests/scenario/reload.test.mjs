// SIGHUP: what changes while the server runs, and what a bad file changes.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { request, sample } from "../harness/raw.mjs";
import { openStream } from "../harness/sse.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";

const event = JSON.stringify({ source: "s" });

// A server with a configuration file, and reload(text, ...patterns): writes it,
// sends SIGHUP, waits until the server has logged what matches (without patterns:
// until it has counted), and answers all that it logged about it.
async function configured(t, text, options = {}) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "telltale.yaml");
  await writeFile(file, text);
  const args = ["--config", file, ...(options.args ?? [])];
  const server = await startServer(t, { ...options, folder, args });
  const reload = async (text, ...patterns) => {
    const before = patterns.length ? 0 : await count(server, "ok");
    const logged = server.stderr.length;
    await writeFile(file, text);
    server.child.kill("SIGHUP");
    const said = () => server.stderr.slice(logged);
    for (const pattern of patterns)
      await until(() => pattern.test(said()), { what: String(pattern) });
    if (!patterns.length)
      await until(async () => (await count(server, "ok")) > before, {
        what: "the reload",
      });
    return said();
  };
  return { server, reload, file };
}

const metrics = async (server) => (await server.fetch("/metrics")).text();
const count = async (server, outcome) =>
  sample(await metrics(server), "telltale_config_reloads_total", { outcome });

test("what is live changes without a restart, the rest is named", async (t) => {
  const { server, reload } = await configured(t, "log_level: info\n");
  const origin = "https://app.example";
  const cross = () =>
    request(server, {
      method: "POST",
      path: "/events",
      headers: { origin, "sec-fetch-site": "cross-site" },
      body: event,
    });
  const host = () =>
    request(server, { path: "/healthz", headers: { host: "a.example" } });
  assert.equal((await cross()).status, 403);
  assert.equal((await host()).status, 421);

  await reload(
    `cors_origins: [${origin}]\nhosts: a.example\nloops: 3\nbus: local\n`,
    /changed: hosts, cors_origins/,
    /need a restart: loops/,
  );
  const answer = await cross();
  assert.equal(answer.headers["access-control-allow-origin"], origin);
  assert.equal((await host()).status, 200);

  const said = await reload("{}", /changed: hosts, cors_origins/);
  assert.doesNotMatch(said, /restart/);
  assert.equal((await cross()).status, 403);
  assert.equal((await host()).status, 421);
  await reload("{}", /no setting changed/);
  assert.equal(sample(await metrics(server), "telltale_config_last_reload_ok"), 1);
});

test("the log's level and form change", async (t) => {
  const { reload } = await configured(t, "{}");
  const said = await reload("log_format: json\n", /log_format/);
  assert.equal(JSON.parse(said.trim().split("\n").at(-1)).module, "config");
  assert.equal(await reload("log_level: error\n"), "");
  await reload("{}", /changed: log_level/);
});

test("history shrinks to what is kept from now on", async (t) => {
  const { server, reload } = await configured(t, "retain: 1h\n", {
    control: true,
    env: { TELLTALE_TEST_TABLE_ROWS: "4" },
  });
  const oldest = async () =>
    (await server.json("/api/v1/status")).store.oldest_seq;
  for (let i = 0; i < 12; i++) await server.post("/events", JSON.parse(event));
  await server.control("clock advance_us 120000000");
  assert.equal(await oldest(), 1);
  await reload("retain: 1m\nretain_bytes: 2GB\n", /changed: retain, retain_bytes/);
  await until(async () => (await oldest()) > 8, { what: "retention" });
  const { retention } = await server.json("/api/v1/status");
  assert.deepEqual(retention, { max_age_s: 60, max_bytes: 2000000000 });
});

test("a token file is read again, and what the old one let in ends", async (t) => {
  const file = path.join(await temporaryFolder(t), "token");
  await writeFile(file, "tt_old\n", { mode: 0o600 });
  const { server, reload } = await configured(t, "{}", {
    env: { TELLTALE_TOKEN_READ_FILE: file },
  });
  const bearer = (token) => ({ authorization: `Bearer ${token}` });
  const status = async (token) =>
    (await request(server, { path: "/events", headers: bearer(token) })).status;
  const stream = await openStream(`${server.url}/events/stream`, {
    headers: bearer("tt_old"),
  });
  assert.equal(await status("tt_old"), 200);
  await writeFile(file, "tt_new\n", { mode: 0o600 });
  await reload("{}", /changed: tokens of the environment/);
  assert.deepEqual([await status("tt_old"), await status("tt_new")], [401, 200]);
  await stream.ended;
  await writeFile(file, "\n");
  await reload("{}", /nothing was changed: .*token: a token is 1 to 1024/);
  assert.equal(await status("tt_new"), 200);
  await writeFile(file, "tt_new\n");
  await reload("{}", /no setting changed/);
});

test("routes are opened and closed, proxies trusted or not", async (t) => {
  const { server, reload } = await configured(t, "{}", {
    env: { TELLTALE_TOKEN_INGEST: "tt_ingest" },
  });
  const post = () =>
    request(server, {
      method: "POST",
      path: "/events",
      headers: { "x-forwarded-for": "203.0.113.9" },
      body: event,
    });
  assert.equal((await post()).status, 401);
  await reload(
    "open: [ingest]\nlimits: {open_burst: 1, open_rate: 1}\n",
    /changed: open, limits\.open_rate, limits\.open_burst/,
  );
  let answer;
  for (let i = 0; i < 100 && answer?.status !== 429; i++) answer = await post();
  assert.match(answer.json().message, /^127\.0\.0\.1 /);
  await reload(
    "open: ingest\nlimits: {open_burst: 1}\ntrusted_proxies: [127.0.0.0/8]\n",
    /changed: trusted_proxies/,
  );
  for (let i = 0; i < 100 && !/^203/.test(answer.json().message); i++)
    answer = await post();
  assert.match(answer.json().message ?? "", /^203\.0\.113\.9 /);
  await reload("{}", /changed: trusted_proxies, open/);
  assert.equal((await post()).status, 401);
});

test("a bad file changes nothing, and says where it is bad", async (t) => {
  const { server, reload } = await configured(t, "hosts: a.example\n");
  for (const [text, wanted] of [
    ["hosts: b.example\nlog_levle: warn\n", /telltale\.yaml:2.*log_levle.*log_level/],
    ["hosts: b.example\nretain: soon\n", /telltale\.yaml:2.*retain.*soon/],
    ["hosts: [b.example\n", /telltale\.yaml:\d.*not valid YAML/],
  ]) {
    await reload(text, wanted, /level=error/, /nothing was changed/);
    const asked = (host) =>
      request(server, { path: "/healthz", headers: { host } });
    assert.equal((await asked("a.example")).status, 200);
    assert.equal((await asked("b.example")).status, 421);
    const shown = await metrics(server);
    assert.equal(sample(shown, "telltale_config_last_reload_ok"), 0);
  }
  assert.equal(await count(server, "failed"), 3);
  await reload("hosts: a.example\n");
  assert.equal(sample(await metrics(server), "telltale_config_last_reload_ok"), 1);
});

test("flags stay above the file", async (t) => {
  const { reload } = await configured(t, "log_level: warn\n", {
    args: ["--log-level", "info"],
  });
  await reload("log_level: error\n", /no setting changed/);
});

test("reloads under load lose no request", async (t) => {
  const { server, reload } = await configured(t, "{}");
  let stop = false;
  let sent = 0;
  const posting = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!stop) {
        const answer = await server.post("/events", event);
        assert.equal(answer.status, 200);
        await answer.arrayBuffer();
        sent++;
      }
    }),
  );
  for (let i = 0; i < 20; i++)
    await reload(`cors_origins: [https://a${i}.example]\nhosts: h${i}.example\n`);
  stop = true;
  await posting;
  const stats = await server.json("/events/stats");
  assert.equal(stats.total_events, sent);
});
