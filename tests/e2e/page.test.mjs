// The page at "/" in a real browser, on the real server.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { startServer } from "../harness/server.mjs";

const executable = process.env.TELLTALE_CHROMIUM ?? "/usr/bin/chromium";
const require = createRequire(import.meta.url);

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: executable,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});
after(() => browser?.close());

// A page, and what must stay empty: policy violations and script errors.
async function openPage(t, server, { path = "/", colorScheme } = {}) {
  const context = await browser.newContext({ colorScheme });
  t.after(() => context.close());
  const page = await context.newPage();
  page.violations = [];
  await page.exposeFunction("reportViolation", (text) =>
    page.violations.push(text),
  );
  await page.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  page.on("pageerror", (error) => page.violations.push(String(error)));
  await page.goto(server.url + path);
  return page;
}

const live = (page) => page.locator('#connection[data-state="live"]').waitFor();

// Waits until `read` answers what is wanted.
async function eventually(read, wanted) {
  const until = Date.now() + 15000;
  for (;;) {
    const got = await read();
    try {
      assert.deepEqual(got, wanted);
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

const actions = (page) =>
  page.locator("#events li:not(.notice):visible .action").allTextContents();

async function emit(server, ...events) {
  const answer = await server.post("/events/batch", events);
  assert.ok(answer.ok, await answer.text());
}

const event = (action, more = {}) => ({ source: "shop", action, ...more });

test("an event is seen at once, and opens to all of it", async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, server);
  await live(page);
  await page.getByText("No events yet").waitFor();
  await emit(
    server,
    event("<b>deploy</b>", {
      level: "error",
      duration_ms: 0,
      data: { note: "<script>document.title='no'</script>" },
    }),
  );
  /* Digits beyond a double stay as they were sent. */
  const big = await server.post(
    "/events",
    '{"source":"s","action":"big","data":{"n":12345678901234567890}}',
  );
  assert.ok(big.ok);
  await page.getByText("12345678901234567890").waitFor();
  const row = page.getByRole("button", { name: /deploy/ });
  await row.waitFor();
  assert.deepEqual(await actions(page), ["big", "<b>deploy</b>"]);
  assert.equal(await page.locator("#events b, #events script").count(), 0);
  assert.equal(await row.getAttribute("aria-expanded"), "false");
  await row.focus();
  await page.keyboard.press("Enter");
  const detail = page.getByRole("region", { name: /in full/ });
  const shown = JSON.parse(await detail.textContent());
  assert.equal(shown.data.note, "<script>document.title='no'</script>");
  assert.equal(shown.duration_ms, 0);
  await page.keyboard.press("Enter");
  await detail.waitFor({ state: "detached" });
  assert.equal(await page.title(), "Telltale");
  assert.deepEqual(page.violations, []);
});

test("nothing falls between the recent events and the stream", async (t) => {
  const server = await startServer(t);
  await emit(server, ...Array.from({ length: 50 }, (_, i) => event(`old-${i}`)));
  let sent = 0;
  let stop = false;
  const posting = (async () => {
    while (!stop && sent < 400) await emit(server, event(`new-${sent++}`));
  })();
  const page = await openPage(t, server);
  await live(page);
  stop = true;
  await posting;
  await emit(server, event("last"));
  await page.getByRole("button", { name: /last/ }).waitFor();
  const seqs = await page
    .locator("#events li")
    .evaluateAll((items) => items.map((item) => Number(item.dataset.seq)));
  const newest = seqs[0];
  assert.deepEqual(
    seqs,
    seqs.map((_, i) => newest - i),
  );
  assert.ok(seqs.length >= Math.min(200, 51 + sent));
  assert.deepEqual(page.violations, []);
});

test("filters are the server's, and stay in the address", async (t) => {
  const server = await startServer(t);
  await emit(
    server,
    event("a"),
    { source: "till", action: "b", level: "warn" },
    { source: "till", action: "c" },
  );
  const page = await openPage(t, server);
  await live(page);
  await eventually(() => actions(page), ["c", "b", "a"]);
  await page.getByLabel("Source").fill("till");
  await eventually(() => actions(page), ["c", "b"]);
  await page.getByLabel("Level").selectOption(">=warn");
  await eventually(() => actions(page), ["b"]);
  await live(page);
  await emit(
    server,
    event("not mine", { level: "error" }),
    { source: "till", action: "d", level: "error" },
    { source: "till", action: "e" },
  );
  await eventually(() => actions(page), ["d", "b"]);
  assert.match(page.url(), /\?source=till&level=%3E%3Dwarn$/);
  await page.reload();
  await eventually(() => actions(page), ["d", "b"]);
  await page.getByLabel("Search").fill("D");
  await eventually(() => actions(page), ["d"]);
  await page.getByRole("button", { name: "Reset filters" }).click();
  await eventually(
    () => actions(page),
    ["e", "d", "not mine", "c", "b", "a"],
  );
  await page.getByLabel("Source").fill("nobody");
  await page.getByText("No event matches these filters yet.").waitFor();
  assert.deepEqual(page.violations, []);
});

test("pause keeps what comes, and says how much", async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, server);
  await live(page);
  await emit(server, event("before"));
  await eventually(() => actions(page), ["before"]);
  await page.getByRole("button", { name: "Pause" }).click();
  await emit(server, event("one"), event("two"), event("three"));
  await page.getByText("paused, 3 waiting").waitFor();
  assert.deepEqual(await actions(page), ["before"]);
  await page.getByRole("button", { name: "Resume" }).click();
  await eventually(() => actions(page), ["three", "two", "one", "before"]);
  await page.getByRole("button", { name: "Clear" }).click();
  await eventually(() => actions(page), []);
  await emit(server, event("again"));
  await eventually(() => actions(page), ["again"]);
  assert.deepEqual(page.violations, []);
});

