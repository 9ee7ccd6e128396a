// Questions about a million stored events, asked over HTTP.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { folder, remove, telltale } from "./server.mjs";

const DAY = 24 * 3600 * 1000;
const since = () => new Date(Date.now() - 7 * DAY).toISOString();

// Of each: the name, the path, and what its answer has to add up to (`count`
// events are stored).
const questions = [
  ["histogram_million", () => `histogram?buckets=168&since=${since()}`, (a, count) => sum(a.buckets, "total") === count],
  [
    "histogram_million_filter",
    () => `histogram?buckets=168&source=service-3,service-5&level=>=warn&since=${since()}`,
    (a) => sum(a.buckets, "total") > 0,
  ],
  ["aggregate_million", () => "aggregate?by=action", (a, count) => sum(a.items, "count") === count],
  ["aggregate_million_source", () => `aggregate?by=source&since=${since()}`, (a, count) => sum(a.items, "count") === count],
  ["aggregate_million_filter", () => "aggregate?by=action&level=error,fatal", (a) => sum(a.items, "errors") > 0],
  ["aggregate_million_text", () => "aggregate?by=action&q=things/4242", (a) => sum(a.items, "count") > 0],
  ["list_million_rare", () => "?source=rare&limit=100", (a, count) => a.items.length === Math.min(100, count / 10000)],
  ["list_million_text", () => "?q=things/4242&limit=1000", (a) => Array.isArray(a.items)],
  ["list_million_first", () => "?limit=100", (a) => a.items.length === 100],
  ["stats_million", () => "stats", (a, count) => a.total === undefined || a.total === count],
  ["channels_million", () => "channels", (a) => a !== null],
  ["rate_million", () => "rate", (a) => a !== null],
];

const sum = (items, key) => items.reduce((n, item) => n + item[key], 0);

async function ask(server, question) {
  const [name, where, holds] = question;
  const began = process.hrtime.bigint();
  const response = await fetch(`http://127.0.0.1:${server.port}/events${where().replace(/^(?=\w)/, "/")}`);
  const answer = await response.json();
  const took = Number(process.hrtime.bigint() - began) / 1e6;
  if (response.status !== 200 || answer.complete === false || !holds(answer, server.count))
    throw new Error(`${name}: ${response.status} ${JSON.stringify(answer).slice(0, 300)}`);
  return took;
}

export async function history(build, { runs, scale = 1 }) {
  const count = 1_000_000 * scale;
  const dir = folder();
  try {
    const file = path.join(dir, "history.db");
    execFileSync(path.join(build, "bench/history_fill"), [file, String(count)], { stdio: "inherit" });
    const server = await telltale(build, { dir, keep: true, cpus: "0,1", args: ["--store", `sqlite:${file}`] });
    server.count = count;
    const rows = [];
    for (const question of questions) {
      const figures = [];
      for (let i = 0; i < runs; i++) figures.push(await ask(server, question));
      figures.sort((a, b) => a - b);
      rows.push({
        bench: question[0],
        value: figures[Math.floor(figures.length / 2)],
        unit: "ms",
        runs,
        min: figures[0],
        max: figures.at(-1),
      });
    }
    await server.stop();
    return rows;
  } finally {
    remove(dir);
  }
}
