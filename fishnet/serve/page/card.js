// A card: one photo, or several of one animal, with the answer and its evidence.

import { drawHeat, heatPicture } from "./heat.js";
import { percent, plainName, problemText, text, translate } from "./words.js";

const TOP = 5; // classes that are shown at first
const AT_FIRST = 0.8; // strength of a map that is chosen while none is shown
const MOST_PICTURES = 4; // of one animal
const VISIBLE = ["outer", "ring", "corners", "colour"]; // kinds of shortcut that a heat-map can show
const KINDS = [...VISIBLE, "light", "grid", "sharp"];

let count = 0;

/** A card and its element.
 *
 * @param files of the photo, or of several that show one animal.
 * @param shortcuts the proven shortcut of a class by its name, or null.
 * @param calls what a person asks for: `again`, `remove` and `selected` of the card, `map` of the card and a class.
 */
export class Card {
  constructor(files, shortcuts, calls) {
    Object.assign(this, { files, shortcuts, calls, combined: files.length > 1 });
    Object.assign(this, { step: "waiting", words: () => "", result: null, maps: Object.create(null), mapsAsked: new Set() });
    Object.assign(this, { chosen: null, strength: 0, selected: false, expanded: false, mapProblem: null });
    this.addresses = files.map((file) => URL.createObjectURL(file));
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this._build();
  }

  get name() {
    return this.files.map((file) => file.name).join(" + ");
  }

  get shownClasses() {
    const names = (this.result?.classes ?? []).map((each) => each.name);
    return this.expanded ? names : names.slice(0, TOP);
  }

