// The S2 storage against a basin that is as unreliable as a network makes it.
// The basin itself is held to the real dialect by the published client.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { AppendInput, AppendRecord, S2, SeqNumMismatchError } from "@s2-dev/streamstore";
import { startS2 } from "../harness/s2.mjs";
import { buildDir, temporaryFolder } from "../harness/server.mjs";

const program = path.join(buildDir, "tests/storage-run");

async function basin(t, options) {
  const s2 = await startS2(options);
  t.after(() => s2.close());
  s2.create("events/one");
  return s2;
}

class Run {
  constructor(t, s2, folder, env = {}) {
    this.child = spawn(program, [path.join(folder, "position")], {
      env: {
        ...process.env,
        S2_BASIN: s2.basin,
        S2_STREAM: "events/one",
        S2_ACCESS_TOKEN: s2.token,
        S2_BASIN_ENDPOINT: s2.url,
        ...env,
      },
    });
    this.child.stdin.on("error", () => {}); // it has ended by itself
    this.stderr = "";
    this.child.stderr.on("data", (data) => (this.stderr += data));
    this.lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    this.exit = once(this.child, "exit");
    t.after(() => this.child.kill("SIGKILL"));
  }
  async line() {
    const { value, done } = await this.lines.next();
    assert.ok(!done, `it ended: ${this.stderr}`);
    return JSON.parse(value);
  }
  tell(line) {
    this.child.stdin.write(`${line}\n`);
  }
  start() {
    this.tell("start");
    return this.line();
  }
  async stop(ms = 20000) {
    this.tell(`stop ${ms}`);
    return this.line();
  }
}

async function started(t, s2, folder, env) {
  const run = new Run(t, s2, folder, env);
  await run.start();
  return run;
}

const seqs = (s2) =>
  s2.stream("events/one").records.filter((r) => r.headers[0]?.[0] === "seq").map((r) => Number(r.headers[0][1]));

