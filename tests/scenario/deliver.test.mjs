// Deliveries leave the store for their webhooks: once they are there they arrive,
// signed, whatever becomes of the server or of other webhooks.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import {
  binary,
  long,
  Server,
  startServer,
  temporaryFolder,
  until,
} from "../harness/server.mjs";

const allow = ["--allow-cidr", "127.0.0.0/8"];
const newSecret = () => `whsec_${randomBytes(32).toString("base64")}`;

// What is in a store; also while a server has it.
function rows(folder, sql) {
  const text = execFileSync(
    "sqlite3",
    ["-json", "-cmd", ".timeout 10000", path.join(folder, "telltale.db")],
    { encoding: "utf8", input: sql },
  );
  return text ? JSON.parse(text) : [];
}

// A folder with a store in it that no server has open.
async function newStore(t) {
  const folder = await temporaryFolder(t);
  const server = new Server(folder);
  await server.start();
  await server.stop();
  return folder;
}

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

function addWebhook(folder, id, url, secret, more = {}) {
  const columns = {
    ...{ id, url, secret, events: '["*"]', format: "standard" },
    ...{ ordered: 0, enabled: 1, created_us: 1, updated_us: 1, ...more },
  };
  const values = Object.values(columns).map((value) => quote(String(value)));
  rows(
    folder,
    `INSERT INTO webhooks(${Object.keys(columns)}) VALUES(${values});`,
  );
}

// Published events, each with a delivery to each of the webhooks.
function addEvents(folder, ids, hooks) {
  const now = Date.now() * 1000;
  const keep = now + 86400e6;
  rows(
    folder,
    `BEGIN;${ids
      .map((id) => {
        const body = JSON.stringify({ type: "order.paid", id, data: { id } });
        return (
          "INSERT INTO outbox(id, type, body, status, next_poll_us, created_us," +
          ` expires_us) VALUES('${id}', 'order.paid', ${quote(body)}, 1, ${now},` +
          ` ${now}, ${keep});` +
          hooks
            .map(
              (hook) =>
                "INSERT INTO deliveries(id, webhook_id, event_id, event_type," +
                " next_retry_us, created_us, expires_us) VALUES(" +
                `'whd_${id}_${hook}', '${hook}', '${id}', 'order.paid', ${now},` +
                ` ${now}, ${keep});`,
            )
            .join("")
        );
      })
      .join("")}COMMIT;`,
  );
}

