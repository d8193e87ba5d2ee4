// Learning: what is asked for, how it goes, and which model is in use.

import * as api from "./api.js";

export class Learning {
  constructor(parts, say) {
    Object.assign(this, parts); this.say = say; this.state = null; this.since = 0;
    this.every.value = localStorage.getItem("sammix-every") ?? "0";
    this.every.addEventListener("change", () => localStorage.setItem("sammix-every", this.every.value));
    this.behind.checked = localStorage.getItem("sammix-behind") === "yes";
    this.behind.addEventListener("change", () => localStorage.setItem("sammix-behind", this.behind.checked ? "yes" : "no"));
    this.models.addEventListener("change", async () => {
      try { await api.post("/api/models/use", { model: this.models.value }); } catch (error) { this.listed = null; this.show(this.state); this.say(error.message, true); }
      this.models.blur();
    });
    new ResizeObserver(() => this.draw()).observe(this.curves);
  }

  answered() {
    this.since += 1;
    const every = Number(this.every.value);
    if (every > 0 && this.since >= every && this.state && !this.state.training?.running) this.start("quick", true);
  }

  // The button of what runs stops it. A full fit that began by itself makes way for "Learn now"; another is not touched.
  async start(kind, unasked = false) {
    const training = this.state?.training, running = training?.running ? (training.quick ? "quick" : "full") : null;
    try {
      if (running === kind) { await api.post("/api/learn/stop"); this.say("the training is stopped; what it had learned is kept"); return; }
      if (running && !training.by_itself) { this.say(running === "full" ? "a full fit is under way: “Stop full fit” ends it" : "a quick pass is under way: T stops it"); return; }
      await api.post("/api/learn", { kind, own_only: this.ownOnly.checked, behind: this.behind.checked, unasked });
      this.since = 0;
      this.say(kind === "full" ? "a full fit has begun; go on labelling" : running ? "the full fit made way; learning from all that is labelled now…" : "learning…");
    } catch (error) { if (!unasked) this.say(error.message, true); }
  }

  show(state) {
    this.state = state;
    const training = state.training, quick = Boolean(training?.running && training.quick), full = Boolean(training?.running && !training.quick);
    this.go.firstChild.textContent = quick ? "Stop " : "Learn now ";
    this.go.disabled = full && !training.by_itself;
    this.full.textContent = full ? "Stop full fit" : "Full fit";
    this.full.disabled = quick;
    this.says.textContent = state.says ?? "";
    const models = state.models ?? [];
    this.models.hidden = models.length === 0;
    const listed = JSON.stringify([models, state.model]);
    if (listed !== this.listed) { // a list that is open is not to be closed by every step of a training
      this.listed = listed;
      this.models.replaceChildren(...models.map(model => new Option(model.title, model.name, false, model.name === state.model)));
    }
    this.curves.hidden = !training?.epochs?.length;
    this.draw();
  }

  // Loss and validation Dice over epochs, each on its own scale.
  draw() {
    const epochs = this.state?.training?.epochs ?? [], { curves } = this;
    if (!epochs.length || curves.hidden) return;
    const ratio = window.devicePixelRatio || 1, w = curves.clientWidth, h = curves.clientHeight;
    curves.width = w * ratio; curves.height = h * ratio;
    const context = curves.getContext("2d");
    context.scale(ratio, ratio); context.font = "10px system-ui";
    const total = Math.max(this.state.training.total ?? 0, epochs.length, 2);
    const x = n => 24 + (w - 34) * n / (total - 1), y = v => h - 14 - (h - 26) * v;
    context.strokeStyle = "#2b333c"; context.fillStyle = "#93a0ad";
    for (const v of [0, 0.5, 1]) { context.beginPath(); context.moveTo(24, y(v)); context.lineTo(w - 8, y(v)); context.stroke(); context.fillText(v, 4, y(v) + 3); }
    const top = Math.max(...epochs.map(one => one.loss));
    const line = (values, colour, dash) => {
      context.strokeStyle = colour; context.lineWidth = 2; context.setLineDash(dash); context.beginPath();
      values.forEach((v, n) => { if (v !== null && v !== undefined) context.lineTo(x(n), y(v)); });
      context.stroke(); context.setLineDash([]);
      values.forEach((v, n) => { if (v !== null && v !== undefined) { context.fillStyle = colour; context.fillRect(x(n) - 1.5, y(v) - 1.5, 3, 3); } });
    };
    line(epochs.map(one => one.loss / top), "#93a0ad", [4, 3]);
    line(epochs.map(one => one.val_dice), "#56b4e9", []);
    line(epochs.map(one => one.val_auc), "#e69f00", [1, 3]);
    let at = 24;
    for (const [text, colour, has] of [["loss", "#93a0ad", true], ["Dice", "#56b4e9", "val_dice"], ["AUC", "#e69f00", "val_auc"]]) {
      if (has !== true && !epochs.some(one => one[has] !== null && one[has] !== undefined)) continue;
      context.fillStyle = colour; context.fillText(text, at, 9); at += context.measureText(text).width + 10;
    }
  }
}
