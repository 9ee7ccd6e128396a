// Event streams: deliveries per second of the server's CPU, against a bare epoll
// loop and nchan; latency of one POST to one subscriber; memory a subscriber.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { certificate, nginx, peer, privateBytes, sleep, telltale } from "./server.mjs";

const run = promisify(execFile);
const nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so";

async function load(build, server, options) {
  const args = ["-c", "1", path.join(build, "bench/sse_load"), "--port", String(server.port), "--pid", String(server.pid)];
  for (const [name, value] of Object.entries(options)) args.push(`--${name}`, String(value));
  const { stdout } = await run("taskset", args);
  return JSON.parse(stdout);
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

async function deliveries(build, start, options, runs) {
  const figures = [];
  for (let i = 0; i < runs; i++) {
    const server = await start();
    try {
      figures.push(await load(build, server, { ...server.paths, ...options }));
    } finally {
      await server.stop();
    }
  }
  return figures;
}

const startNchan = async () => {
  const server = await nginx(
    `location = /sub { nchan_subscriber eventsource; nchan_channel_id bench; }
     location = /pub { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 10000; }`,
    { modules: `load_module ${nchanModule};`, port: 18181 },
  );
  server.paths = { stream: "/sub", post: "/pub" };
  return server;
};

export async function sse(build, { runs, seconds, peers, scale = 1 }) {
  const rows = [];
  const ours = () => telltale(build, { args: ["--store", "memory", "--loops", "1"] });
  for (const [subscribers, rate] of [
    [1000, 200],
    [1000, 3200],
    [5000, 200],
  ]) {
    const options = { subscribers: Math.ceil(subscribers * scale), rate, seconds };
    const mine = await deliveries(build, ours, options, runs);
    const bare = await deliveries(build, () => peer(build), options, runs);
    const value = median(mine.map((r) => r.per_cpu_s));
    const base = {
      value,
      unit: "deliveries/CPU-s",
      runs,
      min: Math.min(...mine.map((r) => r.per_cpu_s)),
      max: Math.max(...mine.map((r) => r.per_cpu_s)),
    };
    const missing = mine.reduce((sum, r) => sum + r.posted - r.seen, 0);
    const name = `sse_${subscribers}_at_${rate}`;
    const other = median(bare.map((r) => r.per_cpu_s));
    rows.push({ bench: name, ...base, peer: "bare epoll", peer_value: other, ratio: value / other, missing });
    if (peers && existsSync(nchanModule)) {
      const nchan = await deliveries(build, startNchan, options, 1);
      const third = median(nchan.map((r) => r.per_cpu_s));
      rows.push({
        bench: `${name}_nchan`,
        ...base,
        peer: "nchan",
        peer_value: third,
        ratio: value / third,
        nchan_missing: nchan[0].posted - nchan[0].seen,
      });
    }
  }
  return rows;
}

// Under `sync` the disk is in it; under `memory` it is not.
export async function latency(build, { runs, seconds }) {
  const rows = [];
  for (const durability of ["sync", "memory"]) {
    const figures = [];
    for (let i = 0; i < runs; i++) {
      const server = await telltale(build, { args: ["--durability", durability], cpus: "0,1" });
      try {
        figures.push(await load(build, server, { subscribers: 1, rate: 50, seconds }));
      } finally {
        await server.stop();
      }
    }
    for (const p of ["p50", "p99"]) {
      const list = figures.map((r) => r[`${p}_us`] / 1000);
      rows.push({ bench: `post_to_sse_${durability}_${p}`, value: median(list), unit: "ms", runs, min: Math.min(...list), max: Math.max(...list) });
    }
  }
  return rows;
}

export async function memory(build, { scale = 1 } = {}) {
  const [idle, plain] = await measureMemory(build, scale, [], []);
  const [, secure] = await measureMemory(build, scale, certificate(), ["--tls"]);
  return [
    { bench: "memory_idle", value: idle / 1e6, unit: "MB private", runs: 1 },
    { bench: "memory_subscriber", value: plain / 1000, unit: "KB", runs: 1 },
    { bench: "memory_subscriber_tls", value: secure / 1000, unit: "KB", runs: 1 },
  ];
}

// Private bytes of a server that nobody talks to, and a subscriber's share.
async function measureMemory(build, scale, args, loadArgs) {
  const subscribers = Math.ceil(5000 * scale);
  const server = await telltale(build, { args: ["--loops", "2", ...args], cpus: "0,1" });
  try {
    await sleep(500);
    const idle = privateBytes(server.pid);
    const child = spawn(
      path.join(build, "bench/sse_load"),
      ["--port", String(server.port), "--subscribers", String(subscribers), "--idle", "--seconds", "6", ...loadArgs],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const gone = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve, reject) => {
      child.stdout.once("data", resolve);
      child.once("exit", () => reject(new Error("sse_load ended early")));
    });
    await sleep(1500);
    const loaded = privateBytes(server.pid);
    await gone;
    return [idle, (loaded - idle) / subscribers];
  } finally {
    await server.stop();
  }
}
