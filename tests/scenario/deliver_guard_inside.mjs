// The inside of deliver_guard.test.mjs: runs in a network namespace of its own,
// where every address that is not public, and a public one, is this machine's.
// A guard that let something through would reach the receiver, and nothing else.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import http from "node:http";
import path from "node:path";
import { buildDir } from "../harness/server.mjs";

// Who connected, and who sent a request, by the address it was sent to.
const connected = [];
const requested = [];
const receiver = http.createServer((request, response) => {
  requested.push(request.socket.localAddress.replace("::ffff:", ""));
  response.setHeader("connection", "close");
  if (request.url === "/moved") {
    response.writeHead(302, { location: "http://127.0.0.1/inner" });
    response.end();
  } else if (request.url === "/long") {
    response.end("x".repeat(200000));
  } else response.end("taken");
});
receiver.on("connection", (socket) =>
  connected.push(socket.localAddress.replace("::ffff:", "")),
);
await new Promise((resolve) => receiver.listen(80, "::", resolve));

// What came of each URL.
async function send(...args) {
  connected.length = requested.length = 0;
  const text = await new Promise((resolve, reject) =>
    execFile(
      path.join(buildDir, "tests/deliver-run"),
      args,
      { timeout: 60000 },
      (error, stdout) => (error ? reject(error) : resolve(stdout)),
    ),
  );
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

// [host, the rule that its refusal names, the address].
const refused = [
  ["127.0.0.1", "loopback", "127.0.0.1"],
  ["localhost", "loopback", ""],
  ["127.1", "loopback", "127.0.0.1"],
  ["2130706433", "loopback", "127.0.0.1"],
  ["0x7f000001", "loopback", "127.0.0.1"],
  ["017700000001", "loopback", "127.0.0.1"],
  ["0177.0.0.1", "loopback", "127.0.0.1"],
  ["[::1]", "loopback", "::1"],
  ["[::ffff:127.0.0.1]", "loopback", "127.0.0.1"],
  ["0.0.0.0", "unspecified", "0.0.0.0"],
  ["[::]", "unspecified", "::"],
  ["10.1.2.3", "private", "10.1.2.3"],
  ["[::ffff:10.1.2.3]", "private", "10.1.2.3"],
  ["172.16.0.1", "private", "172.16.0.1"],
  ["192.168.1.1", "private", "192.168.1.1"],
  ["100.64.0.1", "carrier-grade NAT", "100.64.0.1"],
  ["169.254.169.254", "link-local", "169.254.169.254"],
  ["0xa9fea9fe", "link-local", "169.254.169.254"],
  ["224.0.0.1", "multicast", "224.0.0.1"],
  ["255.255.255.255", "broadcast", "255.255.255.255"],
  ["[fd00::1]", "unique local", "fd00::1"],
  ["[fe80::1]", "link-local", "fe80::1"],
  ["[ff02::1]", "multicast", "ff02::1"],
  ["[64:ff9b::127.0.0.1]", "loopback", "64:ff9b::7f00:1"],
  ["[2002:a01:203::1]", "private", "2002:a01:203::1"],
];
const outcomes = await send(...refused.map(([host]) => `http://${host}/`));
assert.equal(outcomes.length, refused.length);
refused.forEach(([host, rule, address], i) => {
  const { status, sent, error } = outcomes[i];
  assert.equal(status, 0, host);
  assert.equal(sent, false, host);
  assert.ok(error.includes(rule), `${host}: ${error}`);
  assert.ok(error.includes(`refused: ${address}`), `${host}: ${error}`);
  assert.ok(error.includes("webhooks.allow_cidrs"), `${host}: ${error}`);
});
assert.deepEqual(connected, []);

// A public address gets no plain text; one that is allowed gets its request.
let [outcome] = await send("http://8.8.8.8/");
assert.match(outcome.error, /http:\/\/ to 8\.8\.8\.8.*webhooks\.allow_cidrs/);
assert.deepEqual(connected, []);
[outcome] = await send("--allow", "8.8.8.8/32", "http://8.8.8.8/");
assert.equal(outcome.status, 200, outcome.error);
assert.equal(outcome.kept, "taken");
assert.deepEqual(requested, ["8.8.8.8"]);

// A public address over TLS is connected to, which is all that the guard has a
// say in.
[outcome] = await send("https://8.8.8.8:80/");
assert.deepEqual(connected, ["8.8.8.8"]);
assert.doesNotMatch(outcome.error, /refused:/);

// A name for a private address, also behind a public one and beside one.
[outcome] = await send("--name", "inner.test:80:10.1.2.3", "http://inner.test/");
assert.match(outcome.error, /refused: 10\.1\.2\.3 .*private/);
assert.deepEqual(connected, []);
[outcome] = await send(
  ...["--allow", "8.8.8.8/32", "--name", "both.test:80:10.1.2.3,8.8.8.8"],
  "http://both.test/",
);
assert.equal(outcome.status, 200, outcome.error);
assert.deepEqual(connected, ["8.8.8.8"]);

// A name that stands for another address the second time.
const twice = await send(
  ...["--allow", "8.8.8.8/32", "--name", "rebind.test:80:8.8.8.8"],
  "http://rebind.test/",
  ...["--name", "rebind.test:80:127.0.0.1"],
  "http://rebind.test/",
);
assert.deepEqual(
  twice.map(({ status }) => status),
  [200, 0],
);
assert.match(twice[1].error, /refused: 127\.0\.0\.1 /);
assert.deepEqual(connected, ["8.8.8.8"]);

// A redirect is an answer.
[outcome] = await send("--allow", "8.8.8.8/32", "http://8.8.8.8/moved");
assert.equal(outcome.status, 302);
assert.deepEqual(connected, ["8.8.8.8"]);

// Of a long answer the beginning is kept and the rest is not waited for.
[outcome] = await send("--allow", "8.8.8.8/32", "http://8.8.8.8/long");
assert.equal(outcome.status, 200, outcome.error);
assert.equal(outcome.kept, "x".repeat(1024));

receiver.close();
