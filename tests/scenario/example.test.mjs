// The examples do what they say, against the real server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import { buildDir, startServer } from "../harness/server.mjs";

const run = promisify(execFile);
const hello = path.join(buildDir, "examples/example-hello");

test("the ten-line program's event is stored before it ends", async (t) => {
  const server = await startServer(t);
  await run(hello, [`${server.url}/events`]);
  const [event, ...more] = await server.json("/events/recent");
  assert.equal(more.length, 0);
  assert.equal(event.source, "hello");
  assert.equal(event.action, "deploy");
  assert.deepEqual(event.data, { env: "prod", rows: 42 });

  await run(hello, [], {
    env: { ...process.env, TELLTALE_URL: `${server.url}/events` },
  });
  assert.equal((await server.json("/events/recent")).length, 2);
});

test("without a URL the program runs the same and says nothing", async () => {
  const env = { ...process.env };
  delete env.TELLTALE_URL;
  const { stdout, stderr } = await run(hello, [], { env });
  assert.equal(stdout + stderr, "");
});
