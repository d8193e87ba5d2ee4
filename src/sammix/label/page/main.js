// The page: what is shown, and what a person can do with it.

import * as api from "./api.js";
import * as boxes from "./box.js";
import { fillHelp, listen } from "./keys.js";
import { Learning } from "./learn.js";
import { List } from "./list.js";
import * as shapes from "./shapes.js";
import { Strip } from "./strip.js";
import { View } from "./view.js";

const $ = id => document.getElementById(id);
const WINDOWS = [["Abdomen", 40, 400], ["Liver", 90, 180], ["Lung", -500, 1500], ["Bone", 400, 1800]];
const AT_HAND = 400; // slices kept in the browser

const view = new View($("view"));
const strip = new Strip($("strip"), k => goTo(k));
const list = new List($("stacks"), n => openStack(n));
const learning = new Learning({ every: $("every"), behind: $("behind"), ownOnly: $("own-only"), models: $("models"), curves: $("curves"), says: $("learning-says"),
  go: document.querySelector("[data-do=learn]"), full: document.querySelector("[data-do=fit]") }, say);

let session = null;      // what is labelled
let stack = null;        // what the server says of the stack that is open
let looks = null;        // what the model says of each of its slices
let k = 0;               // the slice that is shown, from 0 at the lower end
let going = 1;           // up or down, as the person went last; the slices that come are asked for ahead
let way = 1;             // up or down, where an answer leads to
let tool = null;         // brush, eraser, polygon, fill, box or click
let mask = null;         // the slice's mask, as it is drawn; null: none
let proposal = null;     // {mask, name, k, slices?, box?}: what is shown to be accepted
let points = [];         // SAM's clicks, or the polygon's corners
let auto = false;        // whether the model's own proposal is asked for in every slice
let order = null, progress = {};
let loading = 0;         // counts what was opened: what comes in for an earlier slice is dropped
let open = Promise.resolve(); // until the slice that was gone to is on the screen, with its mask
let ready = false;       // whether it is
let turns = Promise.resolve(); // what keys and buttons ask for, one after the other
let touched = 0;         // counts changes of the mask by hand: one that comes in late must not undo them
const shown = { mask: true, map: false, box: false };
let evidence = null;     // {k, map, box} of the model
const slices = new Map();

export const inside = { view, get k() { return k; }, get mask() { return mask; }, get proposal() { return proposal; }, get stack() { return stack; }, get ready() { return ready; } };
window.sammix = inside;  // for whoever tests or measures

// ---- what is said at the foot of the page
function say(text, bad = false) { $("says").textContent = text; $("says").classList.toggle("bad", bad); }
async function trying(work) {
  try { return await work(); } catch (error) {
    if (!(error instanceof api.Refusal)) console.error(error);
    say(error.message, true);
    return undefined;
  }
}

// ---- stacks and slices
function openStack(n, slice = null) {
  release(); ready = false;
  return open = opening(n, slice, ++loading);
}

async function opening(n, slice, mine) {
  say("reading the scan…");
  const told = await trying(() => api.get(`/api/stacks/${n}`));
  if (mine !== loading) return;
  if (!told) { await goTo(k); return; } // stay with what is open
  slices.clear(); stack = told; looks = null; proposal = null; points = []; evidence = null;
  view.reset(); view.aspect = stack.spacing[1] / stack.spacing[2];
  list.select(n);
  say(stack.warnings.length ? stack.warnings.join(" · ") : "");
  document.querySelectorAll("#ends button").forEach(button => { button.disabled = !stack.whole; });
  count(n, stack);
  const best = order?.find(one => one.stack === n);
  await goTo(slice ?? best?.slice ?? stack.marks[0] ?? Math.floor(stack.count / 2));
  localStorage.setItem("sammix-place", JSON.stringify([session.store, n, k]));
  refreshLooks();
}

async function refresh() { // labels and masks of the open stack, as they are now
  const n = stack?.stack;
  if (n === undefined) return;
  const told = await trying(() => api.after(`/api/stacks/${n}`));
  if (!told || stack.stack !== n) return;
  const changed = stack.masks[k] !== told.masks[k];
  stack = told; count(n, told);
  if (changed) await loadMask(k);
  paint();
}

async function refreshLooks() {
  const n = stack?.stack;
  if (n === undefined) return;
  try { const told = await api.get(`/api/stacks/${n}/looks`); if (stack.stack === n) { looks = told; paint(); } } catch { looks = null; }
}

