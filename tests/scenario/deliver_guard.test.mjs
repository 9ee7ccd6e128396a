// Webhooks reach no address that the guard holds back, whatever a URL or a name
// stands for. Runs in a network namespace of its own, where nothing can be
// reached but this machine, should the guard fail.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const inside = path.join(
  path.dirname(fileURLToPath(import.meta.url)),
  "deliver_guard_inside.mjs",
);
const addresses = [
  ...["8.8.8.8/32", "10.1.2.3/32", "172.16.0.1/32", "192.168.1.1/32"],
  ...["100.64.0.1/32", "169.254.169.254/32", "fd00::1/128", "fe80::1/128"],
  ...["64:ff9b::127.0.0.1/128", "2002:a01:203::1/128"],
];

test("webhooks are kept from what is not public", () => {
  const setup = [
    "ip link set lo up",
    ...addresses.map((address) => `ip addr add ${address} dev lo`),
    'exec "$0" "$1"',
  ].join(" && ");
  const root = process.getuid() === 0 ? [] : ["--map-root-user"];
  const result = spawnSync(
    "unshare",
    [...root, "--net", "sh", "-c", setup, process.execPath, inside],
    { encoding: "utf8", timeout: 120000 },
  );
  assert.equal(result.status, 0, `${result.error ?? ""}${result.stderr}`);
});
