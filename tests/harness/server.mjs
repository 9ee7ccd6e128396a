// Starts the real binary for a test, on a free port and a folder of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const buildDir = path.resolve(
  root,
  process.env.TELLTALE_BUILD ?? "build/dev",
);

// The test build: fault points, a settable clock, a VFS that can lose power.
export const testBinary = path.join(buildDir, "cli/telltale-test");
// The binary that users get.
export const binary = path.join(buildDir, "cli/telltale");

// True for the long run: more rounds of what is random.
export const long = process.env.TELLTALE_LONG === "1";

const sanitizer =
  /(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:)/;

// A folder for the length of a test.
export async function temporaryFolder(t) {
  const dir = await mkdtemp(path.join(tmpdir(), "telltale-test-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

// One server. `folder` holds its store and survives restarts; `args` go behind
// "serve", `env` over the environment. With `control`, fault points and the
// clock can be driven by control().
export class Server {
  constructor(folder, { args = [], env = {}, control = false, store } = {}) {
    this.folder = folder;
    this.args = args;
    this.env = env;
    this.store = store ?? `sqlite:${path.join(folder, "telltale.db")}`;
    this.controlPath = control ? path.join(folder, "control") : null;
    this.port = 0;
    this.stderr = "";
    this.stdout = "";
  }

  // Starts and waits until it says that it is ready.
  async start({ timeout = 20000 } = {}) {
    const args = [
      "serve",
      "--listen",
      `127.0.0.1:${this.port}`,
      "--store",
      this.store,
      ...(this.controlPath ? ["--test-control", this.controlPath] : []),
      ...this.args,
    ];
    this.stdout = "";
    this.child = spawn(testBinary, args, {
      env: {
        PATH: process.env.PATH,
        HOME: this.folder,
        XDG_STATE_HOME: this.folder,
        XDG_CONFIG_HOME: this.folder,
        ...sanitizerOptions(),
        ...this.env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stderr.setEncoding("utf8");
    this.child.stdout.setEncoding("utf8");
    this.child.stderr.on("data", (text) => (this.stderr += text));
    this.exited = once(this.child, "exit").then(([code, signal]) => ({
      code,
      signal,
    }));
    this.url = await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not ready in ${timeout} ms\n${this.stderr}`)),
        timeout,
      );
      this.child.stdout.on("data", (text) => {
        this.stdout += text;
        const found = /ready\b.*?(https?:\/\/[^\s/]+)/.exec(this.stdout);
        if (found) {
          clearTimeout(timer);
          resolve(found[1]);
        }
      });
      this.exited.then(({ code, signal }) => {
        clearTimeout(timer);
        reject(
          new Error(`ended with ${code ?? signal} at start\n${this.stderr}`),
        );
      });
    });
    this.port = Number(new URL(this.url).port);
    return this;
  }

  get pid() {
    return this.child.pid;
  }

  // SIGTERM, and an exit with status 0 in time; a sanitizer's report fails.
  async stop({ timeout = 20000 } = {}) {
    this.child.kill("SIGTERM");
    const result = await this.wait(timeout);
    this.assertClean();
    if (result.code !== 0)
      throw new Error(
        `stopped with ${result.code ?? result.signal}\n${this.stderr}`,
      );
    return result;
  }

  // SIGKILL, as the kernel would in an emergency.
  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
    this.assertClean();
  }

  // How it ended: {code, signal}.
  async wait(timeout = 20000) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        this.child.kill("SIGKILL");
        reject(new Error(`still running after ${timeout} ms\n${this.stderr}`));
      }, timeout);
    });
    try {
      return await Promise.race([this.exited, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  assertClean() {
    if (sanitizer.test(this.stderr))
      throw new Error(`a sanitizer reported\n${this.stderr}`);
  }

  fetch(route, init) {
    return fetch(this.url + route, init);
  }

  async json(route, init) {
    const answer = await this.fetch(route, init);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  post(route, body, headers = {}) {
    return this.fetch(route, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
  }

  // One command over the control socket; answers the text behind "ok".
  control(command) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.controlPath);
      let text = "";
      socket.setEncoding("utf8");
      socket.on("connect", () => socket.write(`${command}\n`));
      socket.on("data", (more) => {
        text += more;
        if (!text.includes("\n")) return;
        socket.end();
        const line = text.split("\n")[0];
        if (line === "ok" || line.startsWith("ok ")) resolve(line.slice(3));
        else reject(new Error(`${command}: ${line}`));
      });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`${command}: no answer`)));
    });
  }
}

// Starts a server that is stopped when the test ends.
export async function startServer(t, options = {}) {
  const folder = options.folder ?? (await temporaryFolder(t));
  const server = new Server(folder, options);
  await server.start();
  t.after(async () => {
    if (server.child.exitCode === null && server.child.signalCode === null)
      await server.stop();
  });
  return server;
}

export function sanitizerOptions() {
  return {
    ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "detect_leaks=1",
    TSAN_OPTIONS: process.env.TSAN_OPTIONS ?? "halt_on_error=0",
    UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? "print_stacktrace=1",
  };
}

// Waits until `check` answers something truthy, asking every 20 ms.
export async function until(check, { timeout = 10000, what = "it" } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not come in ${timeout} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