  /** The class whose evidence is shown. */
  get mapped() {
    const names = (this.result?.classes ?? []).map((each) => each.name);
    return names.includes(this.chosen) ? this.chosen : this.result?.predicted;
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  select(on) {
    this.selected = this.part(".select input").checked = on;
    this.calls.selected(this);
  }

  // ---- what the service answered

  take(answer) {
    this.result = this.combined ? combinedResult(answer) : answer.photos[0];
    if (!this.combined) this.takeMaps(answer.photos[0].heatmaps);
  }

  takeMaps(found) {
    for (const [name, rows] of Object.entries(found)) this.maps[name] = heatPicture(rows);
    this.mapProblem = null;
  }

  release() {
    for (const address of this.addresses) URL.revokeObjectURL(address);
    this.element.remove();
  }

  // ---- the element

  _build() {
    const number = ++count;
    const title = this.part("h3"), slider = this.part("input[type=range]");
    title.id = `card-${number}`;
    slider.id = `fade-${number}`;
    this.part(".fade label").htmlFor = slider.id;
    this.part(".map-state").id = `map-${number}`;
    slider.setAttribute("aria-describedby", `map-${number}`);
    this.element.setAttribute("aria-labelledby", title.id);
    this._showPictures();
    slider.addEventListener("input", () => this.fade(slider.value / 100));
    const box = this.part(".select input");
    box.addEventListener("change", () => this.select(box.checked));
    this.part(".again").addEventListener("click", () => this.calls.again(this));
    this.part(".remove").addEventListener("click", () => this.calls.remove(this));
    this.part(".more").addEventListener("click", () => {
      this.expanded = !this.expanded;
      this._showBars();
    });
    this.part(".select").hidden = this.combined;
  }

  _showPictures() {
    const images = this.addresses.slice(0, MOST_PICTURES).map((address) => {
      const image = new Image();
      image.addEventListener("error", () => this.element.classList.add("unseen-photo"));
      if (!this.combined) image.addEventListener("load", () => this._fit(image));
      image.decoding = "async";
      image.src = address;
      return image;
    });
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    this.canvas = this.combined ? null : canvas;
    this.element.classList.toggle("several", this.combined);
    this.part(".picture").append(...images, ...(this.combined ? [] : [canvas]));
  }

  /** The frame takes the photo's shape, so that the canvas lies exactly over the photo. */
  _fit({ naturalWidth, naturalHeight }) {
    this.part(".picture").style.setProperty("--shape", naturalWidth / naturalHeight);
  }

  /** Draw what has changed, and in whichever language is read. */
  show() {
    translate(this.element);
    this._showNames();
    this.element.dataset.step = this.step;
    this.element.setAttribute("aria-busy", String(["waiting", "asking", "full"].includes(this.step)));
    this.part(".progress").textContent = this.step === "answered" ? "" : this.words();
    this.part(".again").hidden = this.step !== "failed";
    this._showAnswer();
    this._showNotes();
    this._showBars();
    this._showMap();
  }

  _showNames() {
    const title = this.combined ? text("together", { count: this.files.length }) : this.name;
    this.title = title;
    this.part("h3").textContent = title;
    this.part(".select input").setAttribute("aria-label", text("selectOf", { name: title }));
    const remove = this.part(".remove");
    remove.textContent = text("remove");
    remove.setAttribute("aria-label", text("removeOf", { name: title }));
    this.part(".picture").dataset.missing = text("noPicture");
    this.element.querySelectorAll("img").forEach((image, place) => {
      image.alt = text("photoOf", { name: this.files[place].name });
    });
  }

  _showAnswer() {
    const { predicted, probability, sure } = this.result ?? {};
    this.part(".answer").hidden = !predicted;
    if (!predicted) return;
    this.part(".name").textContent = plainName(predicted);
    this.part(".share").textContent = percent(probability);
    this.part(".doubt").textContent = text(sure ? "sure" : "unsure");
    this.element.classList.toggle("unsure", !sure);
    this.element.classList.toggle("none", this.result.none_of_these === true);
  }

  _showNotes() {
    this.part(".notes").replaceChildren(...this._notes().map(([words, kind]) => {
      const note = document.createElement("p");
      note.className = `note ${kind}`;
      note.textContent = words;
      return note;
    }));
  }

  /** Sentences about the answer, and whether each is `plain`, a `warning` or `bad` news. */
  _notes() {
    const { result } = this;
    if (!result) return [];
    if (result.problem) return [[text("unreadable", { problem: problemText(result.problem) }), "bad"]];
    const notes = [];
    if (result.grey_rest) notes.push([text("cut", { share: percent(result.grey_rest) }), "warning"]);
    if (result.none_of_these) notes.push([text("none"), "warning"]);
    if (result.left) notes.push([text("togetherLeft", { count: result.left }), "warning"]);
    if (!result.sure && !result.none_of_these) notes.push([text("unsureNote"), "plain"]);
    if (result.seen === "train") notes.push([text("seen"), "warning"]);
    const shortcut = this.shortcuts(result.predicted);
    if (shortcut) notes.push([this._shortcutText(shortcut), "warning"]);
    return notes;
  }

  _shortcutText({ kind, reliance }) {
    const what = text(`kinds.${KINDS.includes(kind) ? kind : "other"}`);
    const sentences = [text("shortcut", { name: plainName(this.result.predicted), what })];
    const points = Math.floor(100 * reliance);
    if (points >= 1) sentences.push(text("shortcutAmount", { points: text("points", { count: points }) }));
    if (VISIBLE.includes(kind) && this.calls.hasMaps() && !this.combined) sentences.push(text("shortcutLook"));
    return sentences.join(" ");
  }

  // ---- classes

  _showBars() {
    const bars = this.part(".bars"), focused = bars.contains(document.activeElement) && document.activeElement.dataset.name;
    const classes = (this.result?.classes ?? []).slice(0, this.shownClasses.length);
    bars.setAttribute("aria-label", text("barsOf", { name: this.title }));
    bars.hidden = classes.length === 0;
    bars.replaceChildren(...classes.map((each) => this._bar(each)));
    if (focused) [...bars.querySelectorAll("button")].find((each) => each.dataset.name === focused)?.focus();
    this._showMore();
  }

  _showMore() {
    const beyond = (this.result?.classes.length ?? 0) - TOP;
    const more = this.part(".more");
    more.hidden = !(beyond > 0);
    more.setAttribute("aria-expanded", String(this.expanded));
    more.textContent = text(this.expanded ? "fewer" : "more", { count: beyond });
  }

  _bar({ name, probability }) {
    const item = document.createElement("li");
    const mapped = this.calls.hasMaps() && !this.combined;
    const words = item.appendChild(document.createElement(mapped ? "button" : "span"));
    words.className = "class";
    words.dataset.name = name;
    for (const [kind, content] of [["name", plainName(name)], ["share", percent(probability)]]) {
      const part = words.appendChild(document.createElement("span"));
      part.className = kind;
      part.textContent = content;
      words.append(" ");
    }
    if (mapped) {
      words.type = "button";
      words.setAttribute("aria-pressed", String(name === this.mapped));
      words.addEventListener("click", () => this._choose(name));
    }
    item.append(meter(name, probability));
    return item;
  }

  _choose(name) {
    this.chosen = name;
    for (const button of this.element.querySelectorAll(".bars button")) {
      button.setAttribute("aria-pressed", String(button.dataset.name === name));
    }
    this.fade(this.strength || AT_FIRST);
  }

  // ---- evidence

  /** Show the evidence so strongly, from 0 to 1; a map that did not come is asked for again. */
  fade(strength) {
    Object.assign(this, { strength, mapProblem: null });
    this._showMap();
  }

  _showMap() {
    const name = this.mapped, possible = this.canvas && name && this.result.view && this.calls.hasMaps();
    this.part(".fade").hidden = !possible;
    if (!possible) return;
    const slider = this.part("input[type=range]");
    slider.value = Math.round(100 * this.strength);
    slider.setAttribute("aria-valuetext", percent(this.strength));
    if (this.strength > 0 && !(name in this.maps) && !this.mapProblem) this.calls.map(this, name);
    this.part(".map-state").textContent = this._mapText(name);
    drawHeat(this.canvas, this.result, this.maps[name] ?? null, this.strength);
  }

  _mapText(name) {
    if (this.strength === 0) return text("mapHint");
    const values = { name: plainName(name) };
    if (name in this.maps) return text(this.maps[name] ? "mapOf" : "mapNone", values);
    return this.mapProblem ? this.mapProblem() : text("mapAsking", values);
  }
}

/** A bar for eyes, and a meter for screen readers. */
function meter(name, probability) {
  const bar = document.createElement("div");
  bar.className = "meter";
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", text("probabilityOf", { name: plainName(name) }));
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  bar.setAttribute("aria-valuenow", (100 * probability).toFixed(1));
  bar.setAttribute("aria-valuetext", percent(probability));
  bar.appendChild(document.createElement("span")).style.width = `${100 * probability}%`;
  return bar;
}

/** One animal's answer in the shape of a photo's. */
function combinedResult({ photos, together }) {
  const sha256 = photos.map((photo) => photo.sha256).join(" ");
  const unread = photos.filter((photo) => photo.problem);
  if (!together) return { sha256, problem: unread[0].problem, classes: [] };
  const seen = photos.some((photo) => photo.seen === "train") ? "train" : "";
  const cut = Math.max(...photos.map((photo) => photo.grey_rest));
  return { ...together, sha256, seen, grey_rest: cut, problem: "", left: unread.length };
}
