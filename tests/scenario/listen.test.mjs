// `telltale listen` receives webhooks, says whether their signature is good, and
// is as bad a receiver as it is asked to be.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { binary, until } from "../harness/server.mjs";

async function listen(t, ...args) {
  const child = spawn(binary, ["listen", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const listener = { child, text: "" };
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (more) => (listener.text += more));
  listener.url = await until(
    () => /listening on (http:\S+)/.exec(listener.text)?.[1],
    { what: "the listener" },
  );
  return listener;
}

const body = JSON.stringify({ type: "order.paid", data: { n: 1 } });

function signed(secret, id = "evt_1") {
  const now = new Date();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, now, body),
    "telltale-delivery-id": "whd_1",
  };
}

const post = (url, headers = {}) => fetch(url, { method: "POST", headers, body });

test("what arrives is shown, with what its signature is worth", async (t) => {
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const other = `whsec_${randomBytes(32).toString("base64")}`;
  const listener = await listen(t, "--secret", secret);
  assert.equal((await post(listener.url, signed(secret))).status, 200);
  assert.equal((await post(`${listener.url}hook`, signed(other))).status, 200);
  assert.equal((await post(listener.url)).status, 200);
  const lines = listener.text.split("\n").filter((line) => /^\d\d:/.test(line));
  assert.match(
    lines[0],
    /order\.paid evt_1 as whd_1, 36 bytes, signature good, answering 200$/,
  );
  assert.match(lines[1], /signature BAD: no signature matches/);
  assert.match(lines[2], /not signed/);
  assert.ok(listener.text.includes(body));
  listener.child.kill("SIGINT");
  await until(() => listener.child.exitCode === 0, { what: "its end" });
});

test("it fails as often, and answers as late, as it is told", async (t) => {
  const failing = await listen(t, "--fail", "100%");
  assert.equal((await post(failing.url)).status, 500);
  assert.match(failing.text, /give --secret/);
  const slow = await listen(t, "--status", "429", "--delay", "300");
  const begin = performance.now();
  assert.equal((await post(slow.url)).status, 429);
  assert.ok(performance.now() - begin >= 290);
  const wrong = spawn(binary, ["listen", "--fail", "2"], { stdio: "ignore" });
  const [code] = await new Promise((resolve) =>
    wrong.once("exit", (...result) => resolve(result)),
  );
  assert.equal(code, 2);
});
