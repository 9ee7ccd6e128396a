// What the load suites need: many connections that cost this side little, and
// what the server holds for them.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { buildDir } from "./server.mjs";
import { sample, total } from "./raw.mjs";

// A sanitizer keeps memory of its own: there, nothing can be said about ours.
export const isSanitized = /san/.test(buildDir);

// The memory that is the server's alone, in bytes.
export function privateBytes(server) {
  const text = readFileSync(`/proc/${server.pid}/smaps_rollup`, "utf8");
  let kib = 0;
  for (const [, value] of text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+)/gm))
    kib += Number(value);
  return kib * 1024;
}

// A connection to be kept, on which requests are sent one after the other.
export class Connection {
  #socket;
  #text = "";
  #waiting = null;

  static async open(t, server) {
    const connection = new Connection();
    const socket = net.connect(server.port, "127.0.0.1");
    connection.#socket = socket;
    t.after(() => socket.destroy());
    await once(socket, "connect");
    socket.setEncoding("latin1");
    socket.on("data", (more) => connection.#take(more));
    socket.on("error", (error) => connection.#waiting?.reject(error));
    socket.on("close", () => connection.#waiting?.reject(new Error("closed")));
    return connection;
  }

  // Answers the body of a 200.
  request(text) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(text);
    });
  }

  get(path) {
    return this.request(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }

  post(body) {
    return this.request(
      "POST /events HTTP/1.1\r\nHost: localhost\r\n" +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  #take(more) {
    this.#text += more;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /^content-length: (\d+)/im.exec(this.#text.slice(0, end));
    const whole = end + 4 + Number(length?.[1] ?? 0);
    if (this.#text.length < whole) return;
    const body = this.#text.slice(end + 4, whole);
    const status = this.#text.slice(9, 12);
    this.#text = this.#text.slice(whole);
    const { resolve, reject } = this.#waiting;
    this.#waiting = null;
    if (status === "200") resolve(body);
    else reject(new Error(`${status} ${body}`));
  }
}

// The ledger as one scrape shows it.
export async function ledger(server) {
  const text = await (await server.fetch("/metrics")).text();
  return {
    received: sample(text, "telltale_events_received_total"),
    stored: sample(text, "telltale_events_stored_total"),
    rejected: total(text, "telltale_events_rejected_total"),
    lost: total(text, "telltale_events_lost_total"),
    inFlight: sample(text, "telltale_events_in_flight"),
  };
}