function count(n, told) {
  const of = value => told.labels.filter(one => one === value).length;
  progress[n] = { count: told.count, yes: of(1), no: of(0), open: of(-1), drawn: told.masks.filter(one => one).length };
  list.update(progress, order); totals();
}

function totals() {
  const sum = key => Object.values(progress).reduce((total, p) => total + p[key], 0);
  $("totals").textContent = `${sum("yes")} yes · ${sum("no")} no · ${sum("drawn")} drawn`;
}

async function pixels(n, at) {
  const key = `${n}/${at}`;
  if (!slices.has(key)) {
    const asked = api.pixels(n, at);
    slices.set(key, asked);
    asked.catch(() => slices.delete(key));
    if (slices.size > AT_HAND) slices.delete(slices.keys().next().value);
  }
  return slices.get(key);
}

function goTo(to) {
  if (!stack || to < 0 || to >= stack.count) return open;
  if (to !== k) going = Math.sign(to - k);
  if (Math.abs(to - k) === 1) way = to - k;
  release(); // a stroke under way belongs to the slice on which it began
  k = to; ready = false;
  return open = show(++loading);
}

async function show(mine) {
  const n = stack.stack;
  if (!(proposal && proposal.slices?.includes(k))) { proposal = null; } points = []; evidence = null; mask = null;
  const slice = await trying(() => pixels(n, k));
  if (!slice || mine !== loading) return;
  await loadMask(k, mine);
  if (mine !== loading) return;
  current = slice; ready = true;
  paint();
  for (let step = 1; step <= 4; step++) { const near = k + step * going; if (near >= 0 && near < stack.count) pixels(n, near).catch(() => {}); }
  if (auto || shown.map || shown.box) lookSoon();
}
let current = null;

async function loadMask(at, mine = loading) {
  const before = touched, told = stack.masks[at] ? await trying(() => api.mask(stack.stack, at)) : null;
  if (mine === loading && at === k && before === touched) mask = told ?? null;
}

// ---- what is on the screen
function paint() {
  if (!stack || !ready) return;
  const cursor = hover && (tool === "brush" || tool === "eraser") ? { ...hover, size: size(), erase: tool === "eraser" || erasing } : null;
  view.show({
    slice: current, mask: shown.mask ? mask : null, proposal: proposal?.k === k ? proposal.mask : null,
    map: shown.map && evidence?.k === k ? evidence.map : null, box: shown.box && evidence?.k === k ? evidence.box : null,
    drag: drag?.box ?? ownBox(), handles: Boolean(ownBox()), points: tool === "click" ? points : null, polygon: tool === "polygon" ? points : null, cursor,
  });
  strip.show({ ...stack, slice: k, presence: looks?.presence, doubt: looks?.doubt });
  words();
}

function words() {
  $("where").textContent = `${stack.name}`;
  $("windowing").textContent = `W ${Math.round(view.window.width)}  L ${Math.round(view.window.level)} HU${view.zoom > 1 ? `\n× ${view.zoom.toFixed(1)}` : ""}`;
  const mm = stack.trusted && stack.whole ? ` <small>· ${(k * stack.spacing[0]).toFixed(1)} mm from the lowest</small>` : "";
  $("position").innerHTML = `${k + 1} <small>of ${stack.count}</small>${mm}`;
  const label = stack.labels[k], kind = label === 1 ? "yes" : label === 0 ? "no" : label === -1 ? "open" : "none";
  $("verdict").className = kind;
  $("verdict").textContent = { yes: "Yes", no: "No", open: "Unsure", none: "not answered" }[kind];
  const lines = [];
  if (stack.label_how[k]) lines.push({ key: "answered", range: "by its ends", drawn: "by its drawing", imported: "from the data", slicer: "from 3D Slicer" }[stack.label_how[k]] ?? stack.label_how[k]);
  if (stack.masks[k] && stack.mask_how[k]) lines.push(`mask: ${{ drawn: "drawn by hand", accepted: "proposed, accepted", corrected: "proposed, corrected", interpolated: "interpolated", imported: "from the data", slicer: "from 3D Slicer" }[stack.mask_how[k]]}`);
  if (stack.who[k]) lines.push(stack.who[k]);
  if (stack.differ[k]) lines.push("⚠ " + stack.differ[k].map(one => `${one.who}: ${{ 1: "yes", 0: "no", "-1": "unsure" }[one.label]}`).join(", "));
  if (looks?.presence?.[k] != null) lines.push(`model: ${Math.round(100 * looks.presence[k])} % yes` + (looks.doubt?.[k] != null ? `, doubt ${looks.doubt[k].toFixed(2)}` : ""));
  $("provenance").textContent = lines.join("\n");
  for (const name of ["yes", "no", "open"]) button(name).classList.toggle("on", kind === name);
  for (const name of ["brush", "eraser", "polygon", "fill", "box", "click"]) button(name).setAttribute("aria-pressed", String(tool === name));
  button("auto").setAttribute("aria-pressed", String(auto));
  for (const name of ["mask", "map", "box"]) button(`show-${name}`).setAttribute("aria-pressed", String(shown[name]));
  const pending = proposal?.k === k || (tool === "polygon" && points.length > 2);
  button("accept").disabled = !pending;
  button("dismiss").disabled = !pending && !points.length && !tool;
  button("undo").disabled = !stack.undo[0]; button("redo").disabled = !stack.undo[1];
  button("first").classList.toggle("yes", stack.marks[0] !== null); button("last").classList.toggle("yes", stack.marks[1] !== null);
  const [first, last] = stack.marks;
  $("ends-hint").textContent = !stack.whole ? "Single slices: answer each." : first !== null && last !== null ? `Slices ${first + 1} to ${last + 1} are yes, all else no.`
    : first !== null ? `First: ${first + 1}. Now mark the last.` : last !== null ? `Last: ${last + 1}. Now mark the first.` : "With both: between is yes, all else no.";
  $("view").setAttribute("aria-label", `Slice ${k + 1} of ${stack.count}, ${$("verdict").textContent}`);
}

