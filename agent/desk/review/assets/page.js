// The page: sessions, one face's traces, and the rater's answers. Text is set as text, never as HTML.

import { LABELS, drawFace, drawStrip, drawTimeline, rowAt } from "./draw.js";

const $ = (id) => document.getElementById(id);
const state = { time: 0, item: null, face: null, playing: false, last: 0 };
let study, session, model;

async function get(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error((await reply.text()).trim());
  return reply.json();
}

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").className = bad ? "bad" : "";
}

function listSessions() {
  const done = study.sessions.reduce((sum, each) => sum + each.answered, 0);
  const all = study.sessions.reduce((sum, each) => sum + each.movements, 0);
  $("who").textContent = `${study.rater}${study.blind ? ", blind" : ""}: ${done} of ${all} answered`;
  $("sessions").replaceChildren(...study.sessions.map((each) => {
    const line = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = `${each.label} ${each.day || ""} ${each.answered}/${each.movements}`;
    button.setAttribute("aria-current", String(Boolean(session && session.name === each.name)));
    button.addEventListener("click", () => open(each.name));
    line.append(button);
    return line;
  }));
}

async function open(name) {
  try {
    session = await get(`/api/session/${encodeURIComponent(name)}`);
  } catch (error) {
    $("hint").hidden = false;
    $("hint").textContent = error.message;
    return;
  }
  $("hint").hidden = true;
  $("shown").hidden = false;
  $("title").textContent = `Session ${session.label}`;
  $("notes").textContent = session.notes.join("; ");
  $("faces").replaceChildren(...Object.keys(session.faces).map((each) => new Option(each, each)));
  $("time").max = session.seconds;
  state.time = 0;
  choose(session.items.find((each) => !each.answer) || session.items[0] || null);
  listSessions();
}

const all = () => [...session.items, ...session.own];
const current = () => all().find((each) => each.item === state.item) || state.fresh || null;

// Show a movement; null: none.
function choose(item) {
  state.item = item ? item.item : null;
  if (!session.items.includes(item) && !session.own.includes(item)) state.fresh = item;
  else state.fresh = null;
  state.face = item ? item.face : (state.face in session.faces ? state.face
    : Object.keys(session.faces)[0]);
  if (state.face) $("faces").value = state.face;
  if (item) state.time = Math.max(0, item.onset - 0.3);
  const answer = item && (item.answer || (item.item.includes("own") ? item : null));
  const onset = answer ? answer.onset : item ? item.onset : 0;
  const offset = answer ? answer.offset : item ? item.offset : 0;
  $("onset").value = onset.toFixed(2);
  $("offset").value = offset.toFixed(2);
  $("units").value = answer ? answer.units || "" : "";
  $("comment").value = answer ? answer.comment || "" : "";
  for (const radio of $("answer").elements.verdict) radio.checked = Boolean(answer) && answer.verdict === radio.value;
  for (const each of $("answer").elements) each.disabled = !item;
  say("");
  draw();
}

function describe() {
  const item = current();
  $("which").textContent = item
    ? `${item.item}, ${item.onset.toFixed(2)} to ${item.offset.toFixed(2)} s` : "None is chosen.";
  const known = item && item.program;
  $("program").textContent = !item || item.item.includes("own") ? ""
    : known && known.polarity ? `The program: score ${known.score}, ${known.polarity}, ${known.units.join("+") || "no unit"}`
      : "What the program says is hidden until you have answered.";
}

function draw() {
  if (!session) return;
  const face = session.faces[state.face] || { t: [], units: [], valence: [], arousal: [], pose: [] };
  const here = (each) => each.face === state.face;
  drawTimeline($("timeline"), session, face, session.items.filter(here),
    [...session.own, ...(state.fresh ? [state.fresh] : [])].filter(here), state);
  const row = rowAt(face.t, state.time), units = {};
  if (row >= 0) session.units.forEach((name, n) => { units[name] = face.units[row][n] || 0; });
  drawFace($("face"), model, units, row >= 0 ? face.pose[row] : [0, 0, 0]);
  drawStrip($("strip"), session, current(), state.time);
  $("time").value = state.time;
  $("now").textContent = `${state.time.toFixed(2)} s`;
  describe();
}

