// Installed programs that report.
import assert from "node:assert/strict";
import net from "node:net";
import { until } from "./server.mjs";

export const instanceId = (n) => `7d8f9a52-6c1e-4d57-9d0e-${n.toString(16).padStart(12, "0")}`;

// One update of instance n; the status has to be 200. `at` tells its updates apart.
export async function report(server, n, data, at = Date.now()) {
  const id = instanceId(n);
  const answer = await server.post(`/v1/update/${id}`, {
    instance_id: id,
    timestamp: new Date(at).toISOString(),
    data,
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

export const fleetGet = (server, path) => server.json(`/api/v1/fleet/${path}`);

// An aggregate in which all updates are that were answered before.
export const settled = (server, query = "", options = {}) =>
  until(
    async () => {
      const answer = await fleetGet(server, `aggregate?${query}`);
      return answer.behind === 0 && answer;
    },
    { timeout: 30000, what: "the aggregate", ...options },
  );

// Updates, [{n, data, at}], of many instances over a few connections, each
// answered 200. False: the server went away, and some may be there; repeating
// them all adds none twice.
export async function reportAll(server, updates) {
  const queue = [...updates];
  const connections = Array.from({ length: 8 }, async () => {
    const socket = net.connect(server.port, "127.0.0.1");
    const ended = new Promise((resolve) => {
      socket.on("error", () => {});
      socket.on("close", () => resolve(false));
    });
    socket.setEncoding("latin1");
    while (queue.length) {
      const some = queue.splice(0, 50);
      const answered = new Promise((resolve) => {
        let text = "";
        socket.removeAllListeners("data");
        socket.on("data", (more) => {
          text += more;
          const statuses = text.match(/HTTP\/1\.1 \d+/g) ?? [];
          const bad = statuses.find((status) => !status.endsWith("200"));
          if (bad) resolve(text);
          if (statuses.length === some.length && text.endsWith("}")) resolve(true);
        });
      });
      socket.write(some.map(updateRequest).join(""));
      const result = await Promise.race([answered, ended]);
      if (result !== true) {
        socket.destroy();
        if (result) assert.fail(result);
        return false;
      }
    }
    socket.destroy();
    return true;
  });
  return (await Promise.all(connections)).every(Boolean);
}

function updateRequest({ n, data, at }) {
  const id = instanceId(n);
  const timestamp = new Date(at).toISOString();
  const body = JSON.stringify({ instance_id: id, timestamp, data });
  return (
    `POST /v1/update/${id} HTTP/1.1\r\nHost: localhost\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