const button = name => document.querySelector(`[data-do="${name}"]`);
const size = () => Number($("size").value);

// ---- answers
async function answer(label) {
  const n = stack.stack, at = k, step = way;
  stack.labels[at] = label; stack.label_how[at] = "key";
  if (label !== 1) { stack.masks[at] = null; mask = null; touched++; }
  paint();
  const asked = trying(() => api.post(`/api/stacks/${n}/slices/${at}/answer`, { label }));
  const next = at + step;
  if (next >= 0 && next < stack.count) await goTo(next);
  else if (!stack.whole && step > 0 && list.beside(n, 1) !== undefined) { await asked; await openStack(list.beside(n, 1), 0); }
  else say(step > 0 ? "this was the highest slice" : "this was the lowest slice");
  await asked; learning.answered();
}

async function mark(end) {
  const at = k, done = await trying(() => api.post(`/api/stacks/${stack.stack}/mark`, { [end]: at }));
  if (!done) return;
  await refresh(); learning.answered();
  const [first, last] = done.marks;
  if (first !== null && last !== null) say(`slices ${first + 1} to ${last + 1} are yes, all others no`);
}

async function back(redo) {
  const done = await trying(() => api.post(redo ? "/api/redo" : "/api/undo"));
  if (!done) return;
  if (!done.place) { say(redo ? "there is nothing to redo" : "there is nothing to undo"); return; }
  const [n, at] = done.place;
  if (n >= 0 && n !== stack.stack) await openStack(n, at);
  else { await refresh(); if (n >= 0 && Math.abs(at - k) > 0 && !redo && stack.count > 1) await goTo(at); else await loadMask(k); paint(); }
}

// ---- drawing
let pointing = null, drag = null, hover = null, erasing = false;

function ownBox() { // the box that led to what is proposed, while it can be changed
  return tool === "box" && proposal?.k === k ? proposal.box : null;
}

function ownMask() { // what the brush works on: the proposal, if one is shown, else what is drawn
  const { rows, columns } = current;
  return (proposal?.k === k ? proposal.mask : mask)?.slice() ?? new Uint8Array(rows * columns);
}

async function keep(changed, basis = null) {
  const n = stack.stack, at = k;
  const empty = !changed.some(Boolean);
  touched++;
  mask = empty ? null : changed;
  const from = basis ?? (proposal?.k === at && !proposal.slices ? proposal.name : null);
  proposal = null;
  stack.mask_how[at] = null; // the server will say
  if (!empty) { stack.labels[at] = 1; stack.masks[at] ??= "…"; }
  paint();
  const told = await trying(() => api.keepMask(n, at, changed, from));
  if (told && stack.stack === n) { stack.masks[at] = told.mask; stack.mask_how[at] = told.mask_how; stack.labels[at] = told.label; paint(); }
}

