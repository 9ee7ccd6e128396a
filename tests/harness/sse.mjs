// A small reader of event streams for tests, so that they see every field. (The
// client that people use, `eventsource`, has its own tests in e2e.)
import http from "node:http";
import https from "node:https";

// Opens url and calls on({type, id, data}) for each event but those of type
// position, whose seqs are in `positions`. `headers` may hold Last-Event-ID, `tls`
// options for node:tls.
// Resolves when the head is there; close() ends it; `ended` resolves when the
// server ends it or the connection breaks.
export function openStream(url, { headers = {}, tls, on = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = (tls ? https : http).get(url, {
      ...tls,
      headers: { accept: "text/event-stream", ...headers },
      agent: false,
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const stream = {
        status: response.statusCode,
        headers: response.headers,
        response,
        events: [],
        positions: [],
        comments: 0,
        lastId: headers["last-event-id"] ?? "",
        retry: null,
        close: () => request.destroy(),
      };
      stream.ended = new Promise((done) => {
        response.on("close", done);
        response.on("error", done);
      });
      request.removeListener("error", reject);
      request.on("error", () => {});
      response.setEncoding("utf8");
      parse(response, stream, on);
      resolve(stream);
    });
  });
}

function parse(response, stream, on) {
  let rest = "";
  let fields = { type: "message", data: [] };
  response.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        // Not before: one that is cut off has to be asked for again.
        stream.lastId = fields.id ?? stream.lastId;
        if (fields.data.length) {
          const event = {
            type: fields.type,
            id: stream.lastId,
            data: fields.data.join("\n"),
          };
          if (event.type === "position") {
            stream.positions.push(JSON.parse(event.data).seq);
          } else {
            stream.events.push(event);
            on(event);
          }
        }
        fields = { type: "message", data: [] };
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) {
        stream.comments++;
        continue;
      }
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") fields.data.push(value);
      else if (name === "event") fields.type = value;
      else if (name === "id") fields.id = value;
      else if (name === "retry") stream.retry = Number(value);
    }
  });
}
