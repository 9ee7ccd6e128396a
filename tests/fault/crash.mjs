// What every crash suite does: load from several producers, a death, a new
// start, and the question whether what was acknowledged is there, once.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { openStream } from "../harness/sse.mjs";
import { sample } from "../harness/raw.mjs";
import { Server, until } from "../harness/server.mjs";

// Producers that post until the server dies; each acknowledged event goes into
// `acknowledged` as name -> seq. Every third request is a batch of ten.
export function startLoad(server, round, acknowledged, producers = 6) {
  let running = true;
  const name = (p, n, i) => `r${round}p${p}n${n}i${i}`;
  const event = (text) => ({ source: "crash", action: "tick", data: { name: text } });
  const produce = async (p) => {
    for (let n = 0; running; n++) {
      const names = n % 3 === 2 ? Array.from({ length: 10 }, (_, i) => name(p, n, i)) : [name(p, n, 0)];
      try {
        const answer =
          names.length > 1
            ? await server.post("/events/batch", names.map(event))
            : await server.post("/events", event(names[0]));
        const body = await answer.json();
        if (answer.status !== 200) continue;
        const seqs = body.seqs ?? [body.seq];
        assert.equal(seqs.length, names.length);
        names.forEach((text, i) => acknowledged.set(text, seqs[i]));
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        return; // the server is gone: what was on its way is nobody's promise
      }
    }
  };
  const all = Array.from({ length: producers }, (_, p) => produce(p));
  return async () => {
    running = false;
    await Promise.all(all);
  };
}

// A producer that never gives up: what was on its way when the server died goes
// out again with its key, in the next life too, until it is answered. Every name
// it ever sent is stored once. The answer to a repetition is the first answer,
// also in the next life but where that life may have lost the first one.
export class Stubborn {
  constructor({ own, many, mayLose = false }) {
    this.own = own;
    this.many = many;
    this.mayLose = mayLose;
    this.answered = new Map();
    this.producer = randomUUID();
    this.sent = 0;
    this.acknowledged = new Map();
    this.repeats = 0;
  }
  next() {
    const n = ++this.sent;
    const names = Array.from({ length: this.many ? 1 + (n % 7) : 1 }, (_, i) => `${this.producer}n${n}i${i}`);
    const events = names.map((name) => ({ source: "stubborn", data: { name } }));
    this.pending = {
      names,
      route: this.many ? "/events/batch" : "/events",
      body: JSON.stringify(this.many ? events : events[0]),
      headers: { "idempotency-key": this.own ? `${this.producer}/${n}` : `mine-${this.producer}-${n}` },
    };
  }
  // One request; true when it was answered 200.
  async send(server) {
    const { names, route, body, headers } = this.pending;
    const answer = await server.post(route, body, headers);
    const got = await answer.json();
    if (answer.status !== 200) {
      assert.ok([409, 503].includes(answer.status), `${answer.status} ${got.message}`);
      return false;
    }
    const seqs = got.seqs ?? [got.seq];
    assert.equal(seqs.length, names.length, JSON.stringify(got));
    names.forEach((name, i) => {
      const first = this.answered.get(name) ?? seqs[i];
      assert.equal(seqs[i], first, `${name} was answered with ${first} before`);
      this.answered.set(name, first);
      this.acknowledged.set(name, first);
    });
    return true;
  }
  start(server) {
    let running = true;
    if (this.mayLose) this.answered.clear();
    const run = async () => {
      while (running) {
        try {
          if (!this.pending) this.next();
          if (!(await this.send(server))) continue;
          if (this.sent % 3 === 0) {
            this.repeats++;
            await this.send(server);
          }
          this.pending = null;
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          return;
        }
      }
    };
    const done = run();
    return async () => {
      running = false;
      await done;
    };
  }
  // In the last life: what is still on its way.
  async finish(server) {
    if (this.mayLose) this.answered.clear();
    while (this.pending && !(await this.send(server))) await new Promise((r) => setTimeout(r, 20));
    this.pending = null;
  }
}

// A subscriber that comes back with its Last-Event-ID; `seen` is every event in
// the order it came.
export class Follower {
  constructor() {
    this.lastId = null;
    this.seen = [];
    this.other = [];
  }
  async connect(server) {
    this.stream = await openStream(`${server.url}/events/stream?replay=all`, {
      headers: this.lastId === null ? {} : { "last-event-id": this.lastId },
      on: (event) => {
        this.lastId = event.id;
        if (event.type !== "message") this.other.push(event);
        else this.seen.push(JSON.parse(event.data));
      },
    });
    assert.equal(this.stream.status, 200);
  }
}

