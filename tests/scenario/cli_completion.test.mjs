// What `telltale completion bash` prints completes, in a real bash.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { binary, temporaryFolder } from "../harness/server.mjs";

const run = promisify(execFile);

// Calls what `complete -F` names, as bash does when TAB is hit behind the last
// of the words.
const driver = `
set -u
source <("$1" completion bash)
[[ $(complete -p telltale) =~ -F\\ ([^ ]+) ]]
function=\${BASH_REMATCH[1]}
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"$function" telltale "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "\${COMPREPLY[@]}"
`;

async function complete(words, cwd = "/") {
  const { stdout, stderr } = await run(
    "bash",
    ["--norc", "--noprofile", "-c", driver, "bash", binary, ...words],
    { cwd, timeout: 15000 },
  );
  assert.equal(stderr, "");
  return stdout.split("\n").filter(Boolean);
}

test("bash completes commands", async () => {
  const all = await complete(["telltale", ""]);
  for (const name of ["serve", "send", "tail", "events", "config", "help"])
    assert.ok(all.includes(name), name);
  assert.deepEqual(await complete(["telltale", "ta"]), ["tail"]);
  assert.deepEqual(await complete(["telltale", "x"]), []);
});

test("bash completes a command's options, all that --help has", async () => {
  assert.deepEqual(await complete(["telltale", "events", "--s"]), [
    "--source",
    "--since",
  ]);
  assert.deepEqual(await complete(["telltale", "send", "--si"]), []);
  for (const command of await complete(["telltale", ""])) {
    if (command === "help") continue;
    const { stdout } = await run(binary, [command, "--help"]);
    const told = [...stdout.matchAll(/^ +(?:-\w, +)?(--[a-z-]+)/gm)];
    const known = await complete(["telltale", command, "--"]);
    assert.deepEqual(
      known.sort(),
      [...new Set([...told.map((found) => found[1]), "--help"])].sort(),
    );
  }
});

test("bash completes values and what comes first", async (t) => {
  const levels = ["debug", "info", "warn", "error", "fatal"];
  assert.deepEqual(await complete(["telltale", "tail", "--level", ""]), levels);
  assert.deepEqual(await complete(["telltale", "tail", "-l", "e"]), ["error"]);
  assert.deepEqual(await complete(["telltale", "tail", "--level", "="]), levels);
  assert.deepEqual(await complete(["telltale", "tail", "--level", "=", "w"]), [
    "warn",
  ]);
  assert.deepEqual(await complete(["telltale", "serve", "--durability", "s"]), [
    "sync",
  ]);
  // Nobody can know a source.
  assert.deepEqual(await complete(["telltale", "tail", "--source", ""]), []);
  assert.deepEqual(await complete(["telltale", "token", "re"]), ["revoke"]);
  assert.deepEqual(await complete(["telltale", "config", "c"]), ["check"]);
  assert.deepEqual(await complete(["telltale", "tail", "--include", ""]), ["log"]);
  assert.deepEqual(await complete(["telltale", "man", "ta"]), ["tail"]);
  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, "my options.yaml"), "");
  await mkdir(path.join(folder, "my spool"));
  assert.deepEqual(
    await complete(["telltale", "send", "--spool", "my"], folder),
    ["my spool"],
  );
  assert.deepEqual((await complete(["telltale", "backup", "my"], folder)).sort(), [
    "my options.yaml",
    "my spool",
  ]);
  assert.deepEqual(
    await complete(["telltale", "serve", "--config", "my o"], folder),
    ["my options.yaml"],
  );
});

test("completion knows two shells", async () => {
  for (const args of [[], ["fish"], ["bash", "zsh"], ["--fish"]])
    await assert.rejects(run(binary, ["completion", ...args]), (error) => {
      assert.equal(error.code, 2);
      assert.match(error.stderr, /^telltale completion: /);
      return true;
    });
});
