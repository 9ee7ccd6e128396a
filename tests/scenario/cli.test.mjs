// The command as people type it: what it says, what it sends, how it ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cli, cliOnTerminal, startCli } from "../harness/cli.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";
import { openStream } from "../harness/sse.mjs";

const nowhere = { TELLTALE_URL: "http://127.0.0.1:1" };
const last = async (server) => (await server.json("/events/recent?n=1"))[0];
const parse = (lines) => lines.map((line) => JSON.parse(line));

// ---- send

test("send: every option arrives, data as it was typed", async (t) => {
  const server = await startServer(t);
  const options = "-s app -a deploy -c ops -l warn --agent-id a7 --duration-ms 12";
  const sent = await cli(server, [
    "send",
    ...options.split(" "),
    "env=prod",
    "empty=",
    "with=an = sign",
    "rows:=42",
    "big:=123456789012345678901",
    'lone:="\\ud800"',
    'list:=[1, {"a": null}]',
  ]);
  assert.equal(sent.code, 0, sent.err);
  assert.equal(sent.out, "");
  assert.equal(sent.err, "sent (seq 1)\n");
  const text = await (await server.fetch("/events/recent?n=1")).text();
  assert.match(text, /"big":123456789012345678901/);
  assert.match(text, /"lone":"\\ud800"/);
  const [{ ts, data, ...event }] = JSON.parse(text);
  assert.deepEqual(event, {
    seq: 1,
    source: "app",
    action: "deploy",
    channel: "ops",
    level: "warn",
    agent_id: "a7",
    duration_ms: 12,
  });
  assert.ok(Math.abs(Date.parse(ts) - Date.now()) < 60000);
  assert.equal(data.env, "prod");
  assert.equal(data.empty, "");
  assert.equal(data.with, "an = sign");
  assert.equal(data.rows, 42);
  assert.deepEqual(data.list, [1, { a: null }]);

  const long = await cli(server, [
    "send",
    "--source=app",
    "--data",
    '{"nested": {"k": [1]}}',
    "--json",
  ]);
  assert.equal(long.code, 0, long.err);
  assert.equal(JSON.parse(long.out).seq, 2);
  assert.equal(long.err, "");
  assert.deepEqual((await last(server)).data, { nested: { k: [1] } });
});

test("bad usage ends with 2, says why, and sends nothing", async (t) => {
  const server = await startServer(t);
  for (const [line, why] of [
    [[], /usage: telltale COMMAND/],
    [["sned"], /unknown command "sned"/],
    [["send"], /--source is required/],
    [["send", "-s", ""], /--source is required/],
    [["send", "-s"], /-s needs a value \(NAME\)/],
    [["send", "-s", "a", "--colour", "red"], /--colour is not an option/],
    [["send", "-s", "a", "word"], /word is neither key=string nor key:=json/],
    [["send", "-s", "a", "n:=1 2"], /what follows := is not JSON/],
    [["send", "-s", "a", "n:=nul"], /what follows := is not JSON/],
    [["send", "-s", "a", "-d", "[1]"], /--data is not a JSON object/],
    [["send", "-s", "a", "-d", "{}", "k=v"], /cannot be given together/],
    [["send", "-s", "a", "--duration-ms", "1.5"], /not a whole number/],
    [["send", "-s", "a", "--json=yes"], /--json=yes takes no value/],
    [["send", "-s", "a", "--url", "ftp://x"], /does not begin with http/],
    [["tail", "here"], /here: no such argument/],
    [["tail", "--after", "x"], /--after x is not a whole number/],
    [["tail", "-n", "0"], /--count 0 is not a whole number above 0/],
    [["recent", "-n", "0"], /--count 0 is not a number from 1 to 10000/],
    [["recent", "-n", "10001"], /--count 10001 is not/],
    [["status", "now"], /now: no such argument/],
    [["token"], /say create, list or revoke/],
    [["token", "make"], /make is not create, list or revoke/],
    [["token", "create"], /--scope takes ingest, read and admin/],
    [["token", "create", "--scope", "root"], /not 'root'/],
    [["token", "revoke"], /which id/],
    [["version", "2"], /2: no such argument/],
    [["tial"], /unknown command "tial"; did you mean tail\?/],
    [["tail", "--levle", "x"], /--levle is not an option; did you mean --level\?/],
    [["bench", "--batches=1"], /--batches is not an option; did you mean --batch\?/],
    [["tail", "--xyzzy"], /--xyzzy is not an option\n/],
  ]) {
    const { code, out, err } = await cli(server, line);
    assert.equal(code, 2, `${line.join(" ")}: ${err}`);
    assert.match(err, why);
    assert.equal(out, "");
  }
  assert.equal((await server.json("/events/stats")).received, 0);
});

