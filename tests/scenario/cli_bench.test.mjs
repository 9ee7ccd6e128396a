// `telltale bench`: what it says is what the server has.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { cli, cliOnTerminal, startCli } from "../harness/cli.mjs";
import { total } from "../harness/raw.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";
import { Certificates } from "../harness/tls.mjs";

const patient = { timeout: 60000 };

async function bench(server, ...args) {
  const { code, out, err } = await cli(server, ["bench", "--json", ...args]);
  assert.equal(code, 0, err + out);
  return JSON.parse(out);
}

async function stored(server) {
  const text = await (await server.fetch("/metrics")).text();
  return total(text, "telltale_events_stored_total");
}

const counted = (times) => times.buckets.reduce((sum, [, count]) => sum + count, 0);

test("its counts are the server's", patient, async (t) => {
  const server = await startServer(t);
  const single = await bench(server, "--count", "321", "--connections", "3");
  assert.equal(single.events, 321);
  assert.equal(single.requests, 321);
  assert.deepEqual(single.status, { 200: 321 });
  assert.equal(single.unanswered, 0);
  assert.equal(counted(single.answer_us), 321);
  assert.ok(single.answer_us.p50 > 0);
  assert.ok(single.answer_us.p50 <= single.answer_us.p99);
  assert.ok(single.answer_us.p999 <= single.answer_us.max);
  assert.equal(await stored(server), 321);

  // The last request has what is left.
  const batches = await bench(server, "-n", "1003", "-b", "10", "--pipeline", "8");
  assert.equal(batches.events, 1003);
  assert.equal(batches.requests, 101);
  assert.equal(await stored(server), 321 + 1003);
});

test("an event is as long as it should be", patient, async (t) => {
  const server = await startServer(t, { args: ["--max-body", "1024"] });
  assert.equal((await bench(server, "-n", "5", "--event-bytes", "1024")).events, 5);
  const over = await cli(server, ["bench", "-n", "5", "--event-bytes", "1025", "--json"]);
  assert.equal(over.code, 1);
  assert.deepEqual(JSON.parse(over.out).status, { 413: 5 });
  assert.equal(await stored(server), 5);
});

test("subscribers get each event once", patient, async (t) => {
  const server = await startServer(t);
  const got = await bench(server, "-n", "2000", "-b", "7", "--subscribers", "3");
  assert.equal(got.events, 2000);
  assert.equal(got.delivered, 3 * 2000);
  assert.equal(got.streams_ended, 0);
  assert.equal(counted(got.delivery_us), 6000);
});

test("with a rate, a stall counts for all that was due in it", patient, async (t) => {
  // Answers after 600 ms, then at once.
  const begun = Date.now();
  const answers = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const requests = bytes.toString().split("POST /events ").length - 1;
      const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".repeat(requests);
      setTimeout(() => socket.write(answer), Math.max(0, begun + 600 - Date.now()));
    });
  });
  answers.listen(0, "127.0.0.1");
  await once(answers, "listening");
  t.after(() => answers.close());
  const url = `http://127.0.0.1:${answers.address().port}`;
  const { out, err } = await cli(null, [
    "bench", "--json", "--url", url, "--rate", "100", "-n", "60", "--connections", "1",
  ]);
  assert.equal(err, "");
  const got = JSON.parse(out);
  assert.equal(got.events, 60);
  // One request was waiting; those that could not be sent waited as well.
  const slow = got.answer_us.buckets.filter(([us]) => us > 100_000);
  assert.ok(slow.reduce((sum, [, count]) => sum + count, 0) > 10, out);
});

test("Ctrl-C ends it with its result", patient, async (t) => {
  const server = await startServer(t);
  const run = startCli(server, ["bench", "--duration", "10m", "--json"]);
  await until(async () => (await stored(server)) > 100, { what: "events" });
  run.child.kill("SIGINT");
  const { code, out, err } = await run.done;
  assert.equal(code, 0, err);
  const got = JSON.parse(out);
  assert.equal(got.unanswered, 0);
  assert.equal(got.events, await stored(server));
});

test("people get progress, the answers and a histogram", patient, async (t) => {
  const server = await startServer(t);
  const { code, text } = await cliOnTerminal(server, ["bench", "--duration", "2500ms"]);
  assert.equal(code, 0, text);
  assert.match(text, /\r +1 s +\d+ events\/s  p50 [\d.]+ ms  p99 [\d.]+ ms  0 failed/);
  assert.match(text, /\r +2 s /);
  assert.match(text, /\d+ events stored in 2\.\d+ s: \d+ events\/s/);
  assert.match(text, /  200: \d+ answers/);
  assert.match(text, /  < +[\d.]+ ms  #+ +\d+/);
  const piped = await cli(server, ["bench", "-n", "10"]);
  assert.equal(piped.err, "");
});

test("a server that goes away, and what refuses", patient, async (t) => {
  const server = await startServer(t);
  const run = startCli(server, ["bench", "--duration", "10m"]);
  await until(async () => (await stored(server)) > 100, { what: "events" });
  await server.kill();
  const gone = await run.done;
  assert.equal(gone.code, 1);
  assert.match(gone.out, /\d+ events stored in/);
  assert.match(gone.out, /no answer: \d+ requests/);
  assert.match(gone.out, /connections could not be made: .*127\.0\.0\.1/);

  const closed = await startServer(t, { env: { TELLTALE_TOKEN_INGEST: "secret" } });
  for (const more of [[], ["--subscribers", "1", "--token", "secret"]]) {
    const refused = await cli(closed, ["bench", "-n", "1000", ...more]);
    assert.equal(refused.code, 1);
    assert.match(refused.out + refused.err, /\b40[13]\b/);
  }
  assert.equal((await bench(closed, "-n", "10", "--token", "secret")).events, 10);
});

test("TLS, by the authority that is given", patient, async (t) => {
  const folder = await temporaryFolder(t);
  const certificates = new Certificates(folder);
  certificates.make("ca").make("server", "ca");
  const server = await startServer(t, { folder, args: certificates.args("server") });
  const args = ["-n", "500", "-b", "5", "--connections", "4", "--subscribers", "2"];
  const got = await bench(server, ...args, "--ca", `${certificates.file("ca")}.crt`);
  assert.equal(got.events, 500);
  assert.equal(got.delivered, 1000);
  const stranger = await cli(server, ["bench", "-n", "1"]);
  assert.equal(stranger.code, 3);
  assert.match(stranger.err, /name its CA with --ca FILE/);
});

test("what cannot be meant", async () => {
  const run = (...args) => cli(null, ["bench", ...args]);
  for (const [args, message] of [
    [["--url", "http://192.0.2.1:6060"], /not on this machine: say --yes/],
    [["--url", "http://[2001:db8::1]:6060"], /not on this machine: say --yes/],
    [["--connections", "0"], /--connections 0 is not a number from 1 to 10000/],
    [["--duration", "soon"], /--duration soon is not a time/],
    [["--duration", "0"], /--duration 0 is not a time/],
    [["--pipeline", "65"], /from 1 to 64/],
    [["-b", "10000", "--event-bytes", "1000000"], /over 64 MiB/],
    [["please"], /please: no such argument/],
  ]) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
  const nowhere = await run("--url", "http://localhost:1");
  assert.equal(nowhere.code, 3);
  assert.match(nowhere.err, /no answer from .*\nis the server running/);
});
