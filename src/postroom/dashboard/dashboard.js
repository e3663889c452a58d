// Shows what the public API answers. Whatever comes from it is set as text, never as HTML.

const PAUSE = 2_000, PATIENCE = 10_000, DAY = 86_400_000; // ms
const NEWEST = 20, PAGE = 200, TRIES = 24; // events shown, events asked for at once, and how often in one round
const MOST_ROWS = 500;
const WINDOWS = ["last_24_hours", "last_1_hours", "today_so_far"];
const SECTIONS = { counters: showCounters, queues: showQueues, listeners: showListeners, events: showEvents };
const COUNTS = ["accepted", "acknowledged", "pending", "missed", "discarded"];
const at = (id) => document.getElementById(id);
const failed = (status, words) => Object.assign(new Error(words), { status });
let key = null; // as long as there is one, it is asked with
let round = new AbortController(), timer = 0;
let now = 0; // the server's time, ms, at its last answer
let since = 0; // ms; the newest events are looked for from here on
let queueNames = new Map();
let storage = {}; // where the browser has switched it off, the key lasts until the page is left
try { storage = sessionStorage; } catch {}

// What the API answers. Throws `failed`, with status 0 where there was no answer.
async function ask(path, signal) {
  const headers = { Accept: "application/json", "X-API-KEY": encodeURIComponent(key) }; // of a real key: itself
  const patient = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
  const response = await fetch(path, { headers, cache: "no-store", redirect: "error", signal: patient }).catch(() => {
    throw failed(0, "The server cannot be reached.");
  });
  now = Date.parse(response.headers.get("Date")) || Date.now();
  const answer = await response.json().catch(() => null);
  const words = answer?.detail ?? "nothing that can be read";
  if (response.ok && answer) return answer;
  throw failed(response.status, `The server answered ${response.status}: ${words}.`);
}

async function refresh() {
  clearTimeout(timer);
  round.abort();
  if (key === null || document.hidden) return;
  const { signal } = (round = new AbortController());
  const failure = await showAll(signal);
  if (signal.aborted) return;
  if (failure?.status === 401) return leave(`This API key was refused. ${failure.message}`);
  at("board").hidden = at("leave").hidden = false;
  at("board").classList.toggle("old", failure !== null);
  if (failure === null) at("freshness").textContent = `as of ${clock(now)} UTC`;
  say(at("trouble"), failure ? `${failure.message} Trying again every two seconds.` : "");
  timer = setTimeout(refresh, PAUSE);
}

// Null, or what ended the round early. One question after another: a key that is refused is sent only once.
async function showAll(signal) {
  for (const [id, show] of Object.entries(SECTIONS)) {
    const failure = await show(at(id), signal).catch((error) => error);
    if (failure?.status === 403) empty(at(id), failure.message);
    else if (failure) return failure;
  }
  return null;
}

async function showCounters(section, signal) {
  const answer = await ask("stats/messages", signal);
  for (const place of section.querySelectorAll("[data-counter] td")) {
    const window = WINDOWS[place.cellIndex - 1];
    const number = answer.aggregated_api_usage_events[window][place.parentNode.dataset.counter];
    place.textContent = grouped(number);
    place.className = number ? "" : "zero";
  }
  section.querySelector("table").hidden = false;
  say(section.querySelector(".note"), "");
}

async function showQueues(section, signal) {
  const answer = await ask("queues", signal);
  queueNames = new Map(answer.queues.map((queue) => [queue.id, queue.name]));
  fill(section, answer.queues.map(({ id, name }) => [cell("name", name), cell("id", id)]), "There is no queue yet.");
}

async function showListeners(section, signal) {
  const answer = await ask("listeners", signal);
  const links = Object.values(answer._links).map((link) => /\/queues\/([^/]+)\/listeners\/([^/]+)$/.exec(link.href));
  const queues = new Map(links.filter(Boolean).map(([, queue, listener]) => [listener, queue]));
  const rows = answer.listeners.map((each) => {
    const queue = queues.get(each.id);
    const count = (name, number) => cell(number ? "number" : "number zero", grouped(number), name);
    return [
      cell("name", [each.name, queueNames.get(queue) ?? queue ?? ""]),
      cell(`liveness ${each.liveness.state}`, each.liveness.state, "liveness"),
      cell(each.status, each.status, "status"),
      ...COUNTS.map((name) => count(name, each.messages[`${name}_count`])),
    ];
  });
  fill(section, rows, "There is no listener yet.");
}

