// Which photo is asked about when: a request for each card, two at a time, and maps that are wanted later.

import { Refusal, predict } from "./service.js";
import { megabytes, seconds, text } from "./words.js";

const AT_ONCE = 2; // requests
const MOST_CLASSES = 1000; // in an answer
const FEW = 6; // classes whose maps are all asked for with the answer; of more, once somebody looks

/** Asks for cards in their order.
 *
 * `facts`, what /classes answered, has to be there before `resume`; nothing is asked earlier.
 *
 * @param possible names of the classes that there may be.
 * @param changed called with a card whose state has changed.
 * @param refused called where the service wants a token; nothing is asked until `resume`.
 */
export class Queue {
  constructor(possible, { changed, refused }) {
    Object.assign(this, { facts: null, possible, changed, refused, waiting: [], running: 0, paused: true });
  }

  resume() {
    this.paused = false;
    this._work();
  }

  /** Ask about a card, anew if it has been asked about. */
  add(card) {
    this.drop(card);
    card.stop = new AbortController();
    this._enqueue(card, (signal) => this._answer(card, signal));
    this._say(card, "waiting");
  }

  /** Ask for a class's map, and with it for those of the other classes that the card shows. */
  addMap(card, name) {
    if (card.mapsAsked.has(name)) return;
    const others = card.shownClasses.filter((each) => each !== name && !card.mapsAsked.has(each));
    const names = [name, ...others].slice(0, this.facts.most_maps);
    for (const each of names) card.mapsAsked.add(each);
    this._enqueue(card, (signal) => this._map(card, names, signal), "map");
  }

  /** Whatever is asked for a card does not matter any more. */
  drop(card) {
    card.stop?.abort();
    card.mapsAsked = new Set(Object.keys(card.maps));
    this.waiting = this.waiting.filter((task) => task.card !== card);
  }

  /** A map, which somebody waits for, goes before photos. */
  _enqueue(card, run, kind = "answer") {
    const task = { card, kind, run: () => run(card.stop.signal) };
    if (kind === "map") this.waiting.unshift(task);
    else this.waiting.push(task);
    this._work();
  }

  async _work() {
    if (this.paused || this.running >= AT_ONCE || !this.waiting.length) return;
    const task = this.waiting.shift();
    this.running++;
    this._work();
    try {
      await task.run();
    } catch (error) {
      if (error.name !== "AbortError") this._fail(task, error);
    } finally {
      this.running--;
      this._work();
    }
  }

  async _answer(card, signal) {
    const tooLarge = card.files.some((file) => file.size > this.facts.photo_bytes);
    if (tooLarge) return this._say(card, "failed", () => text("tooLarge", { size: megabytes(this.facts.photo_bytes) }));
    this._say(card, "asking");
    const maps = this._firstMaps(card);
    const query = { top: Math.min(MOST_CLASSES, this.facts.classes.length), together: card.combined, heatmap: maps };
    const full = (wait) => this._say(card, "full", () => text("full", { seconds: seconds(wait) }));
    const answer = await predict(card.files, { ...query, ...this._limited() }, signal, full);
    if (signal.aborted) return;
    card.take(answer);
    this._say(card, "answered");
  }

  _firstMaps(card) {
    const names = this.facts.classes.map((each) => each.name).filter((name) => !(name in card.maps));
    const wanted = this.facts.heatmaps && !card.combined && names.length <= Math.min(FEW, this.facts.most_maps);
    return wanted ? names : [];
  }

  async _map(card, names, signal) {
    const answer = await predict(card.files, { top: 1, heatmap: names }, signal, () => {});
    if (signal.aborted) return;
    card.takeMaps(answer.photos[0].heatmaps);
    this.changed(card);
  }

  _limited() {
    return this.possible.size < this.facts.classes.length ? { classes: [...this.possible] } : {};
  }

  _fail(task, error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) {
      this.waiting.unshift(task);
      this.paused = true;
      this.refused();
      return;
    }
    const { card, kind } = task;
    const words = () => text(error.full ? "busy" : error.status ? "refused" : "offline", { reason: error.message });
    card.mapsAsked = new Set(Object.keys(card.maps));
    if (kind === "answer") return this._say(card, "failed", words);
    card.mapProblem = words;
    this.changed(card);
  }

  /** @param words function of the state's sentence, which the language may change; the step's own text without it. */
  _say(card, step, words = null) {
    Object.assign(card, { step, words: words ?? (() => text(step)) });
    this.changed(card);
  }
}