function press(event) {
  $("view").focus({ preventScroll: true });
  if (!ready) return; // what is on the screen is not yet the slice that would be drawn in
  const at = view.at(event), canvas = $("view");
  canvas.setPointerCapture(event.pointerId);
  if (event.button === 2) { pointing = { kind: "window", x: event.clientX, y: event.clientY, ...view.window }; return; }
  if (event.button === 1) { pointing = { kind: "move", x: event.clientX, y: event.clientY, shift: [...view.shift] }; event.preventDefault(); return; }
  if (event.button !== 0) return;
  if (tool === "brush" || tool === "eraser") {
    const value = tool === "eraser" || event.shiftKey ? 0 : 1;
    pointing = { kind: "stroke", value, at, mask: ownMask(), basis: proposal?.k === k ? proposal.name : null };
    mask = pointing.mask; touched++; if (proposal?.k === k) proposal = null;
    brush(at);
  } else if (tool === "box") {
    const own = ownBox(), handle = own && boxes.handleAt(own, at, view.reach(9));
    drag = handle ? { own, handle, box: own } : { from: at, box: [...at, ...at] }; pointing = { kind: "box" };
  }
  else if (tool === "polygon") { points.push(at); paint(); }
  else if (tool === "fill") {
    const changed = ownMask();
    if (shapes.flood(changed, current.rows, current.columns, at, event.shiftKey ? 0 : 1)) keep(changed);
    else say("this is not enclosed: it would fill to the edge of the picture", true);
  } else if (tool === "click") {
    points.push([Math.floor(at[0]), Math.floor(at[1]), event.shiftKey ? 0 : 1]); paint();
    propose({ kind: "points", points });
  }
}

function brush(at) {
  shapes.stroke(pointing.mask, current.rows, current.columns, pointing.at, at, size(), pointing.value, view.aspect);
  pointing.at = at; paint();
}

function move(event) {
  if (!ready) return;
  const at = view.at(event);
  hover = { x: at[0], y: at[1] }; erasing = event.shiftKey;
  if (pointing?.kind === "stroke") { for (const one of event.getCoalescedEvents?.() ?? [event]) brush(view.at(one)); brush(at); }
  else if (pointing?.kind === "box") {
    drag.box = drag.handle ? boxes.changed(drag.own, drag.handle, at) : boxes.changed([...drag.from, ...drag.from], [1, 1], at); paint();
  } else if (pointing?.kind === "window") {
    view.window.width = Math.max(1, pointing.width + (event.clientX - pointing.x) * 2);
    view.window.level = pointing.level - (event.clientY - pointing.y); paint();
  } else if (pointing?.kind === "move") {
    const ratio = window.devicePixelRatio || 1;
    view.shift = [pointing.shift[0] + (event.clientX - pointing.x) * ratio, pointing.shift[1] + (event.clientY - pointing.y) * ratio]; paint();
  } else if (tool === "brush" || tool === "eraser") paint();
}

function release() {
  const was = pointing; pointing = null;
  if (was?.kind === "stroke") keep(was.mask, was.basis);
  if (was?.kind === "box") {
    const box = drag.box.map(v => Math.max(0, v)); drag = null; paint();
    if (box[2] - box[0] > 2 && box[3] - box[1] > 2) propose({ kind: "box", box: [box[0], box[1], Math.min(box[2], current.columns - 1), Math.min(box[3], current.rows - 1)] });
  }
}

// ---- proposals
async function propose(asked) {
  const n = stack.stack, at = k;
  say("SAM is looking…");
  const told = await trying(() => api.ask_now(`/api/stacks/${n}/slices/${at}/proposal`, asked));
  if (!told || n !== stack.stack || at !== k) return;
  const found = await trying(() => api.bytes(`/api/proposals/${told.name}`));
  if (!found || n !== stack.stack || at !== k) return;
  const empty = !found.some(Boolean);
  if (asked.kind === "auto" && told.map) evidence = { k: at, map: await trying(() => api.bytes(`/api/stacks/${n}/slices/${at}/map`)), box: told.box };
  if (asked.kind !== "auto" || auto) proposal = empty ? null : { k: at, mask: found, name: told.name, box: asked.box ?? null };
  say(asked.kind === "auto" && !auto ? "" : empty ? "SAM proposes nothing here" : "proposed: Enter accepts, the brush corrects, Esc dismisses");
  paint();
}

let soon = 0;
function lookSoon() { clearTimeout(soon); soon = setTimeout(() => { if (stack && (auto || shown.map || shown.box)) propose({ kind: "auto" }); }, 120); }

