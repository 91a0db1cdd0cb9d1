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

  async load() {
    this.photos = (await askJson("gallery")).photos;
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
    button.addEventListener("click", async () => this.chosen(await this._loaded(photo)));
    for (const kind of ["true", "answered", "credit small soft"]) {
      item.appendChild(document.createElement("p")).className = kind;
    }
    this._whenSeen(item, async () => { image.src = URL.createObjectURL(await this._loaded(photo)); });
    return item;
  }

  _loaded(photo) {
    if (!this.files.has(photo.file)) this.files.set(photo.file, this._file(photo));
    return this.files.get(photo.file);
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
