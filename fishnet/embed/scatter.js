// Points on a canvas: hover and click show a photo, the wheel zooms, dragging moves, a list chooses classes.
const find = selector => element.querySelector(selector);
const canvas = find("canvas"), context = canvas.getContext("2d");
const tip = find(".tip"), panel = find(".chosen"), list = find(".classes");
const count = data.labels.length, perSheet = data.columns * data.columns;
const seen = data.names.map(() => true), wrong = new Set(data.suspects);
let places, alone = -1, chosen = -1, hovered = -1, suspect = -1, asked = false;
let scale = 1, left = 0, top_ = 0, unit = 1; // canvas pixels = place * unit + offset

// ---- photos: sheets are decoded when they are first looked at

const sheets = [];
function withSheet(photo, draw) {
  const number = Math.floor(photo / perSheet);
  if (!sheets[number]) { sheets[number] = new Image(); sheets[number].src = data.sheets[number]; }
  const image = sheets[number];
  if (image.complete && image.naturalWidth) draw(image);
  else image.addEventListener("load", () => draw(image), { once: true });
}
function thumbnail(photo, side) {
  const picture = document.createElement("canvas");
  picture.width = picture.height = data.side;
  picture.style.width = picture.style.height = side + "px";
  const within = photo % perSheet, row = Math.floor(within / data.columns), column = within % data.columns;
  withSheet(photo, image => picture.getContext("2d").drawImage(
    image, column * data.side, row * data.side, data.side, data.side, 0, 0, data.side, data.side));
  return picture;
}
function words(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

// ---- where points are

const shown = n => seen[data.labels[n]];
const side = () => Math.min(canvas.clientWidth, canvas.clientHeight) - 40;
const x = n => places[2 * n] * unit + left;
const y = n => places[2 * n + 1] * unit + top_;
function whole() {
  scale = 1;
  left = (canvas.clientWidth - side()) / 2;
  top_ = (canvas.clientHeight - side()) / 2;
  redraw();
}
function zoom(factor, atX, atY) {
  const next = Math.min(200, Math.max(0.5, scale * factor)), by = next / scale;
  left = atX - (atX - left) * by;
  top_ = atY - (atY - top_) * by;
  scale = next;
  redraw();
}
let cells = new Map();
const cellOf = (u, v) => Math.floor(u / 100) * 1000 + Math.floor(v / 100);
function sortIntoCells() {
  cells = new Map();
  for (let n = 0; n < count; n++) {
    if (!shown(n)) continue;
    const key = cellOf(places[2 * n], places[2 * n + 1]);
    if (cells.has(key)) cells.get(key).push(n); else cells.set(key, [n]);
  }
}
function nearestTo(atX, atY, within = 14) {
  const reach = within / unit, u = (atX - left) / unit, v = (atY - top_) / unit;
  let best = -1, distance = reach * reach;
  for (let i = Math.floor((u - reach) / 100); i <= Math.floor((u + reach) / 100); i++)
    for (let j = Math.floor((v - reach) / 100); j <= Math.floor((v + reach) / 100); j++)
      for (const n of cells.get(i * 1000 + j) || []) {
        const d = (places[2 * n] - u) ** 2 + (places[2 * n + 1] - v) ** 2;
        if (d < distance) { best = n; distance = d; }
      }
  return best;
}

// ---- drawing: dots are written into pixels, which is several times as fast as shapes where no graphics card helps

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function inks(colours) { // as ImageData holds them, without their opacity
  return colours.map(colour => {
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
    return blue << 16 | green << 8 | red;
  });
}
function disc(radius) { // pixels of a dot around its middle, each with how much of it is covered
  const pixels = [], reach = Math.ceil(radius + 0.5);
  for (let row = -reach; row <= reach; row++)
    for (let column = -reach; column <= reach; column++) {
      const covered = Math.min(1, radius + 0.5 - Math.hypot(row, column));
      if (covered > 0.05) pixels.push([row, column, Math.round(255 * covered)]);
    }
  return pixels;
}
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}
function draw() {
  unit = side() * scale / 10000;
  const ratio = window.devicePixelRatio || 1, style = getComputedStyle(element);
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const radius = Math.max(1.6, Math.min(6, 90 / Math.sqrt(count) * Math.sqrt(scale)));
  const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  const dot = disc(radius * ratio), reach = Math.ceil(radius * ratio) + 1;
  const [grey, ...colours] = inks([style.getPropertyValue("--line").trim(), ...data.colours]);
  const only = find(".colour").value === "suspects";
  for (const pass of [0, 1]) // what is picked out lies on top
    for (let n = 0; n < count; n++) {
      if (!shown(n)) continue;
      const bright = only ? wrong.has(n) : alone < 0 || data.labels[n] === alone;
      if (bright !== (pass === 1)) continue;
      const px = Math.round(x(n) * ratio), py = Math.round(y(n) * ratio);
      if (px < reach || py < reach || px >= width - reach || py >= height - reach) continue;
      const ink = bright ? colours[data.labels[n]] : grey;
      for (const [row, column, opacity] of dot) {
        const at = (py + row) * width + px + column;
        if (opacity > 127 || !pixels[at]) pixels[at] = (opacity << 24 | ink) >>> 0;
      }
    }
  context.putImageData(image, 0, 0);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.strokeStyle = style.getPropertyValue("--ink").trim();
  context.lineWidth = 2;
  for (const n of [chosen, hovered]) if (n >= 0) {
    context.beginPath();
    context.arc(x(n), y(n), radius + 3, 0, 7);
    context.stroke();
  }
}

