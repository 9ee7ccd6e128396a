// <telltale/signature.h> and the published package for Standard Webhooks take
// each other's signatures, and refuse the same ones.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import test from "node:test";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { buildDir } from "../harness/server.mjs";

const program = path.join(buildDir, "tests/signature-run");
const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString("base64")}`;
const nowSeconds = () => Math.floor(Date.now() / 1000);

async function run(args, body) {
  const child = spawn(program, args.map(String), { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  child.stdin.end(body);
  const output = await text(child.stdout);
  const [status] = await closed;
  return { status, output: output.trimEnd() };
}

async function sign(id, seconds, body, ...secrets) {
  const { status, output } = await run(["sign", "standard", id, seconds, ...secrets], body);
  assert.equal(status, 0, output);
  return { "webhook-id": id, "webhook-timestamp": String(seconds), "webhook-signature": output };
}

const verify = (headers, body, ...secrets) =>
  run(
    [
      "verify",
      "standard",
      headers["webhook-id"],
      headers["webhook-timestamp"],
      headers["webhook-signature"],
      ...secrets,
    ],
    body,
  );

const bodies = [
  "{}",
  '{"type":"order.paid","data":{"rows":42}}',
  JSON.stringify({ text: "wörld \u{1f600} \u0000 .. v1," }),
  JSON.stringify("x".repeat(300_000)),
];

test("the published package takes what we sign", async () => {
  for (const [i, body] of bodies.entries()) {
    const secret = newSecret(24 + 10 * i);
    const headers = await sign(`evt_${i}`, nowSeconds(), body, secret);
    assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
    assert.throws(() => new Webhook(newSecret()).verify(body, headers), /No matching signature/);
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers), /No matching signature/);
  }
});

test("we take what the published package signs", async () => {
  for (const [i, body] of bodies.entries()) {
    const secret = newSecret(24 + 10 * i);
    const now = new Date();
    const headers = {
      "webhook-id": `msg_${i}`,
      "webhook-timestamp": String(Math.floor(now / 1000)),
      "webhook-signature": new Webhook(secret).sign(`msg_${i}`, now, body),
    };
    assert.deepEqual(await verify(headers, body, secret), { status: 0, output: "right" });
    assert.deepEqual(await verify(headers, body, newSecret(), secret), {
      status: 0,
      output: "right",
    });
    for (const [other, by] of [
      [body, newSecret()],
      [`${body} `, secret],
    ])
      assert.deepEqual(await verify(headers, other, by), {
        status: 1,
        output: "TT_ESIGNATURE no signature matches: another secret, or other bytes",
      });
  }
});

test("while a secret is replaced, holders of either take the webhook", async () => {
  const secrets = [newSecret(), newSecret()];
  const headers = await sign("evt_1", nowSeconds(), bodies[1], ...secrets);
  for (const secret of secrets) {
    new Webhook(secret).verify(bodies[1], headers);
    assert.equal((await verify(headers, bodies[1], secret)).status, 0);
  }
});

test("what is too old or from the future is refused by both", async () => {
  const secret = newSecret();
  for (const [off, theirs, ours] of [
    [-400, /too old/, /too old/],
    [400, /too new/, /future/],
  ]) {
    const headers = await sign("evt_1", nowSeconds() + off, "{}", secret);
    assert.throws(() => new Webhook(secret).verify("{}", headers), theirs);
    const { status, output } = await verify(headers, "{}", secret);
    assert.equal(status, 1);
    assert.match(output, ours);
  }
});
