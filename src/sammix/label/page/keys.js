// Which key does what. The help lists the same table.

export const KEYS = [
  ["y", "yes", "Yes, it shows the organ; go on"],
  ["n", "no", "No; go on"],
  ["u", "open", "Unsure: leave it open; go on"],
  ["f", "first", "First (lowest) slice of the organ"],
  ["l", "last", "Last (highest) slice of the organ"],
  ["ArrowUp", "up", "Next slice up"],
  ["ArrowDown", "down", "Next slice down"],
  ["PageUp", "up10", "Ten slices up"],
  ["PageDown", "down10", "Ten slices down"],
  ["End", "bottom", "Lowest slice"],
  ["Home", "top", "Highest slice"],
  ["ArrowRight", "next", "Next scan in the list"],
  ["ArrowLeft", "previous", "Previous scan in the list"],
  ["w", "helpful", "The slice that helps most"],
  ["d", "brush", "Brush (hold Shift to erase)"],
  ["e", "eraser", "Eraser"],
  ["p", "polygon", "Polygon (Enter or double click closes it)"],
  ["g", "fill", "Fill what is enclosed"],
  ["[", "smaller", "Smaller brush"],
  ["]", "larger", "Larger brush"],
  ["i", "interpolate", "Interpolate between two drawings"],
  ["Delete", "clear", "Take this slice's drawing back"],
  ["s", "box", "SAM: drag a box"],
  ["c", "click", "SAM: click (Shift-click: not here)"],
  ["a", "auto", "The model's own proposal, on and off"],
  ["Enter", "accept", "Accept the proposal, or close the polygon"],
  ["Escape", "dismiss", "Dismiss it, or put the tool down"],
  ["v", "show-mask", "Mask on and off"],
  ["m", "show-map", "Activation map on and off"],
  ["b", "show-box", "The model's box on and off"],
  ["1", "window-0", "Window: abdomen"],
  ["2", "window-1", "Window: liver"],
  ["3", "window-2", "Window: lung"],
  ["4", "window-3", "Window: bone"],
  ["+", "closer", "Zoom in (Ctrl + wheel, too)"],
  ["-", "farther", "Zoom out"],
  ["Shift+ArrowUp", "move-up", "Zoomed in: move up (⇧ with ↓ ← → likewise)"],
  ["0", "whole", "The whole slice again"],
  ["t", "learn", "Learn now"],
  ["Ctrl+z", "undo", "Undo"],
  ["Ctrl+Shift+z", "redo", "Redo (Ctrl+Y too)"],
  ["?", "help", "This table"],
];

const NAMES = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", Enter: "↵", Delete: "Del", PageUp: "Page ↑", PageDown: "Page ↓" };

export function listen(act) {
  const of = new Map(KEYS.map(([key, action]) => [key, action]));
  for (const side of ["Down", "Left", "Right"]) of.set(`Shift+Arrow${side}`, `move-${side.toLowerCase()}`);
  of.set("Ctrl+y", "redo"); of.set("Backspace", "clear");
  window.addEventListener("keydown", event => {
    const typing = event.target.matches?.("input:not([type=range], [type=checkbox]), select, textarea") || document.querySelector("dialog[open]");
    if (typing || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shifted = event.shiftKey && (control || name.startsWith("Arrow"));
    const action = of.get(`${control ? "Ctrl+" : ""}${shifted ? "Shift+" : ""}${name}`);
    if (!action) return;
    if (event.key === "Enter" && event.target.matches("button")) return; // a button that has the focus is meant
    event.preventDefault();
    if (event.repeat && !/^(up|down|smaller|larger|next|previous|undo|redo|closer|farther|move)/.test(action)) return;
    act(action, event);
  });
}

export function fillHelp(table) {
  for (const [key, , what] of KEYS) {
    const row = table.insertRow(), cell = row.insertCell(), kbd = document.createElement("kbd");
    kbd.textContent = NAMES[key] ?? key.toUpperCase().replace("CTRL+", "Ctrl ").replace("SHIFT+", "⇧ ").replace("ARROWUP", "↑");
    cell.append(kbd);
    row.insertCell().textContent = what;
  }
}
