// Those to whom metrics go: Prometheus itself, and the statsd daemon.
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { temporaryFolder, until } from "./server.mjs";

function start(t, command, args) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  child.said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (child.said += text));
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  return child;
}

// Prometheus, scraping `target` twice a second. value() answers a query's only
// number, undefined when there is none.
export async function startPrometheus(t, target) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "prometheus.yml");
  await writeFile(
    file,
    `global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: telltale, static_configs: [{targets: ["${target}"]}]}]\n`,
  );
  const child = start(t, "prometheus", [
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
  ]);
  const address = await until(() => /msg="Listening on" address=(\S+)/.exec(child.said)?.[1], {
    timeout: 60000,
    what: "Prometheus",
  });
  const value = async (query) => {
    const answer = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(query)}`);
    const found = answer.ok ? (await answer.json()).data.result : [];
    return found.length === 1 ? Number(found[0].value[1]) : undefined;
  };
  return { value };
}

async function freePorts() {
  const udp = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  const tcp = net.createServer().listen(0, "127.0.0.1");
  await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
  const ports = { udp: udp.address().port, tcp: tcp.address().port };
  await Promise.all([once(udp.close(), "close"), once(tcp.close(), "close")]);
  return ports;
}

// The statsd daemon of npm, which never flushes. ask("counters") and its like
// answer what it holds, as the text of its management port; it takes no port 0.
export async function startStatsd(t) {
  const folder = await temporaryFolder(t);
  const { udp, tcp } = await freePorts();
  const file = path.join(folder, "config.js");
  const config = {
    address: "127.0.0.1",
    port: udp,
    mgmt_address: "127.0.0.1",
    mgmt_port: tcp,
    flushInterval: 3600000,
    backends: [],
  };
  await writeFile(file, JSON.stringify(config));
  start(t, process.execPath, [createRequire(import.meta.url).resolve("statsd/stats.js"), file]);
  const ask = (command) =>
    new Promise((resolve, reject) => {
      const socket = net.connect(tcp, "127.0.0.1", () => socket.write(`${command}\n`));
      let text = "";
      socket.on("error", reject);
      socket.on("data", (more) => {
        text += more;
        if (text.includes("END") || text.startsWith("health")) resolve(socket.destroy() && text);
      });
    });
  await until(() => ask("health").catch(() => false), { timeout: 60000, what: "statsd" });
  return { address: `udp://127.0.0.1:${udp}`, ask };
}
