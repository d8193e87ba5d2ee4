// The slice on its canvas: CT through a window, overlays above it, and where a point of the screen lies in the slice.

import { HANDLES, placeOf } from "./box.js";

export const COLOURS = { mask: [86, 180, 233], proposal: [240, 228, 66], map: [230, 120, 40], box: "#cc79a7" };

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.picture = document.createElement("canvas");
    this.layer = document.createElement("canvas");
    this.window = { level: 40, width: 400 };
    this.zoom = 1; this.shift = [0, 0];
    this.aspect = 1; // a row's height in columns' widths
    this.times = []; // ms of the last redraws, for whoever measures
    this.scene = null;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  fit() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.draw();
  }

  reset() { this.zoom = 1; this.shift = [0, 0]; }

  // px of the canvas for each column and row of the slice, and where the slice begins
  place() {
    const { rows, columns } = this.scene.slice;
    const [w, h] = [this.canvas.width, this.canvas.height];
    const base = Math.min(w / columns, (h - 8) / (rows * this.aspect)) * this.zoom;
    const [sx, sy] = [base, base * this.aspect];
    return { sx, sy, x: (w - columns * sx) / 2 + this.shift[0], y: (h - rows * sy) / 2 + this.shift[1] };
  }

  // [column, row] of the slice, in px and parts of them, under a pointer
  at(event) {
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / box.width, p = this.place();
    return [((event.clientX - box.left) * ratio - p.x) / p.sx, ((event.clientY - box.top) * ratio - p.y) / p.sy];
  }

  // how far px of the screen reach, in columns and rows of the slice
  reach(px) { const ratio = window.devicePixelRatio || 1, p = this.place(); return [px * ratio / p.sx, px * ratio / p.sy]; }

  zoomAt(event, factor) {
    const [column, row] = this.at(event);
    this.zoom = Math.min(16, Math.max(1, this.zoom * factor));
    if (this.zoom === 1) this.shift = [0, 0];
    else {
      const [c, r] = this.at(event), p = this.place();
      this.shift[0] += (c - column) * p.sx; this.shift[1] += (r - row) * p.sy;
    }
    this.draw();
  }

  zoomBy(factor) { // about the middle of what is shown
    const box = this.canvas.getBoundingClientRect();
    this.zoomAt({ clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }, factor);
  }

  move(right, down) { // by tenths of the canvas
    this.shift[0] -= right * this.canvas.width / 10; this.shift[1] -= down * this.canvas.height / 10;
  }

  show(scene) { this.scene = scene; this.draw(); }

  draw() {
    const start = performance.now(), { context, canvas, scene } = this;
    context.fillStyle = "#000"; context.fillRect(0, 0, canvas.width, canvas.height);
    if (!scene || !scene.slice) return;
    const { rows, columns } = scene.slice, p = this.place();
    context.imageSmoothingEnabled = p.sx < 6; context.imageSmoothingQuality = "high";
    this.ct(scene.slice);
    context.drawImage(this.picture, p.x, p.y, columns * p.sx, rows * p.sy);
    if (scene.map) this.over(scene.map, (image, map) => {
      for (let i = 0; i < map.length; i++) if (map[i] > 12) image[i] = (Math.min(150, map[i] * 0.65) << 24) | (40 << 16) | (120 << 8) | 230;
    }, p);
    if (scene.mask) this.area(scene.mask, COLOURS.mask, 58, p, []);
    if (scene.proposal) this.area(scene.proposal, COLOURS.proposal, 34, p, [7, 5]);
    if (scene.box) this.frame(scene.box, COLOURS.box, p);
    if (scene.drag) this.frame(scene.drag, "#f0e442", p);
    if (scene.drag && scene.handles) this.handles(scene.drag, p);
    if (scene.points) for (const [x, y, inside] of scene.points) this.point(x, y, inside, p);
    if (scene.polygon && scene.polygon.length) this.polygon(scene.polygon, p);
    if (scene.cursor) this.brush(scene.cursor, p);
    this.times.push(performance.now() - start);
    if (this.times.length > 300) this.times.shift();
  }

  ct({ rows, columns, hu }) {
    const { level, width } = this.window, key = `${level},${width}`;
    if (this.shown === hu && this.shownKey === key) return;
    this.shown = hu; this.shownKey = key;
    this.picture.width = columns; this.picture.height = rows;
    const context = this.picture.getContext("2d"), image = context.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer), low = level - width / 2, scale = 255 / width;
    for (let i = 0; i < hu.length; i++) {
      const grey = Math.max(0, Math.min(255, (hu[i] - low) * scale)) | 0;
      pixels[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    context.putImageData(image, 0, 0);
  }

  over(values, paint, p) {
    const { rows, columns } = this.scene.slice, layer = this.layer;
    layer.width = columns; layer.height = rows;
    const context = layer.getContext("2d"), image = context.createImageData(columns, rows);
    paint(new Uint32Array(image.data.buffer), values);
    context.putImageData(image, 0, 0);
    this.context.drawImage(layer, p.x, p.y, columns * p.sx, rows * p.sy);
  }

  area(mask, [r, g, b], alpha, p, dash) {
    const { rows, columns } = this.scene.slice, fill = (alpha << 24) | (b << 16) | (g << 8) | r;
    this.over(mask, (image, values) => { for (let i = 0; i < values.length; i++) if (values[i]) image[i] = fill; }, p);
    const { context } = this, path = new Path2D();
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
      const i = y * columns + x;
      if (!mask[i]) continue;
      const [left, top, right, bottom] = [p.x + x * p.sx, p.y + y * p.sy, p.x + (x + 1) * p.sx, p.y + (y + 1) * p.sy];
      if (x === 0 || !mask[i - 1]) { path.moveTo(left, top); path.lineTo(left, bottom); }
      if (x === columns - 1 || !mask[i + 1]) { path.moveTo(right, top); path.lineTo(right, bottom); }
      if (y === 0 || !mask[i - columns]) { path.moveTo(left, top); path.lineTo(right, top); }
      if (y === rows - 1 || !mask[i + columns]) { path.moveTo(left, bottom); path.lineTo(right, bottom); }
    }
    context.strokeStyle = `rgb(${r} ${g} ${b})`; context.lineWidth = 1.5;
    if (dash.length) { context.globalAlpha = 0.95; context.lineWidth = 2; }
    context.stroke(path); context.globalAlpha = 1;
  }

  frame([x1, y1, x2, y2], colour, p) {
    const { context } = this;
    context.strokeStyle = colour; context.lineWidth = 2; context.setLineDash([8, 5]);
    context.strokeRect(p.x + x1 * p.sx, p.y + y1 * p.sy, (x2 - x1) * p.sx, (y2 - y1) * p.sy);
    context.setLineDash([]);
  }

  handles(box, p) {
    this.context.fillStyle = "#f0e442";
    for (const handle of HANDLES) {
      const [x, y] = placeOf(box, handle);
      this.context.fillRect(p.x + x * p.sx - 4, p.y + y * p.sy - 4, 8, 8);
    }
  }

  point(x, y, inside, p) {
    const { context } = this, [cx, cy] = [p.x + (x + 0.5) * p.sx, p.y + (y + 0.5) * p.sy];
    context.strokeStyle = "#f0e442"; context.lineWidth = 2; context.beginPath();
    context.arc(cx, cy, 7, 0, 7); context.moveTo(cx - 4, cy); context.lineTo(cx + 4, cy);
    if (inside) { context.moveTo(cx, cy - 4); context.lineTo(cx, cy + 4); }
    context.stroke();
  }

  polygon(points, p) {
    const { context } = this;
    context.strokeStyle = "#f0e442"; context.lineWidth = 2; context.beginPath();
    for (const [x, y] of points) context.lineTo(p.x + x * p.sx, p.y + y * p.sy);
    context.stroke();
    context.fillStyle = "#f0e442";
    for (const [x, y] of points) context.fillRect(p.x + x * p.sx - 3, p.y + y * p.sy - 3, 6, 6);
  }

  brush({ x, y, size, erase }, p) {
    const { context } = this;
    context.strokeStyle = erase ? "#e69f00" : "#fff"; context.lineWidth = 1.5; context.setLineDash(erase ? [4, 3] : []);
    context.beginPath();
    context.ellipse(p.x + x * p.sx, p.y + y * p.sy, size * p.sx, size * p.sy / this.aspect, 0, 0, 7);
    context.stroke(); context.setLineDash([]);
  }
}
