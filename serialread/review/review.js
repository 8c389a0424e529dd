"use strict";
// One reading at a time. What a person decides is kept in this tab until the server has said that it is stored.
const $ = (id) => document.getElementById(id);
const text = $("text");
const session = randomId();
const filters = {};
const RENEW_MS = 40000; // a third of the time for which the server keeps a reading from others
let reviewer = "", tasks = [], skipped = [], busy = false, checks = 0;
const view = { zoom: 1, turns: 0, contrast: 0, invert: false, glyphs: false };

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
function trouble(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Ask until the server answers: it may be restarted. A refusal (4xx) is an Error with its reason.
async function ask(path, posted) {
  const options = posted && { method: "POST", body: JSON.stringify(posted), headers: { "Content-Type": "application/json" } };
  for (;;) {
    let reason = "The server does not answer.";
    try {
      const answer = await fetch(path, options);
      const found = await answer.json();
      if (answer.ok) { trouble(""); return found; }
      reason = found.error;
      if (answer.status < 500) throw Object.assign(new Error(reason), { refused: true });
    } catch (error) {
      if (error.refused) throw error;
    }
    trouble(reason + " Your decision is kept in this tab and is sent again. Leave the tab open.");
    await pause(1500);
  }
}
const context = () => ({ reviewer, session, skip: skipped.join(","), ...filters });

async function post(path, posted) {
  busy = true;
  sessionStorage.setItem("unsent", JSON.stringify([path, posted]));
  try {
    const answer = await ask(path, posted);
    sessionStorage.removeItem("unsent");
    return answer;
  } catch (error) {
    sessionStorage.removeItem("unsent");
    trouble(error.message);
    return null;
  } finally {
    busy = false;
  }
}
async function load() {
  try {
    const answer = await ask("/tasks?" + new URLSearchParams(context()));
    arrived(answer);
  } catch (error) {
    trouble(error.message);
  }
}
function arrived(answer) {
  progress(answer.progress);
  tasks = answer.tasks;
  show();
}
async function decide(label) {
  const task = tasks[0];
  if (busy || !task) return;
  if (label === "read" && !text.value.trim()) { trouble("Type what the mark says, or say that there is no code."); return; }
  const answer = await post("/calls", {
    ...context(), request: randomId(), part: task.part, label, text: text.value, source: task.source,
  });
  if (answer) arrived(answer);
}
async function undo() {
  if (busy) return;
  const answer = await post("/undo", { ...context(), request: randomId() });
  if (!answer) return;
  progress(answer.progress);
  if (!answer.task) { trouble("You have no decision that can be taken back."); return; }
  tasks = [answer.task];
  show();
}
function skip() {
  if (busy || !tasks.length) return;
  skipped.push(tasks[0].part);
  load();
}
const percent = (share) => (Math.floor(1000 * share + 1e-9) / 10).toFixed(1); // 0.9999 is not 100.0
function progress(now) {
  const count = (n) => n.toLocaleString("en");
  const parts = [count(now.reviewed) + " of " + count(now.readings) + " reviewed"];
  if (now.sample) {
    const [low, high] = now.interval;
    parts.push("accuracy " + percent(now.right / now.sample) + " % (" + percent(low) + " to " + percent(high) + " %), from " + count(now.sample) + " drawn at random");
  }
  if (now.disputed) parts.push(count(now.disputed) + " disputed");
  if (now.waiting) parts.push(count(now.waiting) + " wait for a second person");
  if (now.held_back) parts.push("a skipped reading holds back " + count(now.held_back) + " of the sample");
  $("progress").textContent = parts.join(" · ");
}

const ROLES = {
  second: "Second review: type what you see. What was read, and what the first reviewer said, is not shown.",
  final: "Two reviewers disagree. Decide: ",
};
function show() {
  const task = tasks[0];
  $("work").hidden = !task;
  $("done").hidden = Boolean(task);
  if (!task) { waitForMore(); return; }
  $("work").dataset.part = task.part;
  reset();
  picture("crop", task.has_crop ? task : null);
  picture("picture", task);
  const calls = task.calls.map((call) => call.reviewer + " says " + (call.label === "read" ? call.text : call.label + " " + call.text)).join("; ");
  $("role").textContent = (ROLES[task.role] || "") + calls;
  $("why").textContent = (task.why || []).join(" · ");
  $("image").textContent = [task.image, task.decision].filter(Boolean).join(" · ");
  boxes(task);
  text.value = task.text;
  text.focus();
  const weakest = task.chars.reduce((least, char, i) => (char.confidence < task.chars[least].confidence ? i : least), 0);
  if (task.text.length === task.chars.length) text.setSelectionRange(weakest, weakest + 1);
  cursor();
  check();
  if (tasks[1]) for (const kind of ["crop", "picture"]) new Image().src = address(tasks[1], kind);
}
const address = (task, kind) => "/pictures/" + task.part + "/" + kind;
function picture(id, task) {
  const image = $(id);
  image.hidden = !task;
  image.style.visibility = "hidden"; // until it is loaded: the picture before it is that of another reading
  if (task) image.src = address(task, id); else image.removeAttribute("src");
}
for (const id of ["crop", "picture"]) {
  $(id).addEventListener("load", () => { $(id).style.visibility = ""; });
  $(id).addEventListener("error", () => missing(id));
}
async function missing(id) {
  if (!$(id).getAttribute("src")) return;
  $(id).hidden = true;
  const answer = await fetch($(id).src).catch(() => null);
  if (answer && !answer.ok) trouble((await answer.json()).error);
  else if (answer) $(id).hidden = false;
}
function boxes(task) {
  const cells = [], frames = [];
  task.chars.forEach((char, i) => {
    const doubt = char.status !== "read" || char.confidence < 0.9;
    const cell = document.createElement("li"), sign = document.createElement("b");
    sign.textContent = char.char;
    const other = char.runner_up_confidence >= 0.0005 ? "or " + (char.runner_up || "none") + " " + percent(char.runner_up_confidence) : "";
    cell.append(sign, percent(char.confidence) + " %", document.createElement("br"), other || "–");
    cell.className = doubt ? "doubt" : "";
    cell.addEventListener("click", () => { text.focus(); text.setSelectionRange(i, i + 1); cursor(); });
    cells.push(cell);
    if (!char.box) return;
    const frame = document.createElement("i"), [left, top, width, height] = char.box;
    frame.className = doubt ? "doubt" : "";
    frame.dataset.at = i;
    Object.assign(frame.style, { left: 100 * left + "%", top: 100 * top + "%", width: 100 * width + "%", height: 100 * height + "%" });
    frames.push(frame);
  });
  $("chars").replaceChildren(...cells);
  $("boxes").replaceChildren(...frames);
}
// The character at the cursor; -1 if the text has another length than the reading.
function position() {
  const count = tasks[0] ? tasks[0].chars.length : 0;
  return text.value.length === count && count ? Math.min(text.selectionStart, count - 1) : -1;
}
function cursor() {
  const at = position();
  Array.from($("chars").children).forEach((cell, i) => cell.classList.toggle("at", i === at));
  for (const frame of $("boxes").children) frame.classList.toggle("at", Number(frame.dataset.at) === at);
}
function swap() {
  const at = position();
  if (at < 0) return;
  const { char, runner_up } = tasks[0].chars[at];
  if (runner_up.length !== 1) return;
  text.setRangeText(text.value[at] === runner_up ? char : runner_up, at, at + 1, "select");
  cursor();
  check();
}
async function check() {
  const number = ++checks;
  const answer = await fetch("/check?" + new URLSearchParams({ text: text.value })).then((found) => found.json()).catch(() => null);
  if (!answer || number !== checks) return;
  $("check").textContent = answer.words || "\u00a0";
  $("check").className = answer.ok === null ? "" : answer.ok ? "right" : "wrong";
}
async function waitForMore() {
  await pause(3000);
  if (!tasks.length && reviewer && !busy) load();
}

function reset() {
  Object.assign(view, { zoom: 1, turns: 0, contrast: 0, invert: false });
  draw();
}
function draw() {
  const filter = "contrast(" + (1 + view.contrast) + ") invert(" + (view.invert ? 1 : 0) + ")";
  for (const image of [$("crop"), $("picture"), $("glyphs")]) image.style.filter = filter;
  const stage = $("crop-stage"), natural = $("crop").naturalHeight ? $("crop").naturalWidth / $("crop").naturalHeight : 0;
  // a third of the window's height, or its whole width
  const width = natural ? Math.min($("crop-frame").clientWidth, (innerHeight / 3) * natural) * view.zoom + "px" : "100%";
  stage.style.width = width;
  const turn = "rotate(" + 90 * view.turns + "deg)";
  stage.style.transform = $("picture").style.transform = turn;
  stage.style.margin = natural && view.turns % 2 ? "calc((" + width + " - " + width + " / " + natural + ") / 2) 0" : "0";
  $("picture").style.maxWidth = 100 * view.zoom + "%";
  $("picture").style.maxHeight = 60 * view.zoom + "vh";
  const task = tasks[0], glyphs = $("glyphs");
  const wanted = view.glyphs && task && task.has_crop && task.role !== "second";
  glyphs.hidden = !wanted;
  stage.hidden = Boolean(wanted);
  document.querySelector("[data-view=glyphs]").setAttribute("aria-pressed", view.glyphs);
  if (wanted && glyphs.getAttribute("src") !== address(task, "glyphs")) glyphs.src = address(task, "glyphs");
}
$("crop").addEventListener("load", draw);
$("glyphs").addEventListener("error", async () => {
  const answer = await fetch($("glyphs").src).catch(() => null);
  view.glyphs = false;
  draw();
  if (answer && !answer.ok) trouble("No glyph maps: " + (await answer.json()).error);
});
const VIEWS = {
  in: () => { view.zoom = Math.min(view.zoom * 1.5, 12); },
  out: () => { view.zoom = Math.max(view.zoom / 1.5, 0.5); },
  contrast: () => { view.contrast = (view.contrast + 1) % 4; },
  invert: () => { view.invert = !view.invert; },
  rotate: () => { view.turns = (view.turns + 1) % 4; },
  glyphs: () => { view.glyphs = !view.glyphs; },
  reset: () => Object.assign(view, { zoom: 1, turns: 0, contrast: 0, invert: false, glyphs: false }),
};
function change(name) {
  VIEWS[name]();
  draw();
}
const ALT = {
  KeyU: () => decide("unreadable"), KeyW: () => decide("wrong crop"), KeyN: () => decide("no code"),
  KeyZ: () => change("in"), KeyX: () => change("out"), KeyC: () => change("contrast"), KeyI: () => change("invert"),
  KeyR: () => change("rotate"), KeyG: () => change("glyphs"), Digit0: () => change("reset"), KeyL: () => $("labels").click(),
};
addEventListener("keydown", (event) => {
  if (!reviewer || event.isComposing) return;
  let action = event.altKey && !event.ctrlKey && !event.metaKey ? ALT[event.code] : null;
  if (event.key === "PageDown") action = skip;
  if (event.key === "PageUp") action = undo;
  const typing = event.target === text;
  if (typing && event.key === "Escape") action = () => { text.value = tasks[0].text; cursor(); check(); trouble(""); };
  if (typing && (event.key === "ArrowUp" || event.key === "ArrowDown")) action = swap;
  if (typing && event.key === "Enter" && event.repeat) action = () => {};
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || event.altKey) action();
});
text.addEventListener("input", () => { cursor(); check(); });
for (const name of ["keyup", "click"]) text.addEventListener(name, cursor);
$("answer").addEventListener("submit", (event) => { event.preventDefault(); decide("read"); });
for (const button of document.querySelectorAll("[data-label]")) button.addEventListener("click", () => decide(button.dataset.label));
for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => change(button.dataset.view));
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("again").addEventListener("click", () => { skipped = []; load(); });
document.querySelector("#filter form").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const [name, value] of new FormData(event.target)) filters[name] = value;
  load();
});
addEventListener("resize", draw);
setInterval(() => {
  const options = { method: "POST", body: JSON.stringify({ session }), headers: { "Content-Type": "application/json" } };
  if (tasks.length) fetch("/lease", options).catch(() => null);
}, RENEW_MS);

$("name").value = localStorage.getItem("reviewer") || "";
$("name").focus();
$("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  reviewer = $("name").value.trim();
  if (!reviewer) return;
  localStorage.setItem("reviewer", reviewer);
  $("start").hidden = true;
  const unsent = JSON.parse(sessionStorage.getItem("unsent") || "null");
  if (unsent) await post(...unsent);
  const part = new URLSearchParams(location.search).get("part");
  if (part) {
    const task = await ask("/tasks/" + encodeURIComponent(part) + "?" + new URLSearchParams({ reviewer })).catch(() => null);
    history.replaceState(null, "", "/");
    if (task) { await load(); tasks = [task]; show(); return; }
  }
  load();
});
