// The rows on screen. Everything that came from outside is set as text.

const MOST_ROWS = 500;
const MOST_WAITING = 10000;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hour12: false,
});
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function cell(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  if (text) element.title = text;
  return element;
}

function timeCell(ts) {
  const element = document.createElement("time");
  const when = new Date(ts);
  if (Number.isNaN(when.getTime())) {
    element.textContent = String(ts);
    return element;
  }
  element.dateTime = ts;
  element.textContent = clock.format(when);
  element.title = `${day.format(when)}, ${ts} (UTC)`;
  return element;
}

function short(value) {
  if (value === undefined) return "";
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

export class EventList {
  #list;
  #changed;
  #rows = []; // newest first: {item, text}
  #waiting = []; // oldest first; entries to draw at the next frame
  #paused = false;
  #frame = 0;
  #search = "";
  #nextId = 0;
  #logs;
  received = 0;
  lostWhilePaused = 0;

  // `changed` is called after each redraw; `logs`: the events are log lines.
  constructor(list, changed, logs) {
    this.#list = list;
    this.#logs = logs;
    this.#changed = changed;
    list.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.#toggle(row.parentElement);
    });
  }

  get shown() {
    return this.#rows.length;
  }
  get matching() {
    return this.#rows.filter((row) => !row.item.hidden).length;
  }
  get waiting() {
    return this.#waiting.length;
  }
  get paused() {
    return this.#paused;
  }
  get searching() {
    return this.#search !== "";
  }

  addEvent(event) {
    this.received += 1;
    this.#add({ event });
  }

  addNotice(text) {
    this.#add({ notice: text });
  }

  #add(entry) {
    this.#waiting.push(entry);
    if (this.#paused) {
      if (this.#waiting.length > MOST_WAITING) {
        this.#waiting.shift();
        this.lostWhilePaused += 1;
      }
    } else if (this.#waiting.length > 2 * MOST_ROWS) {
      // More than fits on screen came before the next frame: the older ones
      // would be drawn only to be cut.
      this.#waiting.splice(0, this.#waiting.length - MOST_ROWS);
    }
    this.#schedule();
  }

  pause(paused) {
    this.#paused = paused;
    if (!paused) this.lostWhilePaused = 0;
    this.#schedule();
  }

  search(text) {
    this.#search = text.trim().toLowerCase();
    for (const row of this.#rows) row.item.hidden = !this.#matches(row);
    this.#changed();
  }

  clear() {
    this.#rows = [];
    this.#waiting = [];
    this.received = 0;
    this.lostWhilePaused = 0;
    this.#list.replaceChildren();
    this.#changed();
  }

  #matches(row) {
    return row.text === null || row.text.includes(this.#search);
  }

  #schedule() {
    // Hidden tabs get no animation frames; what waits is bounded anyway.
    if (this.#frame === 0)
      this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    if (!this.#paused && this.#waiting.length) {
      const entries = this.#waiting.slice(-MOST_ROWS).reverse();
      this.#waiting = [];
      const fragment = document.createDocumentFragment();
      const rows = entries.map((entry) => this.#row(entry));
      for (const row of rows) fragment.append(row.item);
      this.#list.prepend(fragment);
      this.#rows = rows.concat(this.#rows);
      for (const row of this.#rows.splice(MOST_ROWS)) row.item.remove();
    }
    this.#changed();
  }

  #row(entry) {
    const item = document.createElement("li");
    if (entry.notice !== undefined) {
      item.className = "notice";
      item.textContent = entry.notice;
      return { item, text: null };
    }
    const event = entry.event;
    const line = this.#logs ? (event.data ?? {}) : null;
    const data = line
      ? `${line.message ?? ""} ${short(line.fields)}`
      : short(event.data);
    item.dataset.level = event.level;
    item.dataset.seq = event.seq;
    const row = document.createElement("button");
    row.type = "button";
    row.className = "row";
    row.setAttribute("aria-expanded", "false");
    row.append(
      timeCell(event.ts),
      cell("span", "level", event.level),
      cell("span", "source", event.source),
      cell("span", "channel", (line ? line.caller : event.channel) ?? ""),
      cell("span", "action", event.action ?? ""),
      cell("span", "data", this.#extra(event) + data),
    );
    item.append(row);
    item.event = event;
    const result = { item, text: JSON.stringify(event).toLowerCase() };
    item.hidden = !this.#matches(result);
    return result;
  }

  #extra(event) {
    const parts = [];
    if (event.duration_ms !== undefined)
      parts.push(`${JSON.stringify(event.duration_ms)} ms`);
    if (event.agent_id) parts.push(event.agent_id);
    if (event.truncated) parts.push("truncated");
    return parts.length ? `${parts.join(" · ")} ` : "";
  }

  #toggle(item) {
    const row = item.firstElementChild;
    const open = row.getAttribute("aria-expanded") === "true";
    row.setAttribute("aria-expanded", String(!open));
    if (open) {
      item.lastElementChild.remove();
      row.removeAttribute("aria-controls");
      return;
    }
    const detail = document.createElement("pre");
    detail.className = "detail";
    detail.id = `detail-${(this.#nextId += 1)}`;
    detail.tabIndex = 0;
    detail.setAttribute("aria-label", `Event ${item.event.seq} in full`);
    detail.setAttribute("role", "region");
    detail.textContent = JSON.stringify(item.event, null, 2);
    row.setAttribute("aria-controls", detail.id);
    item.append(detail);
  }
}
