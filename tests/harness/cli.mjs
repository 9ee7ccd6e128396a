// Runs the command that users get, as they would.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { binary, sanitizerOptions } from "./server.mjs";

const reported = /(Sanitizer|runtime error:)/;

// The environment of a user whose home is `folder`.
export function userEnv(folder, more = {}) {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    XDG_STATE_HOME: folder,
    XDG_CONFIG_HOME: folder,
    TZ: "UTC",
    ...sanitizerOptions(),
    ...more,
  };
}

// Starts `telltale args…` for `server` (a server of the harness, or null for
// none). Answers {child, out, err, lines(), done}: done resolves to {code,
// signal, out, err} when it has ended.
export function startCli(server, args, { env = {}, input, stdio } = {}) {
  const more = { ...(server ? { TELLTALE_URL: server.url } : {}), ...env };
  const child = spawn(binary, args, {
    env: userEnv(server?.folder ?? "/nonexistent", more),
    stdio: stdio ?? ["pipe", "pipe", "pipe"],
  });
  const run = { child, out: "", err: "", args };
  child.stdout.setEncoding("utf8").on("data", (text) => (run.out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (run.err += text));
  child.stdin.on("error", () => {}); // it need not read all that it is given
  if (input !== undefined) child.stdin.end(input);
  run.lines = () => run.out.split("\n").slice(0, -1);
  run.done = once(child, "close").then(([code, signal]) => {
    if (reported.test(run.err)) throw new Error(run.err);
    return { code, signal, out: run.out, err: run.err };
  });
  return run;
}

// Runs it to its end.
export function cli(server, args, options = {}) {
  return startCli(server, args, { input: "", ...options }).done;
}

// Runs it on a pseudo-terminal, by script(1); answers all that the terminal got.
export async function cliOnTerminal(server, args, env = {}) {
  const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  const line = [binary, ...args].map(quote).join(" ");
  const child = spawn("script", ["-qec", line, "/dev/null"], {
    env: userEnv(server.folder, {
      TELLTALE_URL: server.url,
      TERM: "xterm",
      SHELL: "/bin/sh",
      ...env,
    }),
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more) => (text += more));
  const [code] = await once(child, "close");
  return { code, text };
}