async function interpolate() {
  const n = stack.stack, at = k, told = await trying(() => api.interpolation(n, at));
  if (!told || n !== stack.stack || at !== k) return;
  const [lower, upper] = told.between;
  proposal = { k: at, mask: told.mask, slices: Array.from({ length: upper - lower - 1 }, (_, i) => lower + 1 + i) };
  say(`between slices ${lower + 1} and ${upper + 1}: Enter keeps all ${upper - lower - 1}`);
  paint();
}

async function accept() {
  if (tool === "polygon" && points.length > 2) {
    const changed = ownMask();
    shapes.polygon(changed, current.rows, current.columns, points, erasing ? 0 : 1);
    points = []; await keep(changed); return;
  }
  if (proposal?.k !== k) return;
  if (proposal.slices) {
    if (await trying(() => api.post(`/api/stacks/${stack.stack}/slices/${k}/interpolation?accept=1`))) { proposal = null; await refresh(); }
  } else { points = []; await keep(proposal.mask); say("accepted"); }
  learning.answered();
}

function dismiss() {
  if (points.length || proposal) { points = []; proposal = null; } else tool = null;
  paint();
}

const take = name => { tool = tool === name ? null : name; points = []; paint(); };

async function takeAway(kind) {
  say("writing…");
  const told = await trying(() => api.post("/api/export", { kind, own_only: kind === "dataset" && $("own-only").checked }));
  if (told) say(`written to ${told.folder}` + (told.remarks?.length ? ` · ${told.remarks.join(" · ")}` : ""));
}

function takeModel() {
  const folder = learning.state?.folder;
  say(folder ? `the model in use lies in ${folder}: predict, evaluate and fit --from take it` : "there is no model yet: label some slices and learn");
}

// ---- what a key or a button does
const ACTIONS = {
  yes: () => answer(1), no: () => answer(0), open: () => answer(-1), first: () => mark("first"), last: () => mark("last"),
  up: () => goTo(k + 1), down: () => goTo(k - 1), up10: () => goTo(Math.min(stack.count - 1, k + 10)), down10: () => goTo(Math.max(0, k - 10)),
  top: () => { way = -1; goTo(stack.count - 1); }, bottom: () => { way = 1; goTo(0); }, // from an end there is one way to go
  next: () => { const n = list.beside(stack.stack, 1); if (n !== undefined) openStack(n); else say("this is the last of the list"); },
  previous: () => { const n = list.beside(stack.stack, -1); if (n !== undefined) openStack(n); else say("this is the first of the list"); },
  helpful: async () => { await orderNow(true); const best = order?.[0]; if (best) openStack(best.stack, best.slice); else say("nothing is proposed yet: answer some slices first"); },
  brush: () => take("brush"), eraser: () => take("eraser"), polygon: () => take("polygon"), fill: () => take("fill"), box: () => take("box"), click: () => take("click"),
  smaller: () => resize(-1), larger: () => resize(1),
  interpolate, clear: () => { if (mask) keep(new Uint8Array(current.rows * current.columns)); else say("nothing is drawn here"); },
  auto: () => { auto = !auto; if (auto) lookSoon(); else if (proposal && !proposal.slices) proposal = null; paint(); },
  accept, dismiss, undo: () => back(false), redo: () => back(true),
  "show-mask": () => { shown.mask = !shown.mask; paint(); },
  "show-map": () => { shown.map = !shown.map; if (shown.map && evidence?.k !== k) lookSoon(); paint(); },
  "show-box": () => { shown.box = !shown.box; if (shown.box && evidence?.k !== k) lookSoon(); paint(); },
  closer: () => { view.zoomBy(1.25); paint(); }, farther: () => { view.zoomBy(0.8); paint(); },
  "move-up": () => further(0, -1, "up"), "move-down": () => further(0, 1, "down"), "move-left": () => further(-1, 0, "previous"), "move-right": () => further(1, 0, "next"),
  whole: () => { view.reset(); paint(); }, learn: () => learning.start("quick"), fit: () => learning.start("full"),
  export: () => takeAway("dataset"), "export-seg": () => takeAway("dicom-seg"), "export-model": takeModel, help: () => $("help").showModal(),
  ...Object.fromEntries(WINDOWS.map(([, level, width], n) => [`window-${n}`, () => { Object.assign(view.window, { level, width }); paint(); }])),
};
function further(right, down, otherwise) { if (view.zoom > 1) { view.move(right, down); paint(); } else ACTIONS[otherwise](); } // a whole slice stays where it is
function resize(step) { $("size").value = size() + step * Math.max(1, Math.round(size() / 8)); $("size").dispatchEvent(new Event("input")); }

