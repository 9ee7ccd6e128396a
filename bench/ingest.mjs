// One event a POST, with wrk, against nginx answering 200 with nothing, each
// server on processor 0 and the load on processor 1, in turns.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { certificate, cpuSeconds, folder, nginx, remove, telltale } from "./server.mjs";

const event = JSON.stringify({
  source: "checkout",
  channel: "orders",
  action: "order_placed",
  level: "info",
  agent_id: "node-7",
  ts: "2026-01-02T03:04:05.678901Z",
  data: { order: 1234567, total: 42.5, currency: "EUR", items: 3, note: "the quick brown fox jumps over the dog" },
});

// {rate, us}: requests a second, and microseconds of the server's CPU for each.
export function measure(server, script, { seconds, connections, route = "/events" }) {
  const before = cpuSeconds(...server.pids);
  const text = execFileSync(
    "taskset",
    ["-c", "1", "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, `http${server.tls ? "s" : ""}://127.0.0.1:${server.port}${route}`],
    { encoding: "utf8" },
  );
  const cpu = cpuSeconds(...server.pids) - before;
  const requests = Number(/(\d+) requests in/.exec(text)[1]);
  if (/Non-2xx/.test(text)) throw new Error(`refused requests\n${text}`);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]), us: (cpu * 1e6) / requests };
}

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const lua = (body) => `wrk.method = "POST"\nwrk.body = [==[${body}]==]\nwrk.headers["Content-Type"] = "application/json"\n`;

// `bareUs`: CPU microseconds a row that bare SQLite took in this run.
export async function ingest(build, { runs, seconds, bareUs }) {
  const dir = folder();
  const script = path.join(dir, "post.lua");
  const batch = path.join(dir, "batch.lua");
  writeFileSync(script, lua(event));
  writeFileSync(batch, lua(`[${Array(100).fill(event).join(",")}]`));
  const servers = {
    nginx: await nginx("location / { return 200; }", { port: 18180 }),
    nginx_tls: await nginx("location / { return 200; }", { port: 18182, tls: true }),
    memory_store: await telltale(build, { args: ["--store", "memory", "--loops", "1"] }),
    tls: await telltale(build, { args: ["--store", "memory", "--loops", "1", ...certificate()] }),
    memory: await telltale(build, { args: ["--durability", "memory", "--loops", "1"] }),
    sync: await telltale(build, { args: ["--durability", "sync", "--loops", "1"] }),
  };
  const committed = await telltale(build, { args: ["--durability", "commit", "--loops", "1"] });
  const batches = [];
  const seen = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
  try {
    for (let run = 0; run < runs; run++) {
      for (const [name, server] of Object.entries(servers))
        seen[name].push(measure(server, script, { seconds, connections: 64 }));
      batches.push(measure(committed, batch, { seconds, connections: 8, route: "/events/batch" }).us / 100);
    }
  } finally {
    for (const server of [committed, ...Object.values(servers)]) await server.stop();
    remove(dir);
  }
  const us = (name) => seen[name].map((r) => r.us);
  const rate = (name) => seen[name].map((r) => r.rate);
  const against = (bench, name, peer = "nginx") => {
    const ratios = us(name).map((value, i) => us(peer)[i] / value);
    return {
      bench,
      value: median(us(name)),
      unit: "us CPU/request",
      peer: `${peer.replace("_", " ")} return 200`,
      peer_value: median(us(peer)),
      ratio: median(ratios),
      runs,
      min: Math.min(...us(name)),
      max: Math.max(...us(name)),
    };
  };
  return [
    against("ingest_store_memory", "memory_store"),
    against("ingest_durability_memory", "memory"),
    against("ingest_tls", "tls", "nginx_tls"),
    {
      bench: "ingest_sync",
      value: median(rate("sync")),
      unit: "requests/s",
      peer: "durability memory",
      peer_value: median(rate("memory")),
      ratio: median(rate("sync").map((value, i) => value / rate("memory")[i])),
      runs,
      min: Math.min(...rate("sync")),
      max: Math.max(...rate("sync")),
    },
    {
      bench: "ingest_batch100_commit",
      value: median(batches),
      unit: "us CPU/event",
      peer: "bare sqlite",
      peer_value: bareUs,
      ratio: bareUs / median(batches),
      runs,
      min: Math.min(...batches),
      max: Math.max(...batches),
    },
  ];
}
