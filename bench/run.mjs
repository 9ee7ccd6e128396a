// Runs every bench against its peer in one go, prints the table with the target
// beside each figure, and writes docs/performance.md with --write.
//
//   node bench/run.mjs [--build DIR] [--seconds N] [--runs N] [--no-peers]
//                      [--only WORD] [--write] [--smoke]
//
// --smoke: small, without peers and without the programs that measure by
// themselves: only to see that the rest works.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { fleet } from "./fleet.mjs";
import { fleetSums } from "./fleet_sums.mjs";
import { history } from "./history.mjs";
import { ingest } from "./ingest.mjs";
import { latency, memory, sse } from "./sse.mjs";
import { start } from "./start.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const options = { build: path.join(root, "build/release"), seconds: 3, runs: 5, peers: true, only: "", write: false, scale: 1 };
const argv = process.argv.slice(2);
while (argv.length) {
  const name = argv.shift();
  if (name === "--build") options.build = path.resolve(argv.shift());
  else if (name === "--seconds") options.seconds = Number(argv.shift());
  else if (name === "--runs") options.runs = Number(argv.shift());
  else if (name === "--only") options.only = argv.shift();
  else if (name === "--no-peers") options.peers = false;
  else if (name === "--write") options.write = true;
  else if (name === "--smoke") Object.assign(options, { scale: 0.01, seconds: 1, runs: 1, peers: false });
  else throw new Error(`${name} is not an option`);
}

// What a figure is held to. `of` says which number: the value (smaller or larger
// is better) or the ratio to the peer (larger is better).
const targets = {
  publish_250: { of: "value", better: "less", floor: 100, aim: 40 },
  publish_250_64_parked: { of: "ratio", better: "less", floor: 2, aim: 2 },
  session_disabled: { of: "value", better: "less", floor: 10, aim: 10 },
  storage_otlp: { of: "value", better: "more", floor: 50000, aim: 50000 },
  storage_jsonl: { of: "value", better: "more", floor: 500000, aim: 500000 },
  deliver: { of: "value", better: "more", floor: 3000, aim: 10000 },
  publish_to_request_p99: { of: "value", better: "less", floor: 20, aim: 5 },
  fanout_10000: { of: "ratio", better: "more", floor: 0.5, aim: 0.9 },
  deliver_healthy_p99: { of: "ratio", better: "less", floor: 2, aim: 1.2 },
  reader_envelope: { of: "value", better: "less", floor: 50, aim: 15 },
  emit_up: { of: "value", better: "less", floor: 400, aim: 150 },
  emit_down: { of: "value", better: "less", floor: 400, aim: 150 },
  emit_up_spool: { of: "value", better: "less", floor: 400, aim: 150 },
  emit_down_spool: { of: "value", better: "less", floor: 400, aim: 150 },
  emit_p9999_cpu: { of: "value", better: "less", floor: 50, aim: 50 },
  fleet_increment: { of: "value", better: "less", floor: 40, aim: 10 },
  fleet_increment_two: { of: "ratio", better: "less", floor: 1.1, aim: 1 },
  fleet_increment_64: { of: "value", better: "less", floor: 40, aim: 10 },
  fleet_increment_64_two: { of: "ratio", better: "less", floor: 1.1, aim: 1 },
  fleet_counter: { of: "value", better: "less", floor: 40, aim: 10 },
  fleet_counter_two: { of: "ratio", better: "less", floor: 1.1, aim: 1 },
  fleet_counter_64: { of: "value", better: "less", floor: 40, aim: 10 },
  fleet_counter_64_two: { of: "ratio", better: "less", floor: 1.1, aim: 1 },
  outbox_publish: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  outbox_publish_100: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  outbox_attached: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  outbox_attached_100: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  fleet_updates: { of: "value", better: "more", floor: 1000, aim: 5000 },
  fleet_update_cpu: { of: "value", better: "less", floor: 1000, aim: 200 },
  fleet_aggregate: { of: "value", better: "less", floor: 100, aim: 100 },
  fleet_aggregate_step: { of: "value", better: "less", floor: 100, aim: 100 },
  fleet_aggregate_values: { of: "value", better: "less", floor: 100, aim: 100 },
  fleet_aggregate_by: { of: "value", better: "less", floor: 100, aim: 100 },
  fleet_versions: { of: "value", better: "less", floor: 100, aim: 100 },
  json_scan_250: { of: "value", better: "more", floor: 0.4, aim: 0.8 },
  json_scan_64k: { of: "value", better: "more", floor: 0.8, aim: 1.5 },
  ingest_store_memory: { of: "ratio", better: "more", floor: 0.8, aim: 1.0 },
  ingest_durability_memory: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  ingest_tls: { of: "ratio", better: "more", floor: 0.6, aim: 0.8 },
  ingest_sync: { of: "ratio", better: "more", floor: 0.5, aim: 0.5 },
  ingest_batch100_commit: { of: "ratio", better: "more", floor: 0.5, aim: 0.9 },
  sse_1000_at_200: { of: "ratio", better: "more", floor: 0.5, aim: 0.9 },
  sse_1000_at_3200: { of: "ratio", better: "more", floor: 0.5, aim: 0.9 },
  sse_5000_at_200: { of: "ratio", better: "more", floor: 0.5, aim: 0.9 },
  sse_1000_at_200_nchan: { of: "ratio", better: "more", floor: 10, aim: 40 },
  sse_1000_at_3200_nchan: { of: "ratio", better: "more", floor: 10, aim: 40 },
  sse_5000_at_200_nchan: { of: "ratio", better: "more", floor: 10, aim: 40 },
  post_to_sse_sync_p99: { of: "value", better: "less", floor: 5, aim: 1 },
  post_to_sse_memory_p99: { of: "value", better: "less", floor: 5, aim: 1 },
  memory_idle: { of: "value", better: "less", floor: 12, aim: 6 },
  memory_subscriber_tls: { of: "value", better: "less", floor: 40, aim: 24 },
  memory_subscriber: { of: "value", better: "less", floor: 8, aim: 2 },
  start_million: { of: "value", better: "less", floor: 200, aim: 50 },
  histogram_million: { of: "value", better: "less", floor: 200, aim: 100 },
  histogram_million_filter: { of: "value", better: "less", floor: 200, aim: 100 },
  aggregate_million: { of: "value", better: "less", floor: 200, aim: 100 },
  aggregate_million_source: { of: "value", better: "less", floor: 200, aim: 100 },
  aggregate_million_filter: { of: "value", better: "less", floor: 200, aim: 100 },
};