// ---- what is told of a photo

function describe(n) {
  panel.replaceChildren(thumbnail(n, 192), words("p", data.names[data.labels[n]], "name"), words("p", data.paths[n], "path"));
  if (data.claims[n] >= 0)
    panel.append(words("p", `lies among ${data.names[data.claims[n]]}: is its label right?`, "doubt"));
  const near = data.neighbours[n];
  if (!near.length) return;
  panel.append(words("p", "nearest photos of other groups", "soft"));
  const row = document.createElement("div");
  row.className = "near";
  for (const other of near) {
    const button = document.createElement("button");
    button.append(thumbnail(other, 64), words("span", data.names[data.labels[other]]));
    button.title = data.paths[other];
    button.addEventListener("click", () => choose(other));
    row.append(button);
  }
  panel.append(row);
}
function choose(n) { chosen = n; if (n >= 0) describe(n); redraw(); }
function hover(n, atX, atY) {
  if (n !== hovered) {
    hovered = n;
    if (n >= 0) tip.replaceChildren(thumbnail(n, 128), words("span", data.names[data.labels[n]]));
    canvas.style.cursor = n >= 0 ? "pointer" : "grab";
    redraw();
  }
  tip.hidden = n < 0;
  if (n < 0) return;
  tip.style.left = Math.max(0, Math.min(canvas.clientWidth - 140, atX + 16)) + "px";
  tip.style.top = Math.max(0, Math.min(canvas.clientHeight - 170, atY + 16)) + "px";
}

// ---- hands: pointers, wheel, keys

const pointers = new Map();
let moved = 0;
const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener("pointerdown", event => { pointers.set(event.pointerId, at(event)); moved = 0; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointermove", event => {
  const now = at(event), before = pointers.get(event.pointerId);
  if (!before) { hover(nearestTo(...now), ...now); return; }
  hover(-1);
  const other = [...pointers.entries()].find(([id]) => id !== event.pointerId);
  if (other) {
    const span = point => Math.hypot(point[0] - other[1][0], point[1] - other[1][1]) || 1;
    zoom(span(now) / span(before), (now[0] + other[1][0]) / 2, (now[1] + other[1][1]) / 2);
  } else { left += now[0] - before[0]; top_ += now[1] - before[1]; redraw(); }
  moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
  pointers.set(event.pointerId, now);
});
function lift(event) {
  if (pointers.delete(event.pointerId) && moved < 5 && event.type === "pointerup") choose(nearestTo(...at(event)));
}
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("wheel", event => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), ...at(event)); }, { passive: false });
const middle = factor => zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
const keys = {
  "+": () => middle(1.4), "=": () => middle(1.4), "-": () => middle(1 / 1.4), "0": whole,
  ArrowLeft: () => { left += 40; redraw(); }, ArrowRight: () => { left -= 40; redraw(); },
  ArrowUp: () => { top_ += 40; redraw(); }, ArrowDown: () => { top_ -= 40; redraw(); },
};
canvas.addEventListener("keydown", event => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
find(".in").addEventListener("click", keys["+"]);
find(".out").addEventListener("click", keys["-"]);
find(".all").addEventListener("click", whole);
find(".colour").addEventListener("change", redraw);
find(".next").addEventListener("click", () => {
  suspect = (suspect + 1) % data.suspects.length;
  const n = data.suspects[suspect];
  seen[data.labels[n]] = true;
  boxes[data.labels[n]].checked = true;
  sortIntoCells();
  left += canvas.clientWidth / 2 - x(n);
  top_ += canvas.clientHeight / 2 - y(n);
  choose(n);
});
find(".next").hidden = !(data.suspects.length);

// ---- which classes, which method

const boxes = data.names.map((name, label) => {
  const item = document.createElement("li"), box = document.createElement("input"), button = words("button", name);
  const text = document.createElement("label");
  box.type = "checkbox";
  box.checked = true;
  box.setAttribute("aria-label", `show ${name}`);
  box.addEventListener("change", () => { seen[label] = box.checked; sortIntoCells(); redraw(); });
  text.append(box);
  const swatch = words("span", "", "swatch");
  swatch.style.background = data.colours[label];
  button.setAttribute("aria-pressed", "false");
  button.title = "this class against the rest";
  button.addEventListener("click", () => {
    alone = alone === label ? -1 : label;
    for (const other of list.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button && alone >= 0));
    redraw();
  });
  item.append(text, swatch, button, words("span", String(data.labels.filter(other => other === label).length), "soft"));
  list.append(item);
  return box;
});
function showAll(value) {
  boxes.forEach((box, label) => { box.checked = seen[label] = value; });
  sortIntoCells();
  redraw();
}
find(".every").addEventListener("click", () => showAll(true));
find(".none").addEventListener("click", () => showAll(false));
const method = find(".method");
for (const [name, title] of Object.entries(data.titles)) {
  const option = words("option", title);
  option.value = name;
  method.append(option);
}
method.value = Object.keys(data.titles).at(-1);
function lay() { places = data.places[method.value]; sortIntoCells(); whole(); }
method.addEventListener("change", lay);
new ResizeObserver(redraw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
lay();
element.dataset.ready = "yes";