// A receiver; `answer` gets each request that came, with its body.
async function receive(t, answer) {
  const requests = [];
  const server = http.createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (more) => (body += more));
    request.on("end", () => {
      const taken = { headers: request.headers, url: request.url, body };
      requests.push(taken);
      answer(taken, response);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { requests, url: `http://127.0.0.1:${server.address().port}` };
}

test("killed between the answer and its mark, it sends again", async (t) => {
  const folder = await newStore(t);
  const secret = newSecret();
  let held;
  const receiver = await receive(t, (request, response) => {
    if (held === undefined) held = response;
    else response.end("ok");
  });
  addWebhook(folder, "wh_1", receiver.url, secret);
  for (let round = 0; round < (long ? 50 : 10); round++) {
    const id = `evt_${round}`;
    held = undefined;
    receiver.requests.length = 0;
    addEvents(folder, [id], ["wh_1"]);
    const first = new Server(folder, { args: allow, control: true });
    await first.start();
    await until(() => held, { what: "the first request" });
    await first.control("fault deliver.answered kill");
    held.end("ok");
    assert.equal((await first.wait()).signal, "SIGKILL");
    const second = new Server(folder, { args: allow });
    await second.start();
    const [delivery] = await until(
      () => {
        const found = rows(
          folder,
          `SELECT id, status, attempts FROM deliveries WHERE event_id = '${id}'`,
        );
        return found[0].status && found;
      },
      { what: "the delivery" },
    );
    await second.stop();
    assert.deepEqual(delivery, {
      id: `whd_${id}_wh_1`,
      status: 1,
      attempts: 1,
    });
    assert.equal(receiver.requests.length, 2);
    for (const { headers, body } of receiver.requests) {
      assert.equal(headers["webhook-id"], id);
      assert.equal(headers["telltale-delivery-id"], delivery.id);
      new Webhook(secret).verify(body, headers);
    }
  }
  const [{ count }] = rows(folder, "SELECT count(*) AS count FROM deliveries");
  assert.equal(count, long ? 50 : 10);
});

test("a dead, a slow and a failing webhook hold nobody up", async (t) => {
  const folder = await newStore(t);
  const secret = newSecret();
  const begun = performance.now();
  const timers = [];
  const receiver = await receive(t, ({ url }, response) => {
    if (url === "/dead") return;
    if (url === "/failing") response.writeHead(500);
    if (url === "/slow") timers.push(setTimeout(() => response.end(), 5000));
    else response.end("ok");
  });
  t.after(() => timers.forEach(clearTimeout));
  const hooks = ["dead", "slow", "failing", "healthy"];
  for (const hook of hooks)
    addWebhook(folder, hook, `${receiver.url}/${hook}`, secret);
  const ids = Array.from({ length: 300 }, (_, i) => `evt_${i}`);
  addEvents(folder, ids, hooks);
  await startServer(t, { folder, args: allow });
  await until(
    () =>
      receiver.requests.filter(({ url }) => url === "/healthy").length === 300,
    { what: "what is for the healthy one", timeout: 60000 },
  );
  const of = (hook) =>
    receiver.requests.filter(({ url }) => url === `/${hook}`);
  assert.deepEqual(
    of("healthy")
      .map(({ headers, body }) => new Webhook(secret).verify(body, headers).id)
      .sort(),
    [...ids].sort(),
  );
  // Nobody waited for them: they have not got beyond their first.
  if (performance.now() - begun < 5000) {
    assert.ok(of("dead").length <= 1);
    assert.ok(of("slow").length <= 1);
  }
  // Five failures in a row, and it is spared.
  assert.equal(of("failing").length, 5);
});

test("while a secret is replaced both sign, then one", async (t) => {
  const folder = await newStore(t);
  const [secret, previous] = [newSecret(), newSecret()];
  const receiver = await receive(t, (_, response) => response.end("ok"));
  const day = Date.now() * 1000 + 86400e6;
  addWebhook(folder, "wh_1", receiver.url, secret, {
    previous_secret: previous,
    previous_until_us: day,
  });
  addEvents(folder, ["evt_1"], ["wh_1"]);
  const server = await startServer(t, { folder, args: allow, control: true });
  const arrived = (count) =>
    until(() => receiver.requests.length === count, { what: "the request" });
  await arrived(1);
  const [first] = receiver.requests;
  new Webhook(secret).verify(first.body, first.headers);
  new Webhook(previous).verify(first.body, first.headers);
  await server.stop();
  addEvents(folder, ["evt_2"], ["wh_1"]);
  rows(folder, `UPDATE webhooks SET previous_until_us = ${Date.now() * 1000}`);
  await server.start();
  await arrived(2);
  const second = receiver.requests[1];
  new Webhook(secret).verify(second.body, second.headers);
  assert.throws(() => new Webhook(previous).verify(second.body, second.headers));
});

test("what is refused says why, and goes once it is allowed", async (t) => {
  const folder = await newStore(t);
  const secret = newSecret();
  const file = path.join(folder, "telltale.yaml");
  const listener = spawn(binary, ["listen", "--secret", secret]);
  t.after(() => listener.kill("SIGKILL"));
  let text = "";
  listener.stdout.setEncoding("utf8");
  listener.stdout.on("data", (more) => (text += more));
  const url = await until(() => /listening on (http:\S+)/.exec(text)?.[1]);
  addWebhook(folder, "wh_1", url, secret);
  addEvents(folder, ["evt_1"], ["wh_1"]);
  await writeFile(file, "");
  const server = await startServer(t, {
    folder,
    args: ["--config", file],
    control: true,
  });
  const [{ last_error }] = await until(() => {
    const found = rows(folder, "SELECT last_error FROM deliveries");
    return found[0].last_error && found;
  });
  assert.match(last_error, /127\.0\.0\.1 .*loopback.*webhooks\.allow_cidrs/);
  await writeFile(file, "webhooks:\n  allow_cidrs: [127.0.0.0/8]\n");
  process.kill(server.pid, "SIGHUP");
  await until(() => /SIGHUP: changed/.test(server.stderr), {
    what: "the reload",
  });
  await server.control("clock advance_us 60000000");
  await until(() => /order\.paid evt_1 .*signature good/.test(text), {
    what: "the delivery",
  });
});