// The commands that --help lists.
async function commands() {
  const { out } = await cli(null, ["--help"]);
  return [...out.matchAll(/^  ([a-z]+) /gm)].map((found) => found[1]);
}

test("help and version go to standard output and end with 0", async () => {
  const all = await commands();
  assert.ok(all.length > 10, all.join());
  for (const command of all) {
    const { code, out, err } = await cli(null, [command, "--help"]);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^usage: telltale ${command} `));
    assert.match(out, new RegExp(`^  .*\\btelltale ${command}\\b`, "m"), "an example");
    assert.equal(err, "");
  }
  const help = await cli(null, ["--help"]);
  assert.match(help.out, /0 done, 1 failed or refused, 2 bad usage, 3 no server/);
  assert.match((await cli(null, ["version"])).out, /^telltale \d+\.\d+\.\d+\n$/);
});

test("no server: 3, and what to do about it", async () => {
  for (const line of [
    ["send", "-s", "a"],
    ["send", "--stdin"],
    ["tail"],
    ["recent"],
    ["status"],
    ["token", "list", "--url", nowhere.TELLTALE_URL],
  ]) {
    const input = '{"source":"a"}';
    const { code, err } = await cli(null, line, { env: nowhere, input });
    assert.equal(code, 3, `${line.join(" ")}: ${err}`);
    assert.match(err, /no answer from http:\/\/127\.0\.0\.1:1/);
    assert.match(err, /telltale serve/);
  }
});

test("a server that refuses: 1, with its reason and what to do", async (t) => {
  const server = await startServer(t, {
    env: { TELLTALE_TOKEN_INGEST: "tt_in", TELLTALE_TOKEN_READ: "tt_out" },
  });
  const blank = await cli(server, ["send", "-s", " ", "--token", "tt_in"]);
  assert.equal(blank.code, 1);
  assert.match(blank.err, /telltale send: 400 source is required/);
  for (const [line, status] of [
    [["send", "-s", "a"], 401],
    [["send", "-s", "a", "--token", "tt_out"], 403],
    [["tail"], 401],
    [["tail", "--token", "tt_in"], 403],
    [["recent"], 401],
    [["status"], 401],
  ]) {
    const { code, err } = await cli(server, line);
    assert.equal(code, 1, `${line.join(" ")}: ${err}`);
    assert.match(err, new RegExp(`^telltale ${line[0]}: ${status} .{10}`));
    if (status === 401) assert.match(err, /--token or TELLTALE_TOKEN/);
  }
  const env = { TELLTALE_TOKEN: "tt_in" };
  assert.equal((await cli(server, ["send", "-s", "a"], { env })).code, 0);
  const bad = await cli(server, ["tail", "--level", ">=loud", "--token", "tt_out"]);
  assert.equal(bad.code, 1);
  assert.match(bad.err, /telltale tail: 400 .*loud/);
});

// ---- send --stdin

test("send --stdin takes one, an array, lines, and any spacing", async (t) => {
  const server = await startServer(t);
  const pretty = JSON.stringify({ source: "p", data: { text: "}{][\\\"\n" } }, null, 2);
  for (const [input, count] of [
    ["", 0],
    ["\n \n", 0],
    ["[]", 0],
    ['{"source":"one"}', 1],
    [' [{"source":"a"}, {"source":"b","data":{"n":[1,{}]}}]\n', 2],
    ['{"source":"a"}\n{"source":"b"}\r\n\n{"source":"c"}', 3],
    [`${pretty}\n${pretty}\n`, 2],
    [`[${pretty},${pretty}]`, 2],
  ]) {
    const before = (await server.json("/events/stats")).stored;
    const sent = await cli(server, ["send", "--stdin"], { input });
    assert.equal(sent.code, 0, sent.err);
    assert.equal(sent.err, `sent ${count} events\n`);
    const after = (await server.json("/events/stats")).stored;
    assert.equal(after - before, count, input);
  }
  assert.equal((await last(server)).data.text, '}{][\\"\n');
  const json = await cli(server, ["send", "--stdin", "--json"], {
    input: '{"source":"j"}',
  });
  assert.deepEqual(JSON.parse(json.out), { sent: 1 });
});

test("send --stdin: 25,000 events of every kind, in order, once", async (t) => {
  const server = await startServer(t);
  const kinds = [
    (i) => ({ source: "a", data: { i } }),
    (i) => ({ source: "b", level: "error", action: `n${i}`, data: { i } }),
    (i) => ({ source: "ü☃", channel: "c", data: { i, text: "\u0000\ud800" } }),
    (i) => ({ source: "d", unknown: { deep: [[[i]]] }, data: { i } }),
    (i) => ({ source: "e", data: { i, pad: "x".repeat(i % 997) } }),
  ];
  const lines = Array.from({ length: 25000 }, (_, i) =>
    JSON.stringify(kinds[i % kinds.length](i)),
  );
  const sent = await cli(server, ["send", "--stdin"], { input: lines.join("\n") });
  assert.equal(sent.code, 0, sent.err);
  assert.equal(sent.err, "sent 25000 events\n");
  const stats = await server.json("/events/stats");
  assert.equal(stats.stored, 25000);
  assert.deepEqual(stats.by_source, { a: 5000, b: 5000, "ü☃": 5000, d: 5000, e: 5000 });
  const read = await cli(server, ["tail", "--all", "--json", "-n", "25000"]);
  assert.equal(read.code, 0, read.err);
  const events = parse(read.out.split("\n").slice(0, -1));
  assert.deepEqual(
    events.map((event) => event.data.i),
    lines.map((_, i) => i),
  );
});

test("send --stdin: options fill what an event leaves out, no more", async (t) => {
  const server = await startServer(t);
  const sent = await cli(
    server,
    ["send", "--stdin", "-s", "mine", "-l", "warn", "host=h1"],
    {
      input:
        '{}\n{ }\n{"source":"own"}\n{"level":"debug","data":{}}\n' +
        '{"action":"odd","data":{"n":1e999,"l":"\\udfff"}}\n',
    },
  );
  assert.equal(sent.code, 0, sent.err);
  const text = await (await server.fetch("/events/recent")).text();
  assert.match(text, /"n":1e999,"l":"\\udfff"/);
  const events = JSON.parse(text).map((e) => [e.source, e.level, e.data?.host]);
  assert.deepEqual(events, [
    ["mine", "warn", "h1"],
    ["mine", "warn", "h1"],
    ["own", "warn", "h1"],
    ["mine", "debug", undefined],
    ["mine", "warn", undefined],
  ]);
});

test("send --stdin: what is wrong in the middle is named with its place", async (t) => {
  const server = await startServer(t);
  const good = (count) => '{"source":"a"}\n'.repeat(count);
  const bad = await cli(server, ["send", "--stdin"], {
    input: `${good(1500)}{"action":"no source"}\n${good(500)}`,
  });
  assert.equal(bad.code, 1);
  assert.match(bad.err, /400 event 500: source is required/);
  assert.match(bad.err, /the input's event 1501, counted from 1/);
  assert.match(bad.err, /first 1000 events are stored/);
  assert.equal((await server.json("/events/stats")).stored, 1000);
  for (const [input, why] of [
    [`${good(3)}{"source":"cut`, /ends in the middle, after event 3/],
    [`[{"source":"a"},{"source":"a"}`, /ends in the middle, after event 2/],
    [`${good(2)}42\n`, /neither an object nor an array.* after event 2/],
    ["source,action\n", /neither an object nor an array/],
    ['{"source":"a",}', /400 event 0: /],
  ]) {
    const { code, err } = await cli(server, ["send", "--stdin"], { input });
    assert.equal(code, 1, input);
    assert.match(err, why);
  }
  assert.equal((await server.json("/events/stats")).stored, 1000);
});

