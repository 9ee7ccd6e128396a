import { parseJson } from "./json.js";
import { EventList } from "./list.js";
import { EventStream, httpError } from "./stream.js";

// What differs between the tabs; one page load shows one of them.
const TABS = {
  events: {
    base: "/events",
    total: "total_events",
    rate: "events_per_second",
    noun: "events",
    none: "No event matches these filters yet.",
    example: `'{"source":"me","action":"hello"}' ${location.origin}/events`,
  },
  logs: {
    base: "/logs",
    total: "total_logs",
    rate: "logs_per_second",
    noun: "log lines",
    none: "No log line matches these filters yet.",
    example: `'{"logger":"me","message":"hello"}' ${location.origin}/log`,
    columns: ["Time", "Level", "Source", "Caller", "Logger", "Message"],
  },
  status: null,
};
const asked = new URLSearchParams(location.search).get("tab");
const tab = Object.hasOwn(TABS, asked) ? asked : "events";
const shows = TABS[tab] ?? TABS.events;

const FILTERS = ["source", "channel", "action", "level", "agent_id"];
const FIRST_ROWS = 200;
const STATS_EVERY_MS = 3000;

const $ = (id) => document.getElementById(id);
const form = $("filters");
const number = new Intl.NumberFormat();

const list = new EventList($("events"), showSummary, tab === "logs");
let stream = null;
let generation = 0; // of the view; answers to an older one are ignored
let log = null;
let retryAt = 0;
let loggedIn = false;

function query(extra) {
  const params = new URLSearchParams(extra);
  for (const name of FILTERS) {
    const value = form.elements[name].value.trim();
    if (value) params.set(name, value);
  }
  return params.toString();
}

function isFiltered() {
  return query({}) !== "";
}

function showState(state, text) {
  $("connection").dataset.state = state;
  $("connection").textContent = text;
}

function showProblem(text) {
  $("problem").textContent = text;
  $("problem").hidden = text === "";
}

function showSummary() {
  const parts = [];
  if (list.searching)
    parts.push(`${list.matching} of ${list.shown} rows match the search`);
  else if (list.received > list.shown)
    parts.push(
      `the newest ${list.shown} of ${number.format(list.received)} ${shows.noun}`,
    );
  else if (list.shown) parts.push(`${number.format(list.shown)} rows`);
  if (list.paused) {
    parts.push(`paused, ${number.format(list.waiting)} waiting`);
    if (list.lostWhilePaused)
      parts.push(
        `${number.format(list.lostWhilePaused)} older ones dropped here ` +
          "(the server still has them)",
      );
  }
  $("summary").textContent = parts.join(" · ");
  $("empty").hidden = list.shown > 0 || list.waiting > 0;
  $("empty").firstElementChild.textContent = isFiltered()
    ? shows.none
    : `No ${shows.noun} yet. Send one:`;
  $("example").hidden = isFiltered();
}

function showNotice(message) {
  let detail;
  try {
    detail = JSON.parse(message.data);
  } catch {
    return;
  }
  if (message.event === "dropped")
    list.addNotice(
      `${number.format(detail.dropped)} events are missing here (seq ` +
        `${detail.from_seq} to ${detail.to_seq}, reason: ${detail.reason}).`,
    );
  else if (message.event === "reset")
    list.addNotice(
      `The server's log ends at ${detail.head}, before the ` +
        `${detail.requested} seen here; going on from its end.`,
    );
}

function onMessage(message) {
  if (message.event !== "message") {
    showNotice(message);
    return;
  }
  try {
    list.addEvent(parseJson(message.data));
  } catch {
    list.addNotice("An event could not be read: it is not JSON.");
  }
}

function onState(state, detail) {
  retryAt = 0;
  if (state === "connecting") showState("connecting", "connecting");
  else if (state === "waiting") {
    retryAt = Date.now() + detail.wait;
    showCountdown();
  } else {
    showState("live", "live");
    showProblem("");
    if (log !== null && detail.log !== null && detail.log !== log)
      list.addNotice("The server has another log than before.");
    log = detail.log ?? log;
  }
}

function showCountdown() {
  if (retryAt === 0) return;
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  showState("waiting", `connection lost, trying again in ${left} s`);
}

function refused(error) {
  showState("stopped", "stopped");
  if (error.status === 401) askForToken(loggedIn ? error.message : "");
  else showProblem(error.message);
}

function askForToken(why) {
  showLogin([]);
  $("login-error").textContent = why;
  $("token").value = "";
  if (!$("login").open) $("login").showModal();
}

function showLogin(scopes) {
  loggedIn = scopes.length > 0;
  $("logout").hidden = !loggedIn;
}

async function loadLogin() {
  try {
    const response = await fetch("/login", { cache: "no-store" });
    if (response.ok) showLogin((await response.json()).scopes);
  } catch {
    // Connecting tells that the server is away.
  }
}

async function logIn() {
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: $("token").value.trim() }),
    });
    if (!response.ok) throw await httpError(response);
    showLogin((await response.json()).scopes);
  } catch (error) {
    askForToken(error.message);
    return;
  }
  $("token").value = "";
  $("login").close();
  if (tab === "status") loadStatus();
  else connect();
}

async function logOut() {
  try {
    const response = await fetch("/logout", { method: "POST" });
    if (!response.ok) throw await httpError(response);
  } catch (error) {
    showProblem(`Not logged out: ${error.message}`);
    return;
  }
  generation += 1;
  stream?.stop();
  list.clear();
  showState("stopped", "logged out");
  askForToken("");
}