function tick(now) {
  if (!state.playing) return;
  state.time += (now - state.last) / 1000 * Number($("speed").value);
  state.last = now;
  if (state.time >= session.seconds) {
    state.time = session.seconds;
    play(false);
  }
  draw();
  requestAnimationFrame(tick);
}

function play(on) {
  state.playing = on;
  $("play").textContent = on ? "Pause" : "Play";
  state.last = performance.now();
  if (on) requestAnimationFrame(tick);
}

function step(by) {
  if (!session || !session.items.length) return;
  const at = session.items.findIndex((each) => each.item === state.item);
  choose(session.items[Math.min(Math.max(at + by, 0), session.items.length - 1)]);
}

function markOwn() {
  if (!state.face) return;
  const numbers = session.own.map((each) => Number(each.item.split("own-")[1]));
  const number = Math.max(session.lastOwn || 0, 0, ...numbers) + 1;
  choose({ item: `${state.face}.own-${number}`, face: state.face, onset: state.time,
    offset: state.time + 0.3, verdict: "agree", program: null });
}

async function save(event) {
  event.preventDefault();
  const item = current(), chosen = $("answer").elements.verdict.value;
  if (!item) return;
  if (!chosen) { say("Say first whether a movement is there.", true); return; }
  const body = { item: item.item, verdict: chosen, onset: Number($("onset").value),
    offset: Number($("offset").value), units: $("units").value, comment: $("comment").value };
  const reply = await fetch(`/api/answer/${encodeURIComponent(session.name)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Fleeting-Token": study.csrf },
    body: JSON.stringify(body),
  });
  if (!reply.ok) { say((await reply.text()).trim(), true); return; }
  const said = await reply.json();
  const at = session.items.findIndex((each) => each.item === item.item);
  if (at >= 0) session.items[at] = said.item;
  else {
    session.lastOwn = Math.max(session.lastOwn || 0, Number(item.item.split("own-")[1]));
    session.own = session.own.filter((each) => each.item !== item.item);
    if (chosen === "agree") session.own.push(said.item);
  }
  study.sessions = study.sessions.map((each) => each.name === session.name ? said.session : each);
  listSessions();
  choose(at >= 0 ? session.items[at] : session.own.find((each) => each.item === item.item) || null);
  say("Saved.");
}

$("faces").addEventListener("change", () => { state.face = $("faces").value; state.item = null;
  state.fresh = null; draw(); });
$("time").addEventListener("input", () => { state.time = Number($("time").value); draw(); });
$("timeline").addEventListener("click", (event) => {
  const box = $("timeline").getBoundingClientRect();
  const share = (event.clientX - box.left - LABELS) / (box.width - LABELS);
  const time = Math.max(0, share * session.seconds);
  const hit = all().find((each) => each.face === state.face && time >= each.onset - 0.1
    && time <= each.offset + 0.1);
  if (hit) { choose(hit); return; }
  state.time = time;
  draw();
});
$("play").addEventListener("click", () => play(!state.playing));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("own").addEventListener("click", markOwn);
$("answer").addEventListener("submit", save);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=radio]), textarea, select") || event.ctrlKey || event.metaKey
    || event.altKey || !session || !current()) return;
  const verdict = { a: "agree", d: "disagree", c: "cannot tell" }[event.key];
  if (verdict) $("answer").elements.verdict.value = verdict;
});
window.addEventListener("resize", draw);

try {
  [study, model] = await Promise.all([get("/api/study"), get("/api/face")]);
  $("comment").maxLength = study.comment;
  listSessions();
} catch (error) {
  $("hint").textContent = error.message;
}