async function until(condition, what) {
  for (const end = Date.now() + 30000; !condition(); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("the published client and our basin understand each other", async (t) => {
  const s2 = await basin(t);
  const client = new S2({ accessToken: s2.token, endpoints: { account: s2.url, basin: s2.url }, retry: { maxAttempts: 1 } });
  const stream = client.basin(s2.basin).stream("events/one", { forceTransport: "fetch" });
  const input = (match) => AppendInput.create([AppendRecord.string({ body: "x", headers: [["seq", "1"]] })], { matchSeqNum: match });
  const ack = await stream.append(input(0));
  assert.equal(ack.end.seqNum, 1);
  assert.equal((await stream.checkTail()).tail.seqNum, 1);
  const batch = await stream.read({ start: { from: { seqNum: 0 } }, stop: { limits: { count: 1 } } });
  assert.deepEqual(batch.records[0].headers, [["seq", "1"]]);
  await assert.rejects(stream.append(input(0)), SeqNumMismatchError);
  await client.close?.();
});

test("every envelope is a record, in batches of at most 50", async (t) => {
  const s2 = await basin(t);
  const run = await started(t, s2, await temporaryFolder(t));
  run.tell("publish 1000");
  const stats = await run.stop();
  assert.deepEqual([stats.error, stats.appended, stats.rejected], ["TT_OK", 1000, 0]);
  assert.deepEqual(seqs(s2), Array.from({ length: 1000 }, (_, i) => i + 1));
  const record = s2.stream("events/one").records[6];
  const body = JSON.parse(record.body);
  assert.equal(body.seq, 7);
  assert.deepEqual(body.event.data, { text: 'é "quoted"' });
  assert.ok(s2.requests.filter((r) => r.method === "POST").length >= 20);
  assert.equal(s2.requests.at(-1).headers["s2-basin"], s2.basin);
});

// Everything that the API documents as passing, and connections that are cut
// where the outcome is not known: nothing is missing, nothing comes twice.
test("an unreliable basin gets every record once", async (t) => {
  const s2 = await basin(t);
  const run = await started(t, s2, await temporaryFolder(t));
  s2.misbehave(
    { cut: "after" },
    { cut: "before" },
    { status: 429, body: { code: "rate_limited", message: "slow down" }, headers: { "retry-after": "1" } },
    { status: 500 },
    { cut: "after" },
    { status: 503, body: { code: "server_draining", message: "later" } },
    { status: 409, body: { code: "transaction_conflict", message: "again" } },
    { cut: "after" },
    { cut: "before" },
  );
  run.tell("publish 400");
  const stats = await run.stop();
  assert.deepEqual([stats.error, stats.appended], ["TT_OK", 400]);
  assert.deepEqual(seqs(s2), Array.from({ length: 400 }, (_, i) => i + 1));
  // curl itself repeats what a kept connection did not answer.
  assert.ok(stats.failures >= 5);
});

test("another writer's records are passed over, ours are all there once", async (t) => {
  const s2 = await basin(t);
  const run = await started(t, s2, await temporaryFolder(t));
  const foreign = () => s2.stream("events/one").append({ records: [{ body: "foreign" }] });
  run.tell("publish 60");
  await until(() => seqs(s2).length === 60, "the first records");
  foreign();
  s2.misbehave({ cut: "after" });
  run.tell("publish 60");
  await until(() => seqs(s2).length === 110, "the batch in doubt");
  foreign();
  const stats = await run.stop();
  assert.equal(stats.error, "TT_OK");
  assert.deepEqual(seqs(s2), Array.from({ length: 120 }, (_, i) => i + 1));
});

// The process ends between the append and its answer: the next one asks the
// stream what is there.
test("a kill while the outcome is not known doubles nothing", async (t) => {
  const s2 = await basin(t);
  const folder = await temporaryFolder(t);
  const first = await started(t, s2, folder);
  first.tell("publish 50");
  await until(() => seqs(s2).length === 50, "the first batch");
  // A position is kept when the stream is quiet.
  await new Promise((resolve) => setTimeout(resolve, 300));
  s2.misbehave({ cut: "after" }, { hang: true });
  first.tell("publish 30");
  await until(() => seqs(s2).length === 80, "the batch in doubt");
  first.child.kill("SIGKILL");
  await first.exit;
  const second = new Run(t, s2, folder);
  second.tell("publish 80");
  await second.start();
  second.tell("publish 20");
  const stats = await second.stop();
  assert.equal(stats.error, "TT_OK");
  assert.deepEqual(seqs(s2), Array.from({ length: 100 }, (_, i) => i + 1));
});

test("a stream that is fenced or a token that is refused waits for an operator", async (t) => {
  const s2 = await basin(t);
  const run = await started(t, s2, await temporaryFolder(t));
  s2.misbehave({ status: 401, body: { code: "authn", message: "no such token" } });
  s2.misbehave({ status: 412, body: { fencing_token_mismatch: "other" } });
  run.tell("publish 5");
  const stats = await run.stop();
  assert.deepEqual([stats.error, stats.appended, stats.failures], ["TT_OK", 5, 2]);
  assert.match(run.stderr, /answers 401: .*no such token|answers 412/);
});

test("settings are all there or the error says which are missing", async (t) => {
  const s2 = await basin(t);
  const folder = await temporaryFolder(t);
  const cases = [
    [{ S2_STREAM: "" }, /missing: stream/],
    [{ S2_BASIN: "", S2_ACCESS_TOKEN: "" }, /missing: basin access token/],
    [{ S2_BASIN: "Bad" }, /basin: it is not 8 to 48/],
    [{ S2_BASIN_ENDPOINT: "ftp://x" }, /endpoint: it is not an http or https URL/],
    [{ S2_STREAM: "nowhere" }, /answers 404: .*no stream nowhere/],
  ];
  for (const [env, message] of cases) {
    const run = new Run(t, s2, folder, env);
    run.tell("start");
    const [status] = await run.exit;
    assert.equal(status, 1);
    assert.match(run.stderr, message);
  }
});
