// Server-sent events over fetch(), because EventSource does not tell why it was
// refused.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

// Turns chunks of text into messages {event, data, id, retry}. A message
// without data only moves the position: it has data === null.
export class MessageParser {
  #rest = "";
  #data = [];
  #event = "";
  #id = null;
  #retry = null;
  #afterCr = false;

  push(text, emit) {
    if (this.#afterCr && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.#afterCr = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line, emit);
  }

  #line(line, emit) {
    if (line === "") {
      if (this.#data.length || this.#id !== null || this.#retry !== null) {
        emit({
          event: this.#event || "message",
          data: this.#data.length ? this.#data.join("\n") : null,
          id: this.#id,
          retry: this.#retry,
        });
      }
      this.#data = [];
      this.#event = "";
      this.#id = null;
      this.#retry = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value))
      this.#retry = Number(value);
  }
}

export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// What the server said is wrong, from its {"code", "message"}.
export async function httpError(response) {
  let message = `the server answered ${response.status}`;
  try {
    const body = await response.json();
    if (typeof body.message === "string") message = body.message;
  } catch {
    // Not JSON: a proxy's answer. The status has to do.
  }
  return new HttpError(response.status, message);
}

// The server sends at least a comment every 15 s; three missed mean that the
// connection is dead even though nobody closed it.
const SILENCE_MS = 45000;
const LONGEST_WAIT_MS = 30000;

// Streams until stop() is called, reconnecting with the last id it saw.
// on.state(name, detail), on.message(message), on.refused(HttpError).
export class EventStream {
  #url;
  #on;
  #lastId;
  #retry = 2000;
  #failures = 0;
  #stopped = false;
  #abort = null;
  #timer = 0;
  #watchdog = 0;

  constructor(url, { after, on }) {
    this.#url = url;
    this.#on = on;
    this.#lastId = after;
  }

  start() {
    this.#run();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#abort?.abort();
  }

  async #run() {
    this.#on.state("connecting");
    try {
      await this.#connect();
      if (this.#stopped) return;
    } catch (error) {
      if (this.#stopped) return;
      if (
        error instanceof HttpError &&
        error.status >= 400 &&
        error.status < 500 &&
        error.status !== 408 &&
        error.status !== 429
      ) {
        this.#on.refused(error);
        return;
      }
    } finally {
      clearTimeout(this.#watchdog);
    }
    this.#again();
  }

  #again() {
    const most = Math.min(
      this.#retry * 2 ** Math.min(this.#failures, 10),
      LONGEST_WAIT_MS,
    );
    this.#failures += 1;
    const wait = Math.round(most * (0.5 + Math.random() / 2));
    this.#on.state("waiting", { wait });
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #connect() {
    this.#abort = new AbortController();
    this.#watch();
    const headers = { Accept: "text/event-stream" };
    if (this.#lastId !== null) headers["Last-Event-ID"] = String(this.#lastId);
    const response = await fetch(this.#url, {
      headers,
      cache: "no-store",
      signal: this.#abort.signal,
    });
    if (!response.ok) throw await httpError(response);
    this.#on.state("live", { log: response.headers.get("Telltale-Log") });
    const parser = new MessageParser();
    const reader = response.body
      .pipeThrough(new TextDecoderStream())
      .getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#stopped) return;
      this.#watch();
      this.#failures = 0;
      parser.push(value, (message) => this.#take(message));
    }
  }

  #take(message) {
    if (this.#stopped) return;
    if (message.id !== null) this.#lastId = message.id || null;
    if (message.retry !== null) this.#retry = message.retry;
    if (message.data !== null) this.#on.message(message);
  }

  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#abort.abort(), SILENCE_MS);
  }
}
