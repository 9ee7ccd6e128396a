// JSON as the producer wrote it: a number that a double cannot hold (or writes
// differently) keeps its own digits where the browser can do that, and is shown
// with them.
export function parseJson(text) {
  if (typeof JSON.rawJSON !== "function") return JSON.parse(text);
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" && context.source !== String(value)
      ? JSON.rawJSON(context.source)
      : value,
  );
}
