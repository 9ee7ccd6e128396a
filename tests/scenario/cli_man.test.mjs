// The manual page of the server and docs/configuration.md tell the same.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { cli } from "../harness/cli.mjs";

const doc = new URL("../../docs/configuration.md", import.meta.url);
const marked = /(<!-- options -->\n)([^]*)(<!-- end -->)/;

// The page's options: {flag, kind, help, key, variable, default, live}.
async function options() {
  const { out } = await cli(null, ["man", "serve"]);
  const text = out.replaceAll("\\-", "-").replaceAll("\\&", "");
  const item =
    /^\.TP\n\.BR (--\S+)(?: " \\fI(.+)\\fR")?\n(.+)\n\.br\nkey (\S+), variable (\S+?)(?:, default (.+?))?(, re-read on SIGHUP)?$/gm;
  return [...text.matchAll(item)].map(
    ([, flag, kind, help, key, variable, value, live]) => ({
      flag, kind, help, key, variable, value, live: Boolean(live),
    }),
  );
}

function table(rows) {
  const code = (text) => (text ? `\`${text}\`` : "");
  return [
    "| key | flag | variable | default | |",
    "|---|---|---|---|---|",
    ...rows.map(
      (o) =>
        `| ${code(o.key)}${o.live ? " *" : ""} | ${code(o.flag)} | ${code(o.variable)} | ${code(o.value)} | ${o.help} |`,
    ),
    "",
  ].join("\n");
}

// With TELLTALE_UPDATE=1 the document is made to agree.
test("the document has the page's options", async () => {
  const rows = await options();
  const { out } = await cli(null, ["serve", "--help"]);
  const flags = [...out.matchAll(/^  (--\S+)/gm)].map((found) => found[1]);
  assert.deepEqual(["--config", ...rows.map((o) => o.flag)], flags);
  const text = await readFile(doc, "utf8");
  if (process.env.TELLTALE_UPDATE === "1")
    await writeFile(doc, text.replace(marked, `$1${table(rows)}$3`));
  else
    assert.equal(marked.exec(text)[2], table(rows), `TELLTALE_UPDATE=1 node ${fileURLToPath(import.meta.url)}`);
});

test("a page for each command, and none for what is no command", async () => {
  const { out } = await cli(null, ["man"]);
  const names = [...out.matchAll(/^\.BR telltale\\-([a-z]+) \(1\)$/gm)].map((m) => m[1]);
  assert.ok(names.includes("bench"));
  for (const name of names) {
    const page = await cli(null, ["man", name]);
    assert.equal(page.code, 0);
    for (const section of ["NAME", "OPTIONS", "EXIT STATUS", "EXAMPLES"])
      assert.match(page.out, new RegExp(`^\\.SH ${section}$`, "m"));
  }
  const wrong = await cli(null, ["man", "tial"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /there is no command tial; did you mean tail\?/);
});
