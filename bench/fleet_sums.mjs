// A month of a fleet, ten million values: how fast it is added up, what that
// takes on disk, and questions about it, asked over HTTP.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { folder, remove, sleep, telltale } from "./server.mjs";

const KEYS = 30;

// Of each: the name, the query, and what its answer has to add up to.
const questions = [
  ["fleet_aggregate", "key=requests_7", (a, n) => a.items[0].updates === n],
  ["fleet_aggregate_step", "key=requests_7&step=1d", (a, n) => sum(a.items[0].buckets) === n],
  ["fleet_aggregate_values", "key=browsers", (a, n) => a.items[0].updates === n && a.items[0].values.length === 20],
  ["fleet_aggregate_by", "key=requests_7&by=version", (a, n) => sum(a.items) === n && a.items.length === 10],
  ["fleet_versions", "by=version&step=1d", (a, n) => sum(a.items) === n],
];

const sum = (items) => items.reduce((n, { updates }) => n + updates, 0);
const get = async (server, query) => {
  const response = await fetch(`http://127.0.0.1:${server.port}/api/v1/fleet/aggregate?${query}`);
  return response.json();
};

async function ask(server, [name, query, holds], updates) {
  const began = process.hrtime.bigint();
  const answer = await get(server, query);
  const took = Number(process.hrtime.bigint() - began) / 1e6;
  if (!holds(answer, updates)) throw new Error(`${name}: ${JSON.stringify(answer).slice(0, 300)}`);
  return took;
}

function row(bench, figures, unit) {
  figures.sort((a, b) => a - b);
  return {
    bench,
    value: figures[Math.floor(figures.length / 2)],
    unit,
    runs: figures.length,
    min: figures[0],
    max: figures.at(-1),
  };
}

export async function fleetSums(build, { runs, scale = 1 }) {
  const updates = Math.ceil((10_000_000 * scale) / KEYS);
  const fill = path.join(build, "bench/fleet_fill");
  const dir = folder();
  try {
    const file = path.join(dir, "fleet.db");
    execFileSync(fill, [file, String(updates)], { stdio: "inherit" });
    const began = process.hrtime.bigint();
    const server = await telltale(build, { dir, keep: true, cpus: "0,1", args: ["--store", `sqlite:${file}`] });
    while ((await get(server, "")).behind) await sleep(20);
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    const rows = [row("fleet_add_up", [updates / seconds], "updates/s")];
    for (const question of questions) {
      const figures = [];
      for (let i = 0; i < runs; i++) figures.push(await ask(server, question, updates));
      rows.push(row(question[0], figures, "ms"));
    }
    await server.stop();
    const bytes = JSON.parse(execFileSync(fill, [file]));
    rows.push(row("fleet_aggregate_bytes", [bytes.aggregates / (updates * KEYS)], "bytes/value"));
    rows.push(row("fleet_update_bytes", [bytes.updates / (updates * KEYS)], "bytes/value"));
    return rows;
  } finally {
    remove(dir);
  }
}
