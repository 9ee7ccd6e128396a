// Installed programs that report.
import assert from "node:assert/strict";
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
