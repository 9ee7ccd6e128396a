// Drives a program that emits (tests/scenario/emit_run.c), as one would run
// beside the server: it can be killed, and outlive it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import { buildDir, sanitizerOptions } from "./server.mjs";

const sanitizer = /(Sanitizer|runtime error:)/;

export class Emitter {
  constructor(t, url, ...spool) {
    const env = { ...process.env, ...sanitizerOptions() };
    this.child = spawn(path.join(buildDir, "tests/emit-run"), [url, ...spool], { env });
    this.exited = once(this.child, "exit");
    this.stderr = "";
    this.child.stderr.on("data", (text) => (this.stderr += text));
    this.answers = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    t.after(() => this.child.kill("SIGKILL"));
  }

  async ask(line) {
    this.child.stdin.write(`${line}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`no answer to ${line}\n${this.stderr}`);
    const stats = JSON.parse(value);
    const known = stats.sent + stats.queued + stats.spooled + stats.dropped;
    if (stats.emitted + stats.adopted !== known) throw new Error(`the ledger is off: ${value}`);
    return stats;
  }

  emit(first, count) {
    return this.ask(`emit ${first} ${count}`);
  }

  flush(ms) {
    return this.ask(`flush ${ms}`);
  }

  stats() {
    return this.ask("stats");
  }

  // Flushes until all is sent or dropped.
  async settle({ timeout = 60000 } = {}) {
    const end = Date.now() + timeout;
    for (;;) {
      const stats = await this.flush(500);
      if (stats.queued + stats.spooled === 0) return stats;
      if (Date.now() > end) throw new Error(`not settled: ${JSON.stringify(stats)}\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async free() {
    const stats = await this.ask("free");
    const [code] = await this.exited;
    if (code !== 0 || sanitizer.test(this.stderr)) throw new Error(`ended with ${code}\n${this.stderr}`);
    return stats;
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}