test("the list stays short, and says what it leaves out", async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, server);
  await live(page);
  for (let i = 0; i < 3; i++)
    await emit(
      server,
      ...Array.from({ length: 400 }, (_, n) => event(`e${400 * i + n}`)),
    );
  await page.getByText("the newest 500 of 1,200 events").waitFor();
  assert.equal((await actions(page))[0], "e1199");
  assert.equal(await page.locator("#events li").count(), 500);
});

test("it comes back after a restart and misses nothing", async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, server);
  await live(page);
  await emit(server, event("1"), event("2"));
  await eventually(() => actions(page), ["2", "1"]);
  await server.kill();
  await page.getByText(/trying again/).waitFor();
  await server.start();
  await emit(server, event("3"), event("4"));
  await eventually(() => actions(page), ["4", "3", "2", "1"]);
  await live(page);
  await emit(server, event("5"));
  await eventually(() => actions(page), ["5", "4", "3", "2", "1"]);
  assert.equal(await page.locator("#events .notice").count(), 0);
  const stats = await server.json("/events/stats");
  assert.equal(stats.client_count, 1); // it did not come back twice
});

test("a token logs in, and logging out ends it", async (t) => {
  const readToken = "tt_read-secret-for-this-test-0123456789";
  const server = await startServer(t, {
    env: {
      TELLTALE_TOKEN_READ: readToken,
      TELLTALE_TOKEN_INGEST: "tt_ingest-secret-for-this-test-01234567",
    },
  });
  const page = await openPage(t, server);
  const dialog = page.getByRole("dialog");
  const logIn = async (token) => {
    await dialog.waitFor();
    await page.locator("#token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  await logIn("tt_wrong");
  await page.getByText(/is wrong or was revoked/).waitFor();
  assert.equal(await page.getByRole("button", { name: "Log out" }).count(), 0);
  await logIn(readToken);
  await live(page);
  const post = async (action) => {
    const answer = await server.post("/events", event(action), {
      authorization: "Bearer tt_ingest-secret-for-this-test-01234567",
    });
    assert.ok(answer.ok);
  };
  await post("secret");
  await eventually(() => actions(page), ["secret"]);

  // Scripts see neither the token nor the cookie.
  const seen = await page.evaluate(() =>
    JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]),
  );
  assert.equal(seen, JSON.stringify(["", {}, {}]));
  const [cookie] = await page.context().cookies();
  assert.deepEqual(
    [cookie.httpOnly, cookie.sameSite, cookie.path],
    [true, "Strict", "/"],
  );

  // A reload, another tab and a restart of the server need no token.
  await page.reload();
  await eventually(() => actions(page), ["secret"]);
  const tab = await page.context().newPage();
  await tab.goto(server.url);
  await eventually(() => actions(tab), ["secret"]);
  await server.stop();
  await server.start();
  await live(page);
  await post("after");
  await eventually(() => actions(page), ["after", "secret"]);
  await eventually(() => actions(tab), ["after", "secret"]);

  // An EventSource, which can send no token, has the cookie.
  const first = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const source = new EventSource("/events/stream?replay=all");
        source.onmessage = (message) => resolve(JSON.parse(message.data).action);
        source.onerror = () => reject(new Error("refused"));
      }),
  );
  assert.equal(first, "secret");

  await page.getByRole("button", { name: "Log out" }).click();
  await dialog.waitFor();
  await eventually(() => actions(page), []);
  await tab.getByRole("dialog").waitFor();
  assert.equal((await page.context().cookies()).length, 0);
  await page.reload();
  await dialog.waitFor();
  await logIn(readToken);
  await eventually(() => actions(page), ["after", "secret"]);
  assert.deepEqual(page.violations, []);
});