// Recent events first, then the stream from where they ended, so that nothing
// falls between the two.
async function connect() {
  const mine = (generation += 1);
  stream?.stop();
  stream = null;
  list.clear();
  showProblem("");
  showState("connecting", "connecting");
  let wait = 1000;
  for (;;) {
    try {
      const response = await fetch(
        `${shows.base}/recent?${query({ n: FIRST_ROWS })}`,
        { cache: "no-store" },
      );
      if (!response.ok) throw await httpError(response);
      const events = parseJson(await response.text());
      if (mine !== generation) return;
      const head =
        response.headers.get("Telltale-Head") ?? events.at(-1)?.seq ?? null;
      for (const event of events) list.addEvent(event);
      stream = new EventStream(`${shows.base}/stream?${query({})}`, {
        after: head,
        on: { state: onState, message: onMessage, refused },
      });
      stream.start();
      return;
    } catch (error) {
      if (mine !== generation) return;
      if (error.status >= 400 && error.status < 500) {
        refused(error);
        return;
      }
      retryAt = Date.now() + wait;
      showCountdown();
      await new Promise((done) => setTimeout(done, wait));
      if (mine !== generation) return;
      retryAt = 0;
      wait = Math.min(wait * 2, 30000);
    }
  }
}

function suggest(id, counts) {
  const names = Object.keys(counts ?? {}).filter((name) => name !== "");
  const old = [...$(id).children].map((option) => option.value);
  if (names.join("\n") === old.join("\n")) return;
  $(id).replaceChildren(
    ...names.slice(0, 100).map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }),
  );
}

async function loadStats() {
  if (document.hidden || $("login").open) return;
  try {
    const response = await fetch(`${shows.base}/stats`, {
      cache: "no-store",
    });
    if (!response.ok) return;
    const stats = await response.json();
    $("stat-total").textContent = number.format(stats[shows.total] ?? 0);
    $("stat-rate").textContent = (stats[shows.rate] ?? 0).toFixed(1);
    $("stat-clients").textContent = number.format(stats.client_count ?? 0);
    suggest("sources", stats.by_source);
    suggest("channels", stats.by_channel);
  } catch {
    // The connection line already says that the server is away.
  }
}

let typing = 0;
function filtersChanged() {
  clearTimeout(typing);
  typing = 0;
  const text = query(tab === "logs" ? { tab } : {});
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
  connect();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  filtersChanged();
});
form.addEventListener("input", (event) => {
  if (event.target.name === "text") {
    list.search(event.target.value);
    return;
  }
  clearTimeout(typing);
  typing = setTimeout(filtersChanged, 350);
});
form.addEventListener("reset", () => {
  // The fields still have their old values while this event runs.
  setTimeout(() => {
    list.search("");
    filtersChanged();
  }, 0);
});

$("pause").addEventListener("click", () => {
  const paused = !list.paused;
  list.pause(paused);
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Resume" : "Pause";
});
$("clear").addEventListener("click", () => list.clear());

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn();
});
$("logout").addEventListener("click", logOut);

$("example").textContent = `curl -d ${shows.example}`;
for (const [name, value] of new URLSearchParams(location.search))
  if (FILTERS.includes(name)) form.elements[name].value = value;

// ---- The tabs ----

function section(title, values) {
  const part = document.createElement("section");
  const heading = document.createElement("h2");
  const rows = document.createElement("dl");
  heading.textContent = title.replaceAll("_", " ");
  for (const [name, value] of Object.entries(values)) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name.replaceAll("_", " ");
    text.textContent =
      typeof value === "number" ? number.format(value) : String(value);
    rows.append(term, text);
  }
  part.append(heading, rows);
  return part;
}

async function loadStatus() {
  if (document.hidden || $("login").open) return;
  try {
    const response = await fetch("/api/v1/status", {
      cache: "no-store",
    });
    if (!response.ok) throw await httpError(response);
    const status = Object.entries(await response.json());
    const isPart = ([, value]) => value !== null && typeof value === "object";
    $("status").replaceChildren(
      section(
        "server",
        Object.fromEntries(status.filter((entry) => !isPart(entry))),
      ),
      ...status.filter(isPart).map(([name, values]) => section(name, values)),
    );
    showState("live", "live");
    showProblem("");
  } catch (error) {
    if (error.status >= 400 && error.status < 500) refused(error);
    else showState("waiting", "connection lost, trying again");
  }
}

function showTab() {
  for (const link of document.querySelectorAll("nav a"))
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
  $("stat-of").textContent = shows.noun;
  if (tab === "logs") {
    [...$("columns").children].forEach((column, i) => {
      column.textContent = shows.columns[i];
    });
    $("events").setAttribute("aria-label", "Log lines, newest first");
    form.elements.channel.parentElement.hidden = true;
    form.elements.action.previousSibling.textContent = "Logger ";
    // Of log lines a level always means those above it too.
    for (const option of form.elements.level.options)
      option.hidden = option.value !== "" && !option.value.startsWith(">=");
  } else if (tab === "status") {
    for (const id of ["filters", "summary", "columns", "empty"])
      $(id).hidden = true;
    $("status").hidden = false;
  }
}

showTab();
setInterval(loadStats, STATS_EVERY_MS);
setInterval(showCountdown, 1000);
document.addEventListener("visibilitychange", loadStats);
loadLogin();
loadStats();
if (tab === "status") {
  setInterval(loadStatus, STATS_EVERY_MS);
  loadStatus();
} else {
  connect();
}