test("send --stdin waits for a server that restarts, and repeats nothing", async (t) => {
  const server = await startServer(t);
  const run = startCli(server, ["send", "--stdin"]);
  const lines = (from, to) =>
    Array.from({ length: to - from }, (_, i) => `{"source":"a","data":{"i":${from + i}}}\n`).join("");
  run.child.stdin.write(lines(0, 5000));
  await until(async () => (await server.json("/events/stats")).stored >= 2000);
  await server.kill();
  run.child.stdin.end(lines(5000, 9000));
  await server.start();
  const { code, err } = await run.done;
  assert.equal(code, 0, err);
  const all = await cli(server, ["tail", "--all", "--json", "-n", "9000"]);
  assert.deepEqual(
    parse(all.out.split("\n").slice(0, -1)).map((event) => event.data.i),
    Array.from({ length: 9000 }, (_, i) => i),
  );
});

// ---- tail and recent

function tail(t, server, args, options) {
  const run = startCli(server, ["tail", ...args], options);
  t.after(async () => {
    run.child.kill("SIGKILL");
    await run.done;
  });
  return run;
}

const listening = (server, count) =>
  until(async () => (await server.json("/events/stats")).client_count === count, {
    what: `${count} streams`,
  });
const send = (server, ...args) => cli(server, ["send", ...args]);

