// Updates of 10,000 installed programs, one a POST, with wrk: the server on
// processor 0, the load on processor 1.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { measure, median } from "./ingest.mjs";
import { folder, remove, telltale } from "./server.mjs";

const data = {
  version: "1.4.2",
  os: "linux",
  arch: "amd64",
  cpu: { brand: "some processor", cores: 8, aes: true },
  process: { resident_bytes: 73400320, threads: 12, open_files: 41, cpu_seconds: 17.25 },
  client: ["curl", "browser", "library", "bot", "other"].map((value, i) => ({ value, count: 17 * i + 1 })),
  ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`feature_${i}`, 1000 * i + 7])),
};

// Each update has a time of its own, as it would be a repeat otherwise.
const script = `wrk.method = "POST"
local n = 0
function request()
  n = n + 1
  local id = string.format("7d8f9a52-6c1e-4d57-9d0e-%012d", n % 10000)
  local time = string.format("%04d-01-02T%02d:%02d:%02d.%06dZ", 2000 + n % 27,
    n % 24, n % 60, n % 60, n % 1000000)
  return wrk.format(nil, "/v1/update/" .. id, nil, '{"instance_id":"' .. id ..
    '","timestamp":"' .. time .. '","data":' .. [==[${JSON.stringify(data)}]==] .. "}")
end
`;

export async function fleet(build, { runs, seconds }) {
  const dir = folder();
  const file = path.join(dir, "update.lua");
  writeFileSync(file, script);
  const args = ["--fleet-min-interval", "0", "--durability", "sync", "--loops", "1"];
  const server = await telltale(build, { args });
  const seen = [];
  try {
    for (let run = 0; run < runs; run++)
      seen.push(measure(server, file, { seconds, connections: 64 }));
  } finally {
    await server.stop();
    remove(dir);
  }
  const row = (bench, unit, of) => {
    const values = seen.map(of);
    return { bench, unit, value: median(values), runs, min: Math.min(...values), max: Math.max(...values) };
  };
  return [row("fleet_updates", "/s", (r) => r.rate), row("fleet_update_cpu", "us CPU/update", (r) => r.us)];
}
