// What the suites of the sinks share.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import assert from "node:assert/strict";
import { Server, temporaryFolder, until } from "./server.mjs";

// A server with these entries under `sinks:`, written as YAML lines.
export async function sinkServer(t, entries, options = {}) {
  const folder = options.folder ?? (await temporaryFolder(t));
  const file = path.join(folder, "telltale.yaml");
  await configure(file, entries);
  const server = new Server(folder, { ...options, args: ["--config", file, ...(options.args ?? [])] });
  server.configFile = file;
  await server.start();
  t.after(async () => {
    if (server.child.exitCode === null && server.child.signalCode === null) await server.stop({ timeout: 60000 });
  });
  return server;
}

// JSON is YAML.
export const configure = (file, entries) =>
  writeFile(file, `sinks:\n${entries.map((entry) => `  - ${JSON.stringify(entry)}\n`).join("")}`);

export async function sink(server, name) {
  const { items } = await server.json("/api/v1/sinks");
  return items.find((item) => item.name === name);
}

export const caughtUp = (server, name, timeout = 60000) =>
  until(
    async () => {
      const state = await sink(server, name);
      return state?.lag === 0 && state;
    },
    { timeout, what: `the end of what ${name} has to do` },
  );

// Posts `count` events and answers their seqs.
export async function postEvents(server, count, more = {}) {
  const seqs = [];
  for (let n = 0; n < count; n += 100) {
    const batch = Array.from({ length: Math.min(100, count - n) }, (_, i) => ({
      source: "test",
      action: "made",
      data: { n: n + i, pad: "x".repeat(100) },
      ...more,
    }));
    const answer = await server.post("/events/batch", batch);
    const body = await answer.json();
    assert.equal(answer.status, 200, JSON.stringify(body));
    batch.forEach((_, i) => seqs.push(body.seqs ? body.seqs[i] : body.first_seq + i));
  }
  return seqs;
}