test("tail shows what comes; --after, --all, filters and -n choose", async (t) => {
  const server = await startServer(t);
  for (const level of ["info", "warn", "error"])
    await send(server, "-s", "old", "-a", "first", "-l", level);
  const live = tail(t, server, []);
  const errors = tail(t, server, ["--level", ">=warn", "-s", "new,newer"]);
  await listening(server, 2);
  await send(server, "-s", "new", "-a", "one", "-c", "ops", "k=v", "n:=1.50");
  await send(server, "-s", "newer", "-a", "two", "-l", "fatal", "--agent-id", "x");
  await until(() => live.lines().length === 2 && errors.lines().length === 1);
  const time = String.raw`\d\d:\d\d:\d\d\.\d{3}`;
  assert.match(live.lines()[0], new RegExp(`^${time} info  new/ops one k=v n=1\\.50$`));
  assert.match(errors.lines()[0], new RegExp(`^${time} fatal newer two @x$`));
  assert.equal(live.err + errors.err, "");

  const seqs = async (...args) => {
    const { code, out, err } = await cli(server, ["tail", "--json", ...args]);
    assert.equal(code, 0, err);
    return parse(out.split("\n").slice(0, -1)).map((event) => event.seq);
  };
  assert.deepEqual(await seqs("--all", "-n", "5"), [1, 2, 3, 4, 5]);
  assert.deepEqual(await seqs("--after", "3", "-n", "2"), [4, 5]);
  assert.deepEqual(await seqs("--all", "-n", "2", "-l", "error,fatal"), [3, 5]);
  assert.deepEqual(await seqs("--all", "-n1", "-a", "two"), [5]);
  assert.deepEqual(await seqs("--all", "-n1", "-c", "ops"), [4]);
  assert.deepEqual(await seqs("--all", "-n1", "--agent-id", "x"), [5]);
});

test("tail goes on over restarts: nothing missed, nothing twice", async (t) => {
  const server = await startServer(t);
  // Nothing had come to it before the first restart.
  const run = tail(t, server, ["--json"]);
  await listening(server, 1);
  const seen = () => parse(run.lines()).map((event) => event.seq);
  for (const [round, die] of [(s) => s.stop(), (s) => s.kill()].entries()) {
    await die(server);
    await server.start();
    await send(server, "-s", "a");
    await send(server, "-s", "a");
    await until(() => seen().length >= 2 * round + 2, { what: "what came" });
  }
  await listening(server, 1);
  await send(server, "-s", "a");
  await until(() => seen().length >= 5);
  assert.deepEqual(seen(), [1, 2, 3, 4, 5]);
  assert.match(run.err, /reconnecting/);
});

test("tail says what the server no longer has", async (t) => {
  const server = await startServer(t, {
    store: "memory",
    args: ["--ring-entries", "64", "--retain-bytes", "1MiB"],
  });
  const pad = "x".repeat(2000);
  const input = `{"source":"a","data":{"pad":"${pad}"}}\n`.repeat(2000);
  assert.equal((await cli(server, ["send", "--stdin"], { input })).code, 0);
  const { seq } = await last(server);
  const run = tail(t, server, ["--json", "--after", String(seq - 2000)]);
  await until(() => run.lines().length > 0 && parse(run.lines().slice(-1))[0].seq === seq);
  const [, count, from, to] = /(\d+) events are gone \(seq (\d+) to (\d+)\): retention/
    .exec(run.err)
    .map(Number);
  assert.equal(from, seq - 1999);
  assert.equal(count, to - from + 1);
  const seqs = parse(run.lines()).map((event) => event.seq);
  assert.equal(seqs[0], to + 1);
  assert.equal(seqs.length, seq - to);
  const beyond = tail(t, server, ["--after", String(seq + 9)]);
  await until(() => beyond.err.includes(`knows no event ${seq + 9}`));
});