function programs() {
  const dir = path.join(options.build, "bench");
  const rows = [];
  for (const name of readdirSync(dir).filter((n) => /^bench_[a-z0-9_]+$/.test(n)).sort()) {
    if (options.only && !name.includes(options.only)) continue;
    const text = execFileSync(path.join(dir, name), ["--seconds", String(options.seconds)], { encoding: "utf8" });
    for (const line of text.trim().split("\n")) rows.push(JSON.parse(line));
  }
  return rows;
}

function judge(row) {
  const target = targets[row.bench];
  if (!target) return { target: "", verdict: "" };
  const value = row[target.of];
  const holds = (limit) => (target.better === "less" ? value <= limit : value >= limit);
  const sign = target.better === "less" ? "≤" : "≥";
  const times = target.of === "ratio" ? " ×" : "";
  return {
    target: `${sign} ${target.floor}${times}, aim ${target.aim}${times}`,
    verdict: holds(target.aim) ? "aim" : holds(target.floor) ? "floor" : "missed",
  };
}

const number = (value) =>
  value === undefined ? "" : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : Number(value.toPrecision(3)).toString();

function table(rows) {
  const lines = [
    "| bench | figure | spread | unit | peer | peer's figure | ratio | target | holds |",
    "|---|---|---|---|---|---|---|---|---|",
  ];
  for (const row of rows) {
    const { target, verdict } = judge(row);
    const spread = row.min === undefined ? "" : `${number(row.min)} – ${number(row.max)}`;
    lines.push(
      `| ${row.bench} | ${number(row.value)} | ${spread} | ${row.unit} | ${row.peer ?? ""} | ${number(row.peer_value)} | ${number(row.ratio)} | ${target} | ${verdict} |`,
    );
  }
  return lines.join("\n");
}

function page(rows) {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  const cpu = /model name\s*:\s*(.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? os.arch();
  const notes = path.join(root, "docs/performance-notes.md");
  return `# Performance

Made by \`script/bench\`; every figure and its peer's were measured in the same
run, in turns. Ratios are to be trusted more than digits: the machine is shared.

- machine: ${os.cpus().length} × ${cpu}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}
- commit: ${commit}, release build, ${options.runs} runs of ${options.seconds} s, median and spread
- date: ${new Date().toISOString().slice(0, 10)}

${table(rows)}

"Holds" says which target was met: the aim, the floor, or neither. A ratio is
ours to the peer's, so that more is better, but for \`publish_64_readers\`, which
is the time with 64 parked readers to the time without.

${existsSync(notes) ? readFileSync(notes, "utf8") : ""}`;
}

const rows = options.scale === 1 ? programs() : [];
const wants = (name) => !options.only || name.includes(options.only);
const { runs, seconds, peers, scale } = options;
const settings = { runs, seconds, peers, scale };
const bareUs = rows.find((row) => row.bench === "store_batch100_cpu")?.peer_value;
if (peers && wants("ingest")) rows.push(...(await ingest(options.build, { ...settings, bareUs })));
if (wants("fleet")) rows.push(...(await fleet(options.build, settings)));
if (wants("sse")) rows.push(...(await sse(options.build, { ...settings, runs: Math.min(3, options.runs) })));
if (wants("latency")) rows.push(...(await latency(options.build, settings)));
if (wants("memory")) rows.push(...(await memory(options.build, settings)));
if (wants("start")) rows.push(...(await start(options.build, settings)));
if (wants("fleet_sums")) rows.push(...(await fleetSums(options.build, settings)));
if (wants("history")) rows.push(...(await history(options.build, settings)));
console.log(table(rows));
if (options.write) writeFileSync(path.join(root, "docs/performance.md"), page(rows));