// All of history, page by page, oldest first.
export async function readHistory(server) {
  const events = [];
  let route = "/events?after=0&limit=1000";
  for (;;) {
    const page = await server.json(route);
    events.push(...page.items);
    if (!page.next_cursor) return events;
    route = `/events?after=0&limit=1000&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

// Acknowledged = stored, once; seq only grows; the follower saw just that. With
// mayLose the server may lose what it acknowledged, if it says so.
export async function check(server, acknowledged, follower, { mayLose = false } = {}) {
  const history = await readHistory(server);
  const byName = new Map();
  let last = 0;
  for (const event of history) {
    assert.ok(event.seq > last, `seq ${event.seq} after ${last}`);
    last = event.seq;
    assert.ok(!byName.has(event.data.name), `${event.data.name} is stored twice`);
    byName.set(event.data.name, event.seq);
  }
  const fresh = new Follower();
  await fresh.connect(server);
  for (const f of [follower, fresh])
    await until(() => f.seen.at(-1)?.seq >= last, { what: `seq ${last} in the stream` });
  fresh.stream.close();
  const ranges = fresh.other.map((event) => JSON.parse(event.data));
  const told = (seq) => ranges.some((r) => r.from_seq <= seq && seq <= r.to_seq);
  for (const event of history) assert.ok(!told(event.seq), `${event.seq} is there and told as lost`);
  const nameOf = new Map(history.map((event) => [event.seq, event.data.name]));
  const onceOnly = (seq, name) => {
    assert.equal(nameOf.get(seq) ?? name, name, `seq ${seq} was used twice`);
    nameOf.set(seq, name);
  };
  for (const [name, seq] of acknowledged) {
    onceOnly(seq, name);
    if (mayLose && !byName.has(name)) assert.ok(told(seq), `${name}, acknowledged as ${seq}, is lost in silence`);
    else assert.equal(byName.get(name), seq, `${name} was acknowledged as ${seq}`);
  }
  let before = 0;
  for (const event of follower.seen) {
    assert.ok(event.seq > before, `the stream went from ${before} to ${event.seq}`);
    before = event.seq;
    onceOnly(event.seq, event.data.name);
  }
  if (mayLose) follower.seen = follower.seen.filter((event) => !told(event.seq));
  assert.deepEqual(
    follower.seen.map((event) => event.seq),
    history.map((event) => event.seq),
    "the stream is history, without a gap or a duplicate",
  );
  return history.length;
}

// `rounds` lives of one store, each ended by die(server). With unknownRanges the
// server may report numbers of which it cannot know whether they were used.
export async function crashRounds(folder, rounds, options, die) {
  const acknowledged = new Map();
  const follower = new Follower();
  const kinds = [true, false].flatMap((own) => [true, false].map((many) => ({ own, many })));
  const stubborn = kinds.map((kind) => new Stubborn({ ...kind, mayLose: options.mayLose }));
  const server = new Server(folder, options);
  for (let round = 0; round < rounds; round++) {
    await server.start();
    await follower.connect(server);
    const stopLoad = startLoad(server, round, acknowledged);
    const stops = stubborn.map((producer) => producer.start(server));
    await new Promise((resolve) => setTimeout(resolve, 60 + Math.random() * 250));
    await die(server, round);
    await stopLoad();
    for (const stop of stops) await stop();
    await follower.stream.ended;
    follower.stream.close();
  }
  await server.start();
  await follower.connect(server);
  try {
    for (const producer of stubborn) {
      await producer.finish(server);
      for (const [name, seq] of producer.acknowledged) acknowledged.set(name, seq);
    }
    const flying = async () => sample(await (await server.fetch("/metrics")).text(), "telltale_events_in_flight");
    await until(async () => (await flying()) === 0, { what: "the last write" });
    const stored = await check(server, acknowledged, follower, options);
    assert.ok(acknowledged.size > rounds, "the load reached the server");
    assert.ok(stubborn.every((producer) => producer.repeats > 0), "answers were repeated");
    if (!options.unknownRanges)
      assert.deepEqual(follower.other, [], "nothing was reported as lost");
    return { stored, acknowledged: acknowledged.size };
  } finally {
    follower.stream.close();
    await server.stop();
  }
}