test("another site's page cannot use the login", async (t) => {
  const token = "tt_admin-secret-for-this-test-012345678";
  const server = await startServer(t, { env: { TELLTALE_TOKEN_ADMIN: token } });
  const other = await startServer(t); // the same host: SameSite lets it through
  const page = await openPage(t, server);
  await page.locator("#token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await live(page);
  const stranger = await page.context().newPage();
  await stranger.goto(other.url + "/healthz");
  const tried = await stranger.evaluate(async (url) => {
    const attempt = (path, init) =>
      fetch(url + path, { credentials: "include", ...init }).then(
        (response) => response.status,
        () => "refused",
      );
    return [
      await attempt("/events/recent"),
      await attempt("/events", { method: "POST", body: '{"source":"evil"}' }),
      await attempt("/events", {
        method: "POST",
        body: '{"source":"evil"}',
        mode: "no-cors",
      }),
      await attempt("/logout", { method: "POST", mode: "no-cors" }),
    ];
  }, server.url);
  assert.deepEqual(tried, ["refused", "refused", 0, 0]);
  const stats = await page.evaluate(() =>
    fetch("/events/stats").then((response) => response.json()),
  );
  assert.equal(stats.total_events, 0);
});

test("log lines have a tab of their own", async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, server);
  await live(page);
  await emit(server, event("no line"));
  await page.getByRole("link", { name: "Logs" }).click();
  await page.getByText("No log lines yet").waitFor();
  await live(page);
  for (const level of ["info", "warn", "error"])
    await server.post("/log", {
      level,
      logger: `at-${level}`,
      message: "<b>slow</b> query",
      fields: { rows: 3 },
      caller: "db.c:7",
    });
  await eventually(() => actions(page), ["at-error", "at-warn", "at-info"]);
  const row = page.getByRole("button", { name: /at-warn/ });
  assert.match(await row.textContent(), /db\.c:7.*<b>slow<\/b> query \{"rows":3\}/);
  await eventually(() => page.locator("#stat-total").textContent(), "3");
  await page.getByLabel("Level").selectOption(">=warn");
  await eventually(() => actions(page), ["at-error", "at-warn"]);
  await page.reload();
  await eventually(() => actions(page), ["at-error", "at-warn"]);
  await page.getByRole("link", { name: "Events" }).click();
  await eventually(() => actions(page), ["no line"]);
  assert.deepEqual(page.violations, []);
});

test("the status tab shows how the server is, and asks for a token", async (t) => {
  const token = "tt_read-secret-for-this-test-0123456789";
  const server = await startServer(t, { env: { TELLTALE_TOKEN_READ: token } });
  const page = await openPage(t, server, { path: "/?tab=status" });
  await page.locator("#token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "store" }).waitFor();
  await page.getByText(`sqlite:${server.folder}`).waitFor();
  await live(page);
  assert.equal(await page.locator("#filters").isVisible(), false);
  assert.deepEqual(page.violations, []);
});

async function assertAccessible(page) {
  await page.evaluate(
    await readFile(require.resolve("axe-core/axe.min.js"), "utf8"),
  );
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(
    violations
      .filter((found) => ["serious", "critical"].includes(found.impact))
      .map((found) => `${found.id}: ${found.nodes[0].html}`),
    [],
  );
}

for (const colorScheme of ["light", "dark"])
  test(`it can be used by all, ${colorScheme}`, async (t) => {
    const server = await startServer(t);
    const page = await openPage(t, server, { colorScheme });
    await live(page);
    await emit(
      server,
      ...["debug", "info", "warn", "error", "fatal"].map((level) =>
        event(`at ${level}`, { level, channel: "orders", data: { n: 1 } }),
      ),
    );
    await page.getByRole("button", { name: /at fatal/ }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await assertAccessible(page);
    await server.post("/log", { level: "warn", message: "m", logger: "db" });
    await page.goto(`${server.url}/?tab=logs`);
    await eventually(() => actions(page), ["db"]);
    await assertAccessible(page);
    await page.goto(`${server.url}/?tab=status`);
    await page.getByRole("heading", { name: "store" }).waitFor();
    await assertAccessible(page);
    assert.deepEqual(page.violations, []);
  });
