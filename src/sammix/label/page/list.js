// The scans at the left, what helps most first, with how far each is.

export class List {
  constructor(element, open) { this.element = element; this.open = open; this.items = new Map(); this.order = []; }

  fill(stacks) {
    this.stacks = stacks; this.order = stacks.map((_, n) => n);
    this.element.textContent = "";
    stacks.forEach((stack, n) => {
      const item = document.createElement("li");
      item.setAttribute("role", "option");
      item.innerHTML = '<div class="name"><b></b><span></span></div><div class="why"></div><div class="bar"></div>';
      item.querySelector("b").textContent = stack.name; item.title = stack.name;
      item.addEventListener("click", () => this.open(n));
      this.items.set(n, item); this.element.append(item);
    });
  }

  // progress: of each stack {count, yes, no, open, drawn}, as far as it is known; order: [{stack, slice, why}]
  // The list moves only when asked to: nothing is to slip away under the pointer.
  update(progress, order, move = false) {
    for (const [n, item] of this.items) {
      const p = progress[n];
      if (!p) continue;
      const known = p.yes + p.no + p.open;
      item.querySelector("span").textContent = p.count ? (p.drawn ? `✎${p.drawn}  ` : "") + `${known}/${p.count}` : "";
      const parts = ["yes", "no", "open"].map(kind => {
        const part = document.createElement("i");
        part.className = kind; part.style.width = `${100 * p[kind] / Math.max(1, p.count)}%`;
        return part;
      });
      item.querySelector(".bar").replaceChildren(...parts);
    }
    if (!order) return;
    const why = new Map(order.map(one => [one.stack, one.why]));
    for (const [n, item] of this.items) item.querySelector(".why").textContent = why.get(n) ?? "";
    if (!move) return;
    this.order = [...order.map(one => one.stack), ...[...this.items.keys()].filter(n => !order.some(one => one.stack === n))];
    const now = [...this.element.children];
    if (this.order.some((n, place) => now[place] !== this.items.get(n))) this.element.append(...this.order.map(n => this.items.get(n)));
  }

  select(n) {
    for (const [m, item] of this.items) item.setAttribute("aria-selected", String(m === n));
    this.items.get(n)?.scrollIntoView({ block: "nearest" });
  }

  beside(n, step) { const place = this.order.indexOf(n) + step; return this.order[place]; }
}
