// What every crash suite does: load from several producers, a death, a new
// start, and the question whether what was acknowledged is there, once.
import assert from "node:assert/strict";
import { openStream } from "../harness/sse.mjs";
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

// Acknowledged = stored, once; seq only grows; the follower saw just that.
export async function check(server, acknowledged, follower) {
  const history = await readHistory(server);
  const byName = new Map();
  let last = 0;
  for (const event of history) {
    assert.ok(event.seq > last, `seq ${event.seq} after ${last}`);
    last = event.seq;
    assert.ok(!byName.has(event.data.name), `${event.data.name} is stored twice`);
    byName.set(event.data.name, event.seq);
  }
  for (const [name, seq] of acknowledged)
    assert.equal(byName.get(name), seq, `${name} was acknowledged as ${seq}`);
  await until(() => follower.seen.at(-1)?.seq >= last, { what: `seq ${last} in the stream` });
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
  const server = new Server(folder, options);
  for (let round = 0; round < rounds; round++) {
    await server.start();
    await follower.connect(server);
    const stopLoad = startLoad(server, round, acknowledged);
    await new Promise((resolve) => setTimeout(resolve, 60 + Math.random() * 250));
    await die(server, round);
    await stopLoad();
    await follower.stream.ended;
    follower.stream.close();
  }
  await server.start();
  await follower.connect(server);
  try {
    const stored = await check(server, acknowledged, follower);
    assert.ok(acknowledged.size > rounds, "the load reached the server");
    if (!options.unknownRanges)
      assert.deepEqual(follower.other, [], "nothing was reported as lost");
    return { stored, acknowledged: acknowledged.size };
  } finally {
    follower.stream.close();
    await server.stop();
  }
}
