// Every slice of a stack as a line beside it, the highest on top: labels, drawings, presence and doubt.

const COLUMN = { labels: [6, 18], drawn: [20, 26], presence: [30, 56], doubt: [60, 86] };

export class Strip {
  constructor(canvas, go) {
    this.canvas = canvas; this.data = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    const jump = event => {
      if (!this.data || !(event.buttons & 1)) return;
      const box = canvas.getBoundingClientRect();
      const k = this.data.count - 1 - Math.floor((event.clientY - box.top - 6) / (box.height - 12) * this.data.count);
      go(Math.max(0, Math.min(this.data.count - 1, k)));
    };
    canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); jump(event); });
    canvas.addEventListener("pointermove", jump);
  }

  show(data) { this.data = data; this.draw(); }

  draw() {
    const { canvas, data } = this, ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio; canvas.height = canvas.clientHeight * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    if (!data) return;
    const height = canvas.clientHeight - 12, step = height / data.count;
    const top = k => 6 + (data.count - 1 - k) * step;
    context.fillStyle = "#0e1114";
    for (const [from, to] of Object.values(COLUMN)) context.fillRect(from, 6, to - from, height);
    for (let k = 0; k < data.count; k++) {
      const y = top(k), h = Math.max(1, step - (step > 4 ? 1 : 0));
      const label = data.labels[k], mask = data.masks[k];
      if (label === 1) { context.fillStyle = "#56b4e9"; context.fillRect(6, y, 12, h); }
      if (label === 0) { context.fillStyle = "#e69f00"; context.fillRect(6, y, 4, h); }
      if (label === -1) { context.fillStyle = "#cfd6dd"; context.fillRect(10, y, 4, Math.max(1, h / 2)); }
      if (mask) { context.fillStyle = "#fff"; context.fillRect(20, y, 6, Math.max(2, h)); }
      if (data.differ[k]) { context.fillStyle = "#e4681a"; context.fillRect(1, y, 4, Math.max(2, h)); }
      if (data.presence && data.presence[k] !== null) { context.fillStyle = "#c4ccd4"; context.fillRect(30, y, 26 * data.presence[k], h); }
      if (data.doubt && data.doubt[k] !== null) { context.fillStyle = "#e4681a"; context.fillRect(60, y, 26 * Math.min(1, data.doubt[k]), h); }
    }
    context.strokeStyle = "#93a0ad55";
    for (const x of [43]) { context.beginPath(); context.moveTo(x, 6); context.lineTo(x, 6 + height); context.stroke(); }
    for (const [k, text] of [[data.marks[0], "F"], [data.marks[1], "L"]]) {
      if (k === null) continue;
      const y = top(k) + step / 2;
      context.fillStyle = "#56b4e9"; context.fillRect(3, y - 1, 86, 2);
      context.font = "bold 10px system-ui"; context.fillText(text, 80, y - 3);
    }
    const y = top(data.slice) + step / 2;
    context.fillStyle = "#f0e442"; context.fillRect(0, y - 1, 92, 2);
    context.beginPath(); context.moveTo(0, y - 5); context.lineTo(6, y); context.lineTo(0, y + 5); context.fill();
  }
}