test("tail ends quietly when nobody reads it", async (t) => {
  const server = await startServer(t);
  const run = tail(t, server, []);
  await listening(server, 1);
  run.child.stdout.destroy();
  await send(server, "-s", "a");
  const { code, signal, err } = await run.done;
  assert.equal(signal, null);
  assert.equal(code, 0);
  assert.equal(err, "");
});

test("recent prints the last events, oldest first", async (t) => {
  const server = await startServer(t);
  assert.equal((await cli(server, ["recent"])).out, "");
  for (let i = 0; i < 3; i++)
    await send(server, "-s", `s${i}`, "-a", "go", `big:=1234567890123456789${i}`);
  const all = await cli(server, ["recent"]);
  assert.equal(all.code, 0, all.err);
  assert.match(all.out, /s0 go .*\n.*s1 go .*\n.*s2 go big=12345678901234567892\n$/);
  const two = await cli(server, ["recent", "-n", "2", "--json"]);
  assert.match(two.out, /"big":12345678901234567891/);
  assert.deepEqual(
    parse(two.out.split("\n").slice(0, -1)).map((event) => event.seq),
    [2, 3],
  );
  const one = await cli(server, ["recent", "-s", "s1", "--json"]);
  assert.equal(JSON.parse(one.out).source, "s1");
});

// ---- terminals

