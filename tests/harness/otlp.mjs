// A receiver of OTLP logs and metrics over HTTP. What arrives is decoded by the classes that
// OpenTelemetry generates for its own exporter.
import { createRequire } from "node:module";
import http from "node:http";
import path from "node:path";
import { gunzipSync } from "node:zlib";

// The package does not export what it generates.
const require = createRequire(import.meta.url);
const main = require.resolve("@opentelemetry/otlp-transformer");
const root = require(path.join(main.split("/build/")[0], "build/src/generated/root.js"));
const logs = root.opentelemetry.proto.collector.logs.v1;
const metrics = root.opentelemetry.proto.collector.metrics.v1;

const value = (any) => {
  if (!any) return undefined;
  switch (any.value) {
    case "intValue":
      return Number(any.intValue);
    case "arrayValue":
      return any.arrayValue.values.map(value);
    case "kvlistValue":
      return pairs(any.kvlistValue.values);
    default:
      return any[any.value];
  }
};
const pairs = (list) => Object.fromEntries(list.map(({ key, value: any }) => [key, value(any)]));

// What a request of metrics holds: {name: {unit, sum?, gauge?, histogram?}}, and
// whose it is.
const takeMetrics = (bytes) => {
  const { resourceMetrics } = metrics.ExportMetricsServiceRequest.decode(bytes);
  const all = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return {
    resource: pairs(resourceMetrics[0].resource.attributes),
    instruments: Object.fromEntries(all.map((metric) => [metric.name, metric])),
  };
};

// Starts one. `answers` decide what happens to a request, the first one to the
// next, until they are used up: a status, {status, headers, reject}, "cut
// before" or "cut after" it was taken, "hang". Then all is taken.
export async function startReceiver(t, { port = 0 } = {}) {
  const receiver = { records: [], metrics: [], requests: [], answers: [], sockets: new Set() };
  const take = (request, body) => {
    const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    if (request.url === "/v1/metrics") {
      receiver.metrics.push(takeMetrics(bytes));
      return { bytes, records: [] };
    }
    const decoded = logs.ExportLogsServiceRequest.decode(bytes);
    const records = decoded.resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ scope, logRecords }) =>
        logRecords.map((record) => ({
          resource: pairs(resource.attributes),
          scope,
          time: Number(record.timeUnixNano) / 1000,
          observed: Number(record.observedTimeUnixNano) / 1000,
          severity: record.severityNumber,
          severityText: record.severityText,
          event: record.eventName,
          body: value(record.body),
          attributes: pairs(record.attributes),
        })),
      ),
    );
    return { bytes, records };
  };
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // the other side left
    }
    const { bytes, records } = take(request, Buffer.concat(chunks));
    const script = receiver.answers.shift() ?? receiver.always ?? 200;
    const { status = 200, headers = {}, reject = 0 } = typeof script === "number" ? { status: script } : script;
    receiver.requests.push({ headers: request.headers, url: request.url, bytes: bytes.length, count: records.length, script });
    if (script === "hang") return;
    if (script === "cut before") return request.socket.destroy();
    if (status === 200) receiver.records.push(...records.slice(reject));
    if (script === "cut after") return request.socket.destroy();
    const partialSuccess = reject ? { rejectedLogRecords: reject, errorMessage: "too old" } : undefined;
    const answer = logs.ExportLogsServiceResponse.encode(logs.ExportLogsServiceResponse.create({ partialSuccess })).finish();
    response.writeHead(status, { "content-type": "application/x-protobuf", ...headers });
    response.end(status === 200 ? answer : undefined);
  });
  server.on("connection", (socket) => {
    receiver.sockets.add(socket);
    socket.on("close", () => receiver.sockets.delete(socket));
  });
  receiver.stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      receiver.sockets.forEach((socket) => socket.destroy());
    });
  receiver.start = async () => {
    await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
    port = server.address().port;
    receiver.url = `http://127.0.0.1:${port}`;
  };
  receiver.seqs = () => receiver.records.map(({ attributes }) => attributes["telltale.event.seq"]);
  await receiver.start();
  t.after(() => server.listening && receiver.stop());
  return receiver;
}
