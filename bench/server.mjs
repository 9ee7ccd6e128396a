// Starts and stops the servers that are measured, each pinned to a processor.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Certificates } from "../tests/harness/tls.mjs";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function folder() {
  return mkdtempSync(path.join(tmpdir(), "telltale-bench-"));
}

export function remove(dir) {
  rmSync(dir, { recursive: true, force: true });
}

// User and system seconds of a process and its threads, or of several.
export function cpuSeconds(...pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

// Private_Clean + Private_Dirty, in bytes.
export function privateBytes(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  let kb = 0;
  for (const [, n] of text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm)) kb += Number(n);
  return kb * 1024;
}

// The options of telltale serve for TLS, and what nginx wants for the same.
let made;
export function certificate() {
  if (!made) {
    const dir = folder();
    process.on("exit", () => remove(dir));
    made = new Certificates(dir).make("server");
  }
  return made.args("server");
}
const nginxTls = () => {
  const [, cert, , key] = certificate();
  return `ssl_certificate ${cert}; ssl_certificate_key ${key};`;
};

async function firstLine(child, pattern, what) {
  let text = "";
  let errors = "";
  child.stderr?.on("data", (more) => (errors += more));
  return new Promise((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`${what} ended with ${code}\n${errors}`)));
    child.stdout.on("data", (more) => {
      text += more;
      const found = pattern.exec(text);
      if (found) resolve(found);
    });
  });
}

// telltale serve on `cpus` ("0"), with `args`. {port, pid, stop, dir}
export async function telltale(build, { cpus = "0", args = [], dir = folder(), keep = false } = {}) {
  const started = process.hrtime.bigint();
  const child = spawn(
    "taskset",
    ["-c", cpus, path.join(build, "cli/telltale"), "serve", "--listen", "127.0.0.1:0", ...args],
    { env: { ...process.env, XDG_STATE_HOME: dir, XDG_CONFIG_HOME: dir }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const found = await firstLine(child, /ready\b.*?https?:\/\/[^\s/]+:(\d+)/, "telltale");
  return {
    tls: args.includes("--tls-cert"),
    port: Number(found[1]),
    pid: child.pid,
    pids: [child.pid],
    startMs: Number(process.hrtime.bigint() - started) / 1e6,
    dir,
    async stop() {
      child.removeAllListeners("exit");
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await gone;
      if (!keep) remove(dir);
    },
  };
}

export async function peer(build, cpus = "0") {
  const child = spawn("taskset", ["-c", cpus, path.join(build, "bench/sse_peer")], { stdio: ["ignore", "pipe", "pipe"] });
  const found = await firstLine(child, /(\d+)/, "sse_peer");
  return {
    port: Number(found[1]),
    pid: child.pid,
    pids: [child.pid],
    async stop() {
      child.removeAllListeners("exit");
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

// nginx with one worker on processor 0; `locations` goes into its server block.
export async function nginx(locations, { modules = "", port, tls = false } = {}) {
  const dir = folder();
  const config = path.join(dir, "nginx.conf");
  writeFileSync(
    config,
    `${modules}
worker_processes 1; worker_cpu_affinity 01; daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
worker_rlimit_nofile 65536;
events { worker_connections 20000; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  server { listen 127.0.0.1:${port} backlog=4096${tls ? " ssl" : ""}; ${tls ? nginxTls() : ""} ${locations} }
}
`,
  );
  const child = spawn("nginx", ["-c", config, "-p", dir], { stdio: ["ignore", "inherit", "inherit"] });
  await sleep(500);
  const workers = execFileSync("pgrep", ["-P", String(child.pid)], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map(Number);
  return {
    tls,
    port,
    pid: workers[0],
    pids: [child.pid, ...workers],
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await gone;
      remove(dir);
    },
  };
}
