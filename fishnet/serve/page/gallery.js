// Photos that the model was tested on, where its bundle brings some.

import { ask, askJson } from "./service.js";
import { percent, plainName, text } from "./words.js";

/** The gallery; hidden where there are no photos.
 *
 * @param chosen called with the file of a photo that somebody wants to ask about.
 */
export class Gallery {
  constructor(chosen) {
    Object.assign(this, { chosen, photos: [], files: new Map() });
    this.element = document.getElementById("gallery");
  }

  /** Where it cannot be reached, the page does without. */
  async load() {
    this.photos = await askJson("gallery").then((found) => found.photos, () => []);
    document.getElementById("tested").replaceChildren(...this.photos.map((photo) => this._item(photo)));
    this.element.hidden = !this.photos.length;
    this.show();
  }

  /** With requests of our own: an image element could not send the token. */
  async _file({ file }) {
    const blob = await (await ask(`gallery/${encodeURIComponent(file)}`)).blob();
    return new File([blob], file, { type: blob.type });
  }

  _item(photo) {
    const item = document.createElement("li");
    item.className = photo.true === photo.predicted ? "right" : "wrong";
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    const image = button.appendChild(new Image());
    button.addEventListener("click", () => this._use(photo, this.chosen));
    for (const kind of ["true", "answered", "credit small soft"]) {
      item.appendChild(document.createElement("p")).className = kind;
    }
    this._whenSeen(item, () => this._use(photo, (file) => { image.src = URL.createObjectURL(file); }));
    return item;
  }

  async _use(photo, action) {
    const file = await this._loaded(photo);
    if (file) action(file);
  }

  /** The photo's file, asked for once; null where it does not come. */
  _loaded(photo) {
    const { file } = photo;
    if (!this.files.has(file)) this.files.set(file, this._file(photo));
    return this.files.get(file).catch(() => {
      this.files.delete(file);
      return null;
    });
  }

  _whenSeen(item, load) {
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      load();
    }, { rootMargin: "300px" });
    watcher.observe(item);
  }

  show() {
    [...document.getElementById("tested").children].forEach((item, place) => showItem(item, this.photos[place]));
  }
}

function showItem(item, photo) {
  const values = { name: plainName(photo.predicted), percent: percent(photo.probability) };
  const credit = [photo.attribution, photo.licence].filter(Boolean).join(" · ");
  item.querySelector("img").alt = text("galleryTry", { name: plainName(photo.true) });
  item.querySelector(".true").textContent = plainName(photo.true);
  item.querySelector(".answered").textContent = text(photo.true === photo.predicted ? "galleryRight" : "galleryWrong", values);
  item.querySelector(".credit").textContent = credit;
}
