// Webhooks for a test: made over the API, and rows where there is no way yet to
// make them in time.
import assert from "node:assert/strict";

// A webhook with its secret.
export async function makeWebhook(server, more = {}) {
  const body = { url: "https://receiver.example/hook", events: ["*"], ...more };
  const answer = await server.post("/api/v1/webhooks", body);
  const text = await answer.text();
  assert.equal(answer.status, 201, text);
  return JSON.parse(text);
}

// Asks with a method and a body; {status, headers, body}.
export async function call(server, method, route, body, headers = {}) {
  const answer = await server.fetch(`/api/v1${route}`, {
    method,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : null };
}

// It is refused so, with a sentence.
export async function refused(server, method, route, body, status, code, message) {
  const answer = await call(server, method, route, body);
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.body.message);
  if (message) assert.match(answer.body.message, message);
  return answer;
}

// All pages of a list.
export async function all(server, route, limit) {
  const items = [];
  let cursor = "";
  do {
    const mark = route.includes("?") ? "&" : "?";
    const { status, body } = await call(server, "GET", `${route}${mark}limit=${limit}${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(body.items.length <= limit);
    items.push(...body.items);
    cursor = body.next_cursor;
  } while (cursor);
  return items;
}
