// The commands about webhooks and published events, as a user types them.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { cli } from "../harness/cli.mjs";
import { Receiver, allowLoopback } from "../harness/receiver.mjs";
import { startServer, temporaryFolder, until } from "../harness/server.mjs";

async function good(server, ...args) {
  const { code, out, err } = await cli(server, args);
  assert.equal(code, 0, `${args.join(" ")}: ${err}`);
  return out;
}
const json = async (server, ...args) => JSON.parse(await good(server, ...args, "--json"));

test("webhooks: made, listed, changed, tested, looked into, deleted", async (t) => {
  const receiver = await new Receiver().start(t);
  const server = await startServer(t, { args: allowLoopback });
  const made = await json(server, "webhooks", "create", receiver.url, "--events", "order.*,a", "--filters", '{"sources":["shop"]}');
  assert.deepEqual([made.events, made.filters], [["order.*", "a"], { sources: ["shop"] }]);
  receiver.secrets.push(made.signing_secret);
  const plain = await good(server, "webhooks", "create", receiver.url);
  assert.match(plain, /^signing_secret +whsec_/m);
  assert.match(plain, /^events +\*$/m);
  const list = await good(server, "webhooks", "list");
  assert.match(list, /^ID +ENABLED +EVENTS +URL\n/);
  assert.match(list, new RegExp(`^${made.id} true +order\\.\\*,a +${receiver.url}$`, "m"));
  assert.equal((await good(server, "webhooks", "list", "--limit", "1", "--json")).trimEnd().split("\n").length, 1);
  const changed = await json(server, "webhooks", "update", made.id, "--filters", "null", "--description", "d", "--ordered", "on");
  assert.deepEqual([changed.filters, changed.description, changed.ordered], [{}, "d", true]);
  assert.equal((await json(server, "webhooks", "show", made.id)).description, "d");
  const { delivery_id: delivery } = await json(server, "webhooks", "test", made.id, "--event", "order.paid", "--data", "[1]");
  await receiver.gets(1);
  assert.deepEqual(receiver.got[0].event.data, [1]);
  await until(async () => (await good(server, "webhooks", "deliveries", made.id, "--status", "delivered")).includes(delivery));
  const one = await good(server, "webhooks", "deliveries", made.id, delivery);
  assert.match(one, /^status +delivered$/m);
  assert.match(one, /^history\n  attempt=1 at=\S+ duration_ms=\d+ status=200 response=answered 200/m);
  assert.match((await json(server, "webhooks", "rotate", made.id)).signing_secret, /^whsec_/);
  const matched = await good(server, "webhooks", "match", "order.paid", "--source", "shop", "--labels", "a,b");
  assert.match(matched, new RegExp(`^${made.id} true `, "m"));
  assert.equal((await cli(server, ["webhooks", "delete", made.id])).err, `deleted ${made.id}\n`);
  const gone = await cli(server, ["webhooks", "show", made.id]);
  assert.deepEqual([gone.code, gone.out], [1, ""]);
  assert.match(gone.err, /^telltale webhooks: 404 there is no webhook wh_/);
});

test("publish and outbox: an event, its way, and once more", async (t) => {
  const receiver = await new Receiver().start(t);
  const server = await startServer(t, { args: allowLoopback });
  const hook = await json(server, "webhooks", "create", receiver.url, "--events", "order.*");
  const id = (await good(server, "publish", "order.paid", "--data", '{"n":7}', "--subject", "order:7", "--label", "vip,b2b")).trimEnd();
  assert.match(id, /^evt_/);
  await receiver.gets(1);
  assert.deepEqual(JSON.parse(receiver.got[0].body).data, { n: 7 });
  const read = await cli(server, ["publish", "note", "--id", "evt_note", "--data", "-"], { input: '"from a pipe"' });
  assert.deepEqual([read.code, read.out], [0, "evt_note\n"]);
  const shown = () => json(server, "outbox", "show", "evt_note");
  await until(async () => (await shown()).status === "no_match");
  assert.equal((await shown()).data, "from a pipe");
  assert.match(await good(server, "outbox", "list", "--status", "no_match"), /^evt_note +note +no_match /m);
  assert.match(await good(server, "outbox", "list", "--type", "order.paid"), new RegExp(`^${id} order.paid +processed \\S+ +order:7$`, "m"));
  await until(async () => (await good(server, "outbox", "explain", id)).includes(`${hook.id} delivered`));
  assert.match(await good(server, "outbox", "redeliver", id), /webhook_id=wh_\w+ delivery_id=whd_\w+ status=pending/);
  await receiver.gets(2);
  await until(async () => (await json(server, "outbox", "show", id)).delivery_status.pending === 0);
  await good(server, "outbox", "redeliver", id, "--webhook", hook.id);
  await receiver.gets(3);
  await until(async () => (await json(server, "outbox", "show", id)).delivery_status.pending === 0);
  const since = new Date(Date.now() - 3600e3).toISOString();
  const all = await json(server, "outbox", "redeliver", "--webhook", hook.id, "--since", since);
  assert.deepEqual([all.state, all.scheduled], ["done", 1]);
  assert.match(await good(server, "janitor", "--now"), /^deleted /m);
});

test("verify checks what a file or a pipe holds, and asks no server", async (t) => {
  const folder = await temporaryFolder(t);
  const receiver = await new Receiver().start(t);
  const server = await startServer(t, { args: allowLoopback });
  const made = await json(server, "webhooks", "create", receiver.url);
  await good(server, "webhooks", "test", made.id);
  const [{ headers, body }] = await receiver.gets(1);
  const args = [
    ...["webhooks", "verify", "--secret", made.signing_secret],
    ...["--id", headers["webhook-id"], "--timestamp", headers["webhook-timestamp"]],
    ...["--signature", headers["webhook-signature"]],
  ];
  const file = path.join(folder, "body");
  await writeFile(file, body);
  assert.equal((await cli(null, [...args, file])).out, "the signature is right\n");
  assert.equal((await cli(null, args, { input: body })).code, 0);
  const wrong = await cli(null, args, { input: `${body} ` });
  assert.deepEqual([wrong.code, wrong.out], [1, ""]);
  assert.match(wrong.err, /signature/);
  assert.equal((await cli(null, ["webhooks", "verify"])).code, 2);
  assert.equal((await cli(null, [...args, "/nonexistent"])).code, 2);
});

test("wrong command lines are told what is missing", async () => {
  const wrong = [
    [["webhooks"], /say one of: list create/],
    [["webhooks", "create"], /say the URL/],
    [["webhooks", "show"], /say which webhook/],
    [["webhooks", "list", "x"], /x: no such argument/],
    [["webhooks", "create", "u", "--filters", "{"], /--filters is not JSON/],
    [["webhooks", "list", "--limit", "0"], /--limit 0/],
    [["publish"], /say the event's type/],
    [["publish", "a", "--data", "{"], /--data is not JSON/],
    [["outbox"], /say one of: list show/],
    [["outbox", "show"], /say which event/],
    [["outbox", "redeliver"], /say which event, or --webhook and --since/],
    [["janitor"], /say --now/],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await cli(null, args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
  }
});
