// A box that prompts SAM: dragged anew from a corner, or changed by its handles. Numbers are px of the slice.

const PARTS = [0, 0.5, 1];
export const HANDLES = PARTS.flatMap(y => PARTS.map(x => [x, y])).filter(([x, y]) => x !== 0.5 || y !== 0.5);

export const placeOf = ([x1, y1, x2, y2], [hx, hy]) => [x1 + (x2 - x1) * hx, y1 + (y2 - y1) * hy];

// The handle within reach of a point, as shares of the box's sides; null where there is none.
export function handleAt(box, [x, y], [reachX, reachY]) {
  return HANDLES.find(handle => {
    const [hx, hy] = placeOf(box, handle);
    return Math.abs(x - hx) <= reachX && Math.abs(y - hy) <= reachY;
  }) ?? null;
}

// The box once a handle lies at a point; it may be dragged across the other side.
export function changed([x1, y1, x2, y2], [hx, hy], [x, y]) {
  const [left, right] = hx === 0 ? [x, x2] : hx === 1 ? [x1, x] : [x1, x2];
  const [top, bottom] = hy === 0 ? [y, y2] : hy === 1 ? [y1, y] : [y1, y2];
  return [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)];
}