async function showEvents(section, signal) {
  const rows = (await newestEvents(signal)).map((event) => {
    const about = ["message", "listener", "queue", "api_key"].filter((kind) => kind in event);
    const words = about.flatMap((kind) => [kind.replace("_", " "), event[kind].name || event[kind].id]);
    const type = cell(event.type, event.type.replaceAll("_", " "));
    return [cell("time", clock(event.stored_at)), type, cell("of", words)];
  });
  fill(section, rows, "Nothing happened in the last 24 hours.");
}

// The API lists events oldest first, so look back just far enough: to a time since which there are at least
// NEWEST events, and no more than one page. In a rush that outruns the search, its last page is new enough.
async function newestEvents(signal) {
  let few = 1, many = DAY, end = 0; // ms before the end
  for (let tries = 1; ; tries++) {
    const answer = await ask(`events?limit=${PAGE}&startAfter=${since}`, signal);
    end ||= now + 1_000; // the header Date has whole seconds
    const more = "next" in answer._links;
    const enough = !more && (answer.events.length >= NEWEST || since <= end - DAY);
    if (enough || tries === TRIES) return answer.events.slice(-NEWEST).reverse();
    if (more) many = Math.min(DAY, end - since);
    else few = end - since;
    since = Math.round(end - Math.sqrt(few * many));
  }
}

// A cell to be; each of several words gets an element of its own.
const cell = (kind, words, label = "") => ({ kind, words: [words].flat(), label });
const grouped = (number) => number.toLocaleString("en");

// The time of day, UTC, and before it the date where that is not today's.
const clock = (ms) => new Date(ms).toISOString().slice(day(ms) === day(now) ? 11 : 5, 19).replace("T", " ");
const day = (ms) => Math.floor(ms / DAY);

// Rows are made anew only when they differ, so that what a reader has selected stays selected.
function fill(section, rows, otherwise) {
  const shown = rows.slice(0, MOST_ROWS), told = JSON.stringify(shown);
  const cut = `The first ${grouped(MOST_ROWS)} of ${grouped(rows.length)} are shown.`;
  say(section.querySelector(".note"), rows.length === 0 ? otherwise : rows.length > MOST_ROWS ? cut : "");
  section.querySelector("table").hidden = rows.length === 0;
  if (section.told !== told) section.querySelector("tbody").replaceChildren(...shown.map(made));
  section.told = told;
}

function made(cells) {
  const row = Object.assign(document.createElement("tr"), { role: "row" });
  for (const { kind, words, label } of cells) {
    const place = Object.assign(row.insertCell(), { role: "cell", className: kind });
    place.dataset.label = label;
    const spans = words.map((textContent) => Object.assign(document.createElement("span"), { textContent }));
    // Words come in pairs, a kind and a name, which stay on one line.
    place.append(...spans.flatMap((span, index) => [index === 0 ? "" : index % 2 ? "\u00a0" : " ", span]));
  }
  return row;
}

function empty(section, words = "") {
  section.querySelectorAll("[data-counter] td, tbody[role]").forEach((each) => each.replaceChildren());
  section.querySelector("table").hidden = true;
  section.told = null;
  say(section.querySelector(".note"), words);
}

function say(place, words) {
  place.hidden = words === "";
  if (place.textContent !== words) place.textContent = words; // an alert is read out whenever it is set
}

function enter(given) {
  leave(""); // nothing of another key's stays
  storage.postroomKey = key = given;
  at("entrance").hidden = true;
  at("freshness").textContent = "asking the server …";
  refresh();
}

function leave(words) {
  round.abort();
  key = null;
  since = 0;
  delete storage.postroomKey;
  for (const id in SECTIONS) empty(at(id));
  at("board").hidden = at("leave").hidden = true;
  at("entrance").hidden = false;
  at("freshness").textContent = at("key").value = "";
  say(at("trouble"), "");
  say(at("refusal"), words);
  at("key").focus();
}

// A link may carry the key behind the #, which no server sees; it does not stay in the address bar either.
function begin() {
  const linked = new URLSearchParams(location.hash.slice(1)).get("key");
  if (linked !== null) history.replaceState(null, "", location.pathname);
  const given = linked ?? key ?? storage.postroomKey;
  if (given === undefined) leave("");
  else if (given !== key) enter(given);
}

at("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(at("key").value.trim());
});
at("leave").addEventListener("click", () => leave(""));
document.addEventListener("visibilitychange", refresh);
addEventListener("hashchange", begin);
begin();