test("colours are for terminals that want them", async (t) => {
  const server = await startServer(t);
  await send(server, "-s", "a", "-a", "act", "-l", "error", "k=v");
  for (const line of [["recent"], ["tail", "--all", "-n", "1"]]) {
    const piped = await cli(server, line);
    assert.match(piped.out, /error a act k=v\n$/);
    assert.ok(!piped.out.includes("\x1b"));
    const shown = await cliOnTerminal(server, line);
    assert.equal(shown.code, 0);
    assert.match(shown.text, /\x1b\[31merror\x1b\[0m a \x1b\[1mact\x1b\[0m k=v/);
    const plain = await cliOnTerminal(server, line, { NO_COLOR: "1" });
    assert.match(plain.text, /error a act k=v/);
    assert.ok(!plain.text.includes("\x1b"));
  }
});

test("no event can drive the terminal that shows it", async (t) => {
  const server = await startServer(t);
  const evil = "\x1b]0;owned\x07\x9b2J\x7f\r\n\bend";
  const controls = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;
  const answer = await server.post("/events", {
    source: `s${evil}`,
    action: evil,
    channel: evil,
    level: evil,
    agent_id: evil,
    data: { [evil]: evil, deep: [{ [evil]: evil }] },
  });
  assert.equal(answer.status, 200, await answer.text());
  for (const line of [
    ["recent"],
    ["recent", "--json"],
    ["tail", "--all", "-n", "1"],
    ["tail", "--all", "-n", "1", "--json"],
    ["status"],
  ]) {
    const { text } = await cliOnTerminal(server, line, { NO_COLOR: "1" });
    // The terminal itself makes CR LF of a line's end.
    const shown = text.replaceAll("\r\n", "\n");
    assert.doesNotMatch(shown, controls, line.join(" "));
    assert.ok(line[0] === "status" || shown.includes("owned"));
    if (line.includes("--json"))
      assert.equal(JSON.parse(shown).data.deep[0][evil], evil);
  }
});

test("send --stdin shows its progress on a terminal only", async (t) => {
  const server = await startServer(t);
  const file = `${server.folder}/events`;
  const { writeFile } = await import("node:fs/promises");
  await writeFile(file, '{"source":"a"}\n'.repeat(3000));
  const piped = await cli(server, ["send", "--stdin"], { input: '{"source":"a"}' });
  assert.ok(!piped.err.includes("\r"));
  const shown = await cliOnTerminal(server, ["send", "--stdin", "-s", "a"], {});
  assert.equal(shown.code, 0);
});

// ---- status

test("status: 0 ready, 1 not ready and why, 3 nobody there", async (t) => {
  const server = await startServer(t, { control: true });
  await send(server, "-s", "a");
  const good = await cli(server, ["status"]);
  assert.equal(good.code, 0, good.err);
  assert.match(good.out, /^version +\d/m);
  assert.match(good.out, /^store\.head_seq +1$/m);
  assert.match(good.out, /^retention\.max_age_s +604800$/m);
  const json = await cli(server, ["status", "--json"]);
  assert.equal(JSON.parse(json.out).store.head_seq, 1);
  await server.control("fault store.write fail ENOSPC");
  assert.equal((await server.post("/events", { source: "a" })).status, 503);
  await until(async () => (await server.fetch("/readyz")).status === 503);
  const bad = await cli(server, ["status"]);
  assert.equal(bad.code, 1);
  assert.match(bad.err, /not ready: no space left on the device/);
  assert.match(bad.out, /^store\.healthy +false$/m);
  await server.control("clear");
  await server.stop();
  assert.equal((await cli(server, ["status"])).code, 3);
});

// ---- token

const shown = /^tt_[A-Za-z0-9_-]{43}\n$/;

test("tokens are made, listed and revoked with the server running", async (t) => {
  const server = await startServer(t);
  const at = ["--store", server.store];
  const made = await cli(server, ["token", "create", "--scope", "admin", "--name", "me", ...at]);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, shown);
  assert.match(made.err, /shown this once/);
  const admin = made.out.trim();
  const refused = async () => (await cli(server, ["recent"])).code === 1;
  await until(refused, { timeout: 1000, what: "a token being asked for" });
  assert.equal((await cli(server, ["recent", "--token", admin])).code, 0);

  const json = await cli(server, ["token", "create", "--scope", "ingest,read", "--json", ...at]);
  const second = JSON.parse(json.out);
  assert.deepEqual(second.scopes, ["ingest", "read"]);
  const use = (token) => ({ headers: { authorization: `Bearer ${token}` } });
  await until(async () => (await server.fetch("/events", use(second.token))).ok, {
    timeout: 1000,
    what: "the second token",
  });
  const list = await cli(server, ["token", "list", ...at]);
  assert.equal(list.code, 0);
  assert.match(list.out, /^\S+ +admin +\d{4}-\S+ +me$/m);
  assert.match(list.out, new RegExp(`^${second.id} +ingest,read +`, "m"));
  assert.ok(!list.out.includes(admin) && !list.out.includes(second.token));
  const over = await cli(server, ["token", "list", "--json", "--url", server.url, "--token", admin]);
  assert.equal(JSON.parse(over.out).items.length, 2);

  const mine = await openStream(`${server.url}/events/stream`, use(admin));
  const theirs = await openStream(`${server.url}/events/stream`, use(second.token));
  t.after(() => mine.close());
  const revoked = await cli(server, ["token", "revoke", second.id, ...at]);
  assert.equal(revoked.code, 0, revoked.err);
  await theirs.ended;
  assert.equal((await server.fetch("/events", use(second.token))).status, 401);
  // The others' streams go on.
  await send(server, "-s", "a", "--token", admin);
  await until(() => mine.events.length === 1);
  const again = await cli(server, ["token", "revoke", "tok_nobody", ...at]);
  assert.equal(again.code, 1);
  assert.match(again.err, /tok_nobody|no such|unknown/);
});

test("tokens are made, listed and revoked with the server stopped", async (t) => {
  const server = await startServer(t);
  await server.stop();
  const at = ["--store", server.store];
  const made = await cli(server, ["token", "create", "--scope", "read", ...at]);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, shown);
  const use = { headers: { authorization: `Bearer ${made.out.trim()}` } };
  await server.start();
  assert.equal((await server.fetch("/events", use)).status, 200);
  assert.equal((await server.fetch("/events")).status, 401);
  await server.stop();
  const list = await cli(server, ["token", "list", "--json", ...at]);
  const [token] = JSON.parse(list.out).items;
  assert.deepEqual(token.scopes, ["read"]);
  assert.equal((await cli(server, ["token", "revoke", token.id, ...at])).code, 0);
  const after = await cli(server, ["token", "list", "--json", ...at]);
  assert.deepEqual(JSON.parse(after.out).items, []);
  await server.start();
  assert.equal((await server.fetch("/events", use)).status, 200, "none is left: open");
});

test("a token for a store in memory has nowhere to be kept", async (t) => {
  await temporaryFolder(t);
  const { code, err } = await cli(null, ["token", "list", "--store", "memory"]);
  assert.equal(code, 1);
  assert.match(err, /TELLTALE_TOKEN_INGEST/);
});
