// Requests that fetch would not send: any Host, any header, any bytes.
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";

// One request; answers {status, headers, text, json()}. `target` is a server of
// the harness, or {socketPath}; over TLS it is {port, tls: options for node:tls}.
// It may have an agent, else the connection is the request's own.
export async function request(
  target,
  { method = "GET", path = "/", headers = {}, body } = {},
) {
  const where = target.socketPath
    ? { socketPath: target.socketPath }
    : { host: "127.0.0.1", port: target.port };
  const { request: start } = target.tls ? https : http;
  const { agent = false } = target;
  const options = { ...where, ...target.tls, method, path, headers, agent };
  const req = start(options);
  req.end(body);
  const [res] = await once(req, "response");
  const parts = [];
  for await (const part of res) parts.push(part);
  const text = Buffer.concat(parts).toString("utf8");
  return {
    status: res.statusCode,
    headers: res.headers,
    text,
    json: () => JSON.parse(text),
  };
}

// Writes bytes on a connection of its own and answers all that came back until
// the server closed it, or until `done(text)` is true.
export async function exchange(target, bytes, done = () => false) {
  const socket = net.connect(target.port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(bytes);
  await new Promise((resolve) => {
    socket.on("close", resolve);
    socket.on("data", (more) => {
      text += more;
      if (done(text)) resolve();
    });
  });
  socket.destroy();
  return text;
}

// The value of a sample of the Prometheus text format, 0 when it is not there;
// labels as {name: value}.
export function sample(text, name, labels = {}) {
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found || found[1] !== name) continue;
    const have = found[2] ?? "";
    if (Object.entries(labels).every(([k, v]) => have.includes(`${k}="${v}"`)))
      return Number(found[3]);
  }
  return 0;
}

// The sum over every label set of a metric.
export function total(text, name) {
  let sum = 0;
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:0-9]+)(?:\{.*\})? (\S+)$/.exec(line);
    if (found && found[1] === name) sum += Number(found[2]);
  }
  return sum;
}
