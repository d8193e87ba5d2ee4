// Masks are changed here: bytes, a pixel each, 0 or 1, row by row.

// A stroke from one point to another with a round brush. `flat`: a row's height in columns' widths.
export function stroke(mask, rows, columns, [x0, y0], [x1, y1], size, value, flat = 1) {
  const tall = size / flat, steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / Math.max(0.5, size / 3)));
  for (let s = 0; s <= steps; s++) {
    const x = x0 + (x1 - x0) * s / steps, y = y0 + (y1 - y0) * s / steps;
    for (let row = Math.max(0, Math.floor(y - tall)); row <= Math.min(rows - 1, Math.ceil(y + tall)); row++) {
      const off = (row + 0.5 - y) / tall;
      if (Math.abs(off) > 1) continue;
      const half = size * Math.sqrt(1 - off * off);
      const from = Math.max(0, Math.ceil(x - half - 0.5)), to = Math.min(columns - 1, Math.floor(x + half - 0.5));
      if (to >= from) mask.fill(value, row * columns + from, row * columns + to + 1);
    }
  }
}

export function polygon(mask, rows, columns, points, value) {
  const canvas = new OffscreenCanvas(columns, rows), context = canvas.getContext("2d");
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.fill("evenodd");
  const alpha = context.getImageData(0, 0, columns, rows).data;
  for (let i = 0; i < mask.length; i++) if (alpha[4 * i + 3] > 127) mask[i] = value;
}

// Fill what is enclosed around a point. False where it is not enclosed: it would run out of the picture.
export function flood(mask, rows, columns, [x, y], value) {
  const column = Math.floor(x), row = Math.floor(y);
  if (column < 0 || row < 0 || column >= columns || row >= rows) return false;
  const from = mask[row * columns + column];
  if (from === value) return true;
  const seen = new Uint8Array(mask.length), waiting = [row * columns + column];
  seen[waiting[0]] = 1;
  let open = false;
  for (let i; (i = waiting.pop()) !== undefined;) {
    const c = i % columns, r = (i - c) / columns;
    if (c === 0 || r === 0 || c === columns - 1 || r === rows - 1) open = true;
    for (const [j, inside] of [[i - 1, c > 0], [i + 1, c < columns - 1], [i - columns, r > 0], [i + columns, r < rows - 1]]) {
      if (inside && !seen[j] && mask[j] === from) { seen[j] = 1; waiting.push(j); }
    }
  }
  if (open && value) return false;
  for (let i = 0; i < mask.length; i++) if (seen[i]) mask[i] = value;
  return true;
}
