// From exec to the first answer with a million events in the store.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { folder, remove, telltale } from "./server.mjs";

export async function start(build, { runs, scale = 1 }) {
  const count = 1_000_000 * scale;
  const dir = folder();
  const options = { dir, keep: true, cpus: "0,1" };
  try {
    const lines = [];
    for (let i = 0; i < 1000; i++)
      lines.push(JSON.stringify({ source: `s${i % 17}`, action: "fill", data: { n: i, text: "x".repeat(100) } }));
    writeFileSync(path.join(dir, "events.ndjson"), `${lines.join("\n")}\n`.repeat(Math.ceil(count / 1000)));
    const filler = await telltale(build, { ...options, args: ["--durability", "commit"] });
    execFileSync("sh", ["-c", `"$0" send --url http://127.0.0.1:${filler.port} --stdin < "$1"`, path.join(build, "cli/telltale"), path.join(dir, "events.ndjson")], {
      stdio: ["ignore", "inherit", "pipe"],
    });
    await filler.stop();
    const figures = [];
    for (let i = 0; i < runs; i++) {
      const began = process.hrtime.bigint();
      const server = await telltale(build, options);
      const answer = await fetch(`http://127.0.0.1:${server.port}/events/recent?n=1`);
      const [last] = await answer.json();
      figures.push(Number(process.hrtime.bigint() - began) / 1e6);
      if (last.seq < count) throw new Error(`only ${last.seq} events are stored`);
      await server.stop();
    }
    figures.sort((a, b) => a - b);
    return [
      {
        bench: "start_million",
        value: figures[Math.floor(figures.length / 2)],
        unit: "ms to the first answer",
        runs,
        min: figures[0],
        max: figures.at(-1),
      },
    ];
  } finally {
    remove(dir);
  }
}