// What says or changes something of a slice waits until it is on the screen: nobody answers what is not seen yet.
const OF_A_SLICE = new Set(["yes", "no", "open", "first", "last", "interpolate", "clear", "auto", "accept", "dismiss", "undo", "redo"]);
async function opened() { let one; do { one = open; await one; } while (one !== open); }
function act(name) {
  turns = turns.then(async () => {
    if (OF_A_SLICE.has(name)) await opened();
    if (stack || name === "help") ACTIONS[name]();
  }).catch(error => { console.error(error); say(error.message, true); });
  return turns;
}

// ---- what happens elsewhere
async function orderNow(move = false) {
  try { const told = await api.get("/api/order"); order = told.order; Object.assign(progress, told.progress); list.update(progress, order, move); totals(); } catch { order = null; }
}
async function brain() { try { const state = await api.get("/api/brain"); learning.show(state); $("work").textContent = [state.running, state.work].filter(Boolean).join(" · "); return state; } catch { return null; } }

function follow() {
  const source = new EventSource("/api/events");
  let behind = false, waiting = 0;
  source.addEventListener("hello", () => { if (behind) { behind = false; say("the server is back"); refresh(); } });
  source.addEventListener("answers", event => {
    const told = JSON.parse(event.data);
    if (told.stack === stack?.stack) { clearTimeout(waiting); waiting = setTimeout(() => { refresh(); orderNow(); }, 150); }
  });
  source.addEventListener("brain", () => brain());
  let looked = 0;
  source.addEventListener("looked", () => { if (!looked) looked = setTimeout(() => { looked = 0; refreshLooks(); orderNow(); }, 1500); });
  source.addEventListener("error", () => { if (!behind) say("the server does not answer: nothing new is kept until it runs again", true); behind = true; });
}

async function start() {
  session = await api.get("/api/session");
  document.title = `${session.organ} · ${session.name} · sammix`;
  $("organ").textContent = session.organ; $("dataset").textContent = session.name; $("dataset").title = session.store;
  document.querySelectorAll(".organ-name").forEach(one => { one.textContent = session.organ; });
  const who = $("who");
  who.value = localStorage.getItem("sammix-annotator") ?? session.annotator; api.setAnnotator(who.value);
  who.addEventListener("change", () => { localStorage.setItem("sammix-annotator", who.value); api.setAnnotator(who.value); refresh(); });
  WINDOWS.forEach(([name], n) => {
    const one = document.createElement("button");
    one.dataset.do = `window-${n}`; one.innerHTML = `${name} <kbd>${n + 1}</kbd>`; $("presets").append(one);
  });
  if (session.window[0] !== null) Object.assign(view.window, { level: session.window[0], width: session.window[1] });
  document.querySelectorAll("[data-do]").forEach(one => one.addEventListener("click", () => { act(one.dataset.do); if (one.dataset.do !== "help") $("view").focus({ preventScroll: true }); }));
  fillHelp($("keys")); listen(act);
  $("size").addEventListener("input", () => { $("size-out").textContent = `${size()} px`; paint(); }); $("size-out").textContent = `${size()} px`;
  const canvas = $("view");
  canvas.addEventListener("pointerdown", press); canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", release); canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { hover = null; paint(); });
  canvas.addEventListener("dblclick", () => { if (tool === "polygon") accept(); });
  canvas.addEventListener("contextmenu", event => event.preventDefault());
  let turned = 0;
  $("stage").addEventListener("wheel", event => {
    event.preventDefault();
    if (event.ctrlKey) { view.zoomAt(event, event.deltaY < 0 ? 1.25 : 0.8); paint(); return; }
    turned += event.deltaY; // a touch pad sends many small steps
    const step = Math.abs(event.deltaY) >= 50 ? Math.sign(event.deltaY) : Math.trunc(turned / 30);
    if (step && stack) { turned = 0; goTo(Math.max(0, Math.min(stack.count - 1, k - step))); }
  }, { passive: false });
  list.fill(session.stacks);
  await orderNow(true);
  await brain();
  const [store, n, at] = JSON.parse(localStorage.getItem("sammix-place") ?? "[null, 0, null]");
  await openStack(store === session.store && n < session.stacks.length ? n : order?.[0]?.stack ?? 0, store === session.store ? at : null);
  if (session.remarks.length) say(session.remarks.join(" · "));
  follow();
  document.body.dataset.ready = "yes";
}

start().catch(error => say(error.message, true));
