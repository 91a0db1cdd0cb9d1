// The list of classes that there may be: the answers come from the ticked ones alone.

import { plainName, text } from "./words.js";

const MANY = 12; // classes from which on a search field helps
const FEWEST = 2;
const PAUSE = 700; // milliseconds until somebody has ticked enough to ask again

/** Ticks of the classes.
 *
 * @param names of the classes.
 * @param possible the ticked ones, changed here; never fewer than two of them.
 * @param changed called when the answers have to be asked for again.
 */
export class Limits {
  constructor(names, possible, changed) {
    Object.assign(this, { names, possible, changed, ticked: new Set(possible), timer: 0 });
    this.element = document.getElementById("limits");
    this.search = document.getElementById("search");
    this.element.hidden = false;
    document.getElementById("search-row").hidden = names.length <= MANY;
    this.search.addEventListener("input", () => this._filter());
    document.getElementById("tick-all").addEventListener("click", () => this._tickShown(true));
    document.getElementById("tick-none").addEventListener("click", () => this._tickShown(false));
    this._build();
    this.show();
  }

  _build() {
    const items = this.names.map((name) => {
      const item = document.createElement("li");
      const label = item.appendChild(document.createElement("label"));
      label.className = "tick";
      const box = label.appendChild(document.createElement("input"));
      Object.assign(box, { type: "checkbox", checked: true, value: name });
      box.addEventListener("change", () => this._tick([name], box.checked));
      label.appendChild(document.createElement("span")).textContent = plainName(name);
      return item;
    });
    document.getElementById("ticks").replaceChildren(...items);
  }

  get _items() {
    return [...document.getElementById("ticks").children];
  }

  _filter() {
    const wanted = this.search.value.trim().toLowerCase();
    for (const item of this._items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }

  /** All that the search field leaves. */
  _tickShown(on) {
    const boxes = this._items.filter((item) => !item.hidden).map((item) => item.querySelector("input"));
    for (const box of boxes) box.checked = on;
    this._tick(boxes.map((box) => box.value), on);
  }

  _tick(names, on) {
    for (const name of names) {
      if (on) this.ticked.add(name);
      else this.ticked.delete(name);
    }
    this.show();
    clearTimeout(this.timer);
    if (this.ticked.size >= FEWEST) this.timer = setTimeout(() => this._apply(), PAUSE);
  }

  _apply() {
    const same = this.ticked.size === this.possible.size && [...this.ticked].every((name) => this.possible.has(name));
    if (same) return;
    this.possible.clear();
    for (const name of this.ticked) this.possible.add(name);
    this.changed();
  }

  show() {
    const values = { count: this.ticked.size, total: this.names.length };
    document.getElementById("limit-count").textContent = text("limitCount", values);
    document.getElementById("limit-problem").textContent = this.ticked.size < FEWEST ? text("limitFew") : "";
  }
}
