// What a scraper reads: both formats, held to their grammar line by line.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startPrometheus } from "../harness/metrics.mjs";
import { startServer, until } from "../harness/server.mjs";

const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|NaN|[+-]Inf)$/;

// Reads an exposition as strictly as its format is written: every family once,
// HELP and TYPE before its samples, all its samples together, none twice.
// Answers the families: {name: {type, samples}}.
function read(text, openmetrics) {
  assert.ok(text.endsWith("\n"));
  const lines = text.slice(0, -1).split("\n");
  if (openmetrics) assert.equal(lines.pop(), "# EOF");
  const families = {};
  let open;
  for (const line of lines) {
    const comment = /^# (HELP|TYPE|UNIT) (\S+) (.+)$/.exec(line);
    if (comment) {
      const [, keyword, name, rest] = comment;
      if (!open || open.name !== name) {
        assert.ok(!(name in families), `${name} begins twice`);
        open = families[name] = { name, samples: new Map() };
      }
      assert.ok(!(keyword in open), `${keyword} of ${name} comes twice`);
      assert.equal(open.samples.size, 0, `${keyword} after samples of ${name}`);
      open[keyword] = rest;
      continue;
    }
    const found = sampleLine.exec(line);
    assert.ok(found, `not a sample: ${line}`);
    const [, name, labels, value] = found;
    assert.ok(open?.HELP && open?.TYPE, `${name} has no HELP or TYPE`);
    const counter = openmetrics && open.TYPE === "counter";
    if (open.TYPE === "histogram") assert.match(name.slice(open.name.length), /^_(bucket|sum|count)$/);
    else assert.equal(name, open.name + (counter ? "_total" : ""));
    if (open.TYPE === "counter") assert.match(name, /_total$/);
    else assert.doesNotMatch(name, /_total$/);
    if (open.UNIT) assert.ok(open.name.endsWith(`_${open.UNIT}`));
    const key = open.TYPE === "histogram" ? `${name.slice(open.name.length)} ${labels ?? ""}` : (labels ?? "");
    assert.ok(!open.samples.has(key), `${line} comes twice`);
    open.samples.set(key, Number(value));
  }
  return families;
}

// The instruments, as the header declares them: rows of X(id, kind, name, unit,
// label, label, help), and of X(id, 0 or 1, values).
async function instruments() {
  const header = await readFile(new URL("../../include/telltale/metrics.h", import.meta.url), "utf8");
  const calls = [...header.replaceAll("\\\n", " ").matchAll(/ X\((TT_METRIC_\w+), (.*?)\)(?=\s+X\(|\n)/g)];
  const rows = calls.map(([, id, rest]) => ({ id, args: JSON.parse(`[${rest.replaceAll(/"\s+"/g, "").replaceAll("NULL", "null").replace(/^[A-Z]+/, '"$&"')}]`) }));
  return rows
    .filter(({ args }) => args.length === 6)
    .map(({ id, args: [kind, name, unit, a, b, help] }) => ({
      kind: kind.toLowerCase(),
      name,
      unit,
      help,
      labels: [a, b].filter(Boolean).map((label, i) => ({
        label,
        values: rows.find(({ id: of, args }) => of === id && args.length === 2 && args[0] === i)?.args[1],
      })),
    }));
}

async function scrape(server, accept) {
  const answer = await server.fetch("/metrics", { headers: { accept } });
  assert.equal(answer.status, 200);
  return { type: answer.headers.get("content-type"), text: await answer.text() };
}

test("both formats of /metrics keep to their grammar", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "a", action: "b" });
  await server.post("/events", { action: "no source" });
  await server.fetch("/nowhere\"\\");
  const plain = await scrape(server, "text/plain");
  const open = await scrape(server, "application/openmetrics-text");
  assert.equal(plain.type, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(
    open.type,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  const families = read(plain.text, false);
  const openFamilies = read(open.text, true);
  assert.equal(
    Object.keys(families).length,
    Object.keys(openFamilies).length,
  );
  const received = families.telltale_events_received_total;
  assert.equal(received.TYPE, "counter");
  assert.equal(received.samples.get(""), 1 + 1);
  assert.equal(
    openFamilies.telltale_events_received.samples.get(""),
    received.samples.get(""),
  );
  assert.equal(openFamilies.telltale_store_bytes.UNIT, "bytes");
  const known = (await instruments()).map(({ name, unit, kind }) =>
    ["telltale", name, unit, kind === "counter" && "total"].filter(Boolean).join("_"),
  );
  for (const { name } of Object.values(families)) assert.ok(known.includes(name), name);
});

// With TELLTALE_UPDATE=1 the document is made to agree.
test("the document has the table's instruments", async () => {
  const rows = await instruments();
  const document = new URL("../../docs/metrics.md", import.meta.url);
  const text = await readFile(document, "utf8");
  const marked = /(<!-- instruments -->\n)([^]*)(<!-- \/instruments -->)/;
  const shown = ({ label, values }) => `\`${label}\`` + (values ? `: ${values.replaceAll("|", ", ")}` : "");
  const table = [
    "| name | kind | unit | labels | |",
    "|---|---|---|---|---|",
    ...rows.map((row) => `| \`${row.name}\` | ${row.kind} | ${row.unit} | ${row.labels.map(shown).join("; ")} | ${row.help} |`),
    "",
  ].join("\n");
  if (process.env.TELLTALE_UPDATE === "1") await writeFile(document, text.replace(marked, `$1${table}$3`));
  else assert.equal(marked.exec(text)[2], table, `TELLTALE_UPDATE=1 node ${fileURLToPath(import.meta.url)}`);
});

// Prometheus's own judge, which comes with all of Prometheus.
test("promtool has nothing to say about /metrics", async (t) => {
  const server = await startServer(t);
  await server.post("/events", { source: "a", action: "b" });
  await server.post("/events", { action: "no source" });
  const { text } = await scrape(server, "text/plain");
  const judge = spawnSync("promtool", ["check", "metrics"], { input: text });
  assert.equal(judge.error, undefined);
  assert.equal(judge.status, 0, String(judge.stderr));
  assert.equal(String(judge.stderr), "");
});

test("Prometheus scrapes /metrics and answers what it found", { timeout: 120000 }, async (t) => {
  const server = await startServer(t);
  const prometheus = await startPrometheus(t, new URL(server.url).host);
  for (let i = 0; i < 3; i++) await server.post("/events", { source: "a", action: "b" });
  await server.post("/events", { action: "no source" });
  const value = (query) => prometheus.value(query);
  await until(async () => (await value("telltale_events_received_total")) === 4, { timeout: 60000, what: "the counter" });
  await until(async () => (await value('telltale_events_rejected_total{reason="invalid"}')) === 1, { timeout: 60000, what: "the label" });
  assert.equal(await value("telltale_store_head"), 3);
  assert.equal(await value("up"), 1);
});
