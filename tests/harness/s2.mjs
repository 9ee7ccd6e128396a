// An S2 basin for tests: streams in memory behind the documented HTTP API
// (append, read, tail, create), with its rules: positions and timestamps that
// only rise, batches that are appended whole or not at all, match_seq_num,
// fencing tokens, limits. Faults are scripted with `misbehave`.
import http from "node:http";

const LIMIT_RECORDS = 1000;
const LIMIT_BYTES = 1024 * 1024;

const bytes = (text) => Buffer.byteLength(text ?? "");
const metered = (record) =>
  8 + (record.headers ?? []).reduce((sum, [name, value]) => sum + 2 + bytes(name) + bytes(value), 0) + bytes(record.body);

class Refusal extends Error {
  constructor(status, body) {
    super(JSON.stringify(body));
    Object.assign(this, { status, body });
  }
}
const bad = (message) => new Refusal(400, { code: "bad_json", message });

class Stream {
  records = [];
  fencing = "";
  time = 0;

  get tail() {
    return { seq_num: this.records.length, timestamp: this.time };
  }

  append({ records, match_seq_num: match, fencing_token: token }) {
    if (!Array.isArray(records) || records.length < 1 || records.length > LIMIT_RECORDS) throw bad("1 to 1000 records");
    if (records.reduce((sum, record) => sum + metered(record), 0) > LIMIT_BYTES) throw bad("more than 1 MiB");
    if (token !== undefined && token !== this.fencing) throw new Refusal(412, { fencing_token_mismatch: this.fencing });
    if (match !== undefined && match !== this.records.length)
      throw new Refusal(412, { seq_num_mismatch: this.records.length });
    const start = { seq_num: this.records.length, timestamp: Math.max(this.time, Date.now()) };
    this.time = start.timestamp;
    for (const { headers = [], body = "" } of records) {
      const command = headers.length === 1 && headers[0][0] === "" ? headers[0][1] : undefined;
      if (command === "fence") this.fencing = body;
      this.records.push({ seq_num: this.records.length, timestamp: this.time, headers, body });
    }
    return { start, end: this.tail, tail: this.tail };
  }

  read(query) {
    const starts = ["seq_num", "timestamp", "tail_offset"].filter((name) => query.has(name));
    if (starts.length > 1) throw bad("more than one start");
    const offset = Number(query.get("tail_offset") ?? 0);
    let from = query.has("seq_num") ? Number(query.get("seq_num")) : Math.max(0, this.records.length - offset);
    if (query.has("timestamp")) from = this.records.findIndex((r) => r.timestamp >= Number(query.get("timestamp")));
    if (from > this.records.length) {
      if (query.get("clamp") !== "true") throw new Refusal(416, { tail: this.tail });
      from = this.records.length;
    }
    const count = Math.min(Number(query.get("count") ?? LIMIT_RECORDS), LIMIT_RECORDS);
    if (from === this.records.length && count > 0) throw new Refusal(416, { tail: this.tail });
    const records = this.records.slice(from, from + count).map(({ headers, body, ...rest }) => ({
      ...rest,
      ...(headers.length && { headers }),
      ...(body && { body }),
    }));
    return { records, tail: this.tail };
  }
}

async function json(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (!chunks.length) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw bad("not JSON");
  }
}

/**
 * Starts one on a free port. `token`: what requests must bring. Answers
 * `{url, stream(name), requests, misbehave(...faults), close()}`. A fault is
 * used up by one append: `{status, body?, headers?}`, `{cut: "before"}`, `{cut:
 * "after"}` (appended, and no answer) or `{hang: true}`.
 */
export async function startS2({ token = "s2-token", basin = "tests-basin" } = {}) {
  const streams = new Map();
  const faults = [];
  const requests = [];

  const answer = (response, status, body, headers = {}) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

  function find(name) {
    const stream = streams.get(name);
    if (!stream) throw new Refusal(404, { code: "stream_not_found", message: `no stream ${name}` });
    return stream;
  }

  async function create(name, response) {
    const existed = streams.has(name);
    if (!existed) streams.set(name, new Stream());
    answer(response, existed ? 200 : 201, { name, created_at: new Date().toISOString() });
  }

  async function append(stream, request, response) {
    const body = await json(request);
    const fault = faults.shift() ?? {};
    if (fault.hang) return;
    if (fault.cut === "before") return request.socket.destroy();
    if (fault.status) return answer(response, fault.status, fault.body ?? { code: "other", message: "scripted" }, fault.headers);
    const ack = stream.append(body);
    if (fault.cut === "after") return request.socket.destroy();
    answer(response, 200, ack);
  }

  async function route(request, response) {
    const url = new URL(request.url, "http://s2");
    requests.push({ method: request.method, path: url.pathname, headers: request.headers });
    if (request.headers.authorization !== `Bearer ${token}`)
      throw new Refusal(401, { code: "authn", message: "no such token" });
    if ((request.headers["s2-basin"] ?? basin) !== basin)
      throw new Refusal(404, { code: "basin_not_found", message: "no such basin" });
    const [, name, what] = /^\/v1\/streams\/([^/]+)(\/records(?:\/tail)?)?$/.exec(url.pathname) ?? [];
    const key = `${request.method} ${what ?? (name ? "/stream" : "")}`;
    if (url.pathname === "/v1/streams" && request.method === "POST") return create((await json(request)).stream, response);
    if (key === "PUT /stream") return create(decodeURIComponent(name), response);
    if (key === "GET /records/tail") return answer(response, 200, { tail: find(decodeURIComponent(name)).tail });
    if (key === "GET /records") return answer(response, 200, find(decodeURIComponent(name)).read(url.searchParams));
    if (key === "POST /records") return append(find(decodeURIComponent(name)), request, response);
    throw new Refusal(404, { code: "not_found", message: url.pathname });
  }

  const server = http.createServer((request, response) => {
    route(request, response).catch((error) => {
      if (!(error instanceof Refusal)) error = new Refusal(500, { code: "other", message: String(error) });
      answer(response, error.status, error.body);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    basin,
    token,
    requests,
    create: (name) => streams.set(name, new Stream()),
    stream: (name) => streams.get(name),
    misbehave: (...more) => faults.push(...more),
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
