"use strict";

const AT_ONCE = 2; // requests
const TRIES = 6; // of a request that finds the service full
const TOP = 5; // classes in a card
const FEW = 24; // classes whose maps are all asked for with the answer
const STRENGTH = 0.75; // how far the hottest place hides the photo
const NOBODY = { classes: [], heatmaps: false, most_photos: 1 };

const state = {
  language: "en", token: "", service: NOBODY, possible: new Set(), cards: [], running: 0,
};

const at = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- words

/** A text in the reader's language, with the values in its braces filled in. */
function text(key, values = {}) {
  const words = key.split(".").reduce((part, name) => part?.[name], TEXTS[state.language]) ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A probability in words: nothing is certain, and nothing impossible. */
function percent(share) {
  const shown = (value, digits) =>
    new Intl.NumberFormat(state.language, { style: "percent", maximumFractionDigits: digits }).format(value);
  if (share > 0.999) return text("above", { percent: shown(0.999, 1) });
  if (share < 0.001) return text("below", { percent: shown(0.001, 1) });
  return shown(share, share > 0.99 || share < 0.01 ? 1 : 0);
}

const plainName = (name) => name.replaceAll("_", " ");

/** Fill every element that names a text, and draw the cards anew. */
function setLanguage(language) {
  state.language = language;
  document.documentElement.lang = language;
  translate(document);
  for (const button of all("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === language);
  showModel();
  showTicks();
  for (const card of state.cards) showCard(card);
  showGallery();
  showState();
}

function translate(within) {
  for (const element of all("[data-text]", within)) element.textContent = text(element.dataset.text);
  for (const element of all("[data-label]", within)) element.setAttribute("aria-label", text(element.dataset.label));
}

// ---- the service

/** An answer as JSON; a refusal is thrown with its status and reason. */
async function ask(path, options = {}) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw { status: 0, reason: "" };
  }
  if (answer.ok) return answer.json();
  const reason = await answer.json().then((body) => body.detail, () => answer.statusText);
  throw { status: answer.status, reason, after: Number(answer.headers.get("Retry-After")) || 1 };
}

/** The same, and again where the service is full for now; `full` is called with the seconds until then. */
async function askPatiently(path, options, full) {
  for (let turn = 1; ; turn++) {
    try {
      return await ask(path, options());
    } catch (refusal) {
      if (![429, 503].includes(refusal.status) || turn === TRIES) throw refusal;
      const seconds = refusal.after * turn;
      full(seconds);
      await new Promise((go) => setTimeout(go, 1000 * seconds));
    }
  }
}

function query(values) {
  const limited = state.possible.size < state.service.classes.length ? [...state.possible] : [];
  const pairs = [...Object.entries(values), ...limited.map((name) => ["classes", name])];
  return `predict?${new URLSearchParams(pairs.flatMap(([key, value]) => [value].flat().map((each) => [key, each])))}`;
}

function formOf(files) {
  const form = new FormData();
  for (const file of files) form.append("photos", file, file.name);
  return { method: "POST", body: form };
}

async function start() {
  try {
    state.service = await ask("classes");
  } catch (refusal) {
    if (refusal.status !== 401) return tell(text("unreachable"));
    at("#token").hidden = false;
    if (state.token) tell(text("tokenWrong"));
    return at("#secret").focus();
  }
  at("#token").hidden = true;
  state.possible = new Set(state.service.classes.map((each) => each.name));
  state.gallery = await ask("gallery").then((found) => found.photos, () => []);
  setLanguage(state.language);
}

// ---- the head of the page

const tell = (words) => { at("#state").textContent = words; };

function showModel() {
  const names = state.service.classes.map((each) => plainName(each.name));
  const few = names.slice(0, 8).join(", ") + (names.length > 8 ? " …" : "");
  at("#model").textContent = names.length ? text("model", { count: names.length, names: few }) : "";
}

function showTicks() {
  const wanted = at("#search").value.trim().toLowerCase();
  const items = state.service.classes
    .filter((each) => plainName(each.name).toLowerCase().includes(wanted))
    .map(({ name }) => {
      const item = document.createElement("li");
      const label = item.appendChild(document.createElement("label"));
      const box = label.appendChild(document.createElement("input"));
      box.type = "checkbox";
      box.checked = state.possible.has(name);
      box.addEventListener("change", () => tick([name], box.checked));
      label.append(" ", plainName(name));
      return item;
    });
  at("#ticks").replaceChildren(...items);
  const total = state.service.classes.length;
  at("#limit-count").textContent = total ? text("limitCount", { count: state.possible.size, total }) : "";
  at("#limit-problem").hidden = state.possible.size > 1 || !total;
  at("#limit-problem").textContent = text("limitFew");
}

/** Change what is possible, and ask again for the photos that are there. */
function tick(names, on) {
  for (const name of names) on ? state.possible.add(name) : state.possible.delete(name);
  const focused = document.activeElement;
  const position = all("#ticks input").indexOf(focused);
  showTicks();
  if (position >= 0) all("#ticks input")[position]?.focus();
  if (state.possible.size < 2) return;
  for (const card of state.cards) enqueue(card);
}

// ---- photos

function addFiles(files) {
  for (const file of files) {
    addCard({ files: [file], name: file.name, url: URL.createObjectURL(file) });
  }
}

/** A card of one photo, or of several that show one animal. */
function addCard(card) {
  card.element = at("#card").content.firstElementChild.cloneNode(true);
  Object.assign(card, { step: "waiting", answer: null, maps: {}, shown: null, chosen: false });
  translate(card.element);
  at("img", card.element).src = card.url;
  at("input[type=range]", card.element).addEventListener("input", () => drawMap(card));
  at("input[type=checkbox]", card.element).addEventListener("change", (event) => {
    card.chosen = event.target.checked;
    showState();
  });
  at(".again", card.element).addEventListener("click", () => enqueue(card));
  at(".remove", card.element).addEventListener("click", () => removeCard(card));
  state.cards.push(card);
  at("#cards").append(card.element);
  enqueue(card);
}

function removeCard(card) {
  state.cards = state.cards.filter((each) => each !== card);
  card.element.remove();
  if (card.files.length === 1) URL.revokeObjectURL(card.url);
  at("#photos").focus();
  showState();
}

function enqueue(card) {
  Object.assign(card, { step: "waiting", asked: {}, turn: (card.turn ?? 0) + 1 });
  showCard(card);
  work();
}

/** Begin requests for the photos that wait, so many at once. */
function work() {
  while (state.running < AT_ONCE) {
    const card = state.cards.find((each) => each.step === "waiting");
    if (!card) return;
    state.running++;
    card.step = "asking";
    showCard(card);
    answerCard(card).finally(() => {
      state.running--;
      work();
    });
  }
}

async function answerCard(card) {
  const turn = card.turn;
  const several = card.files.length > 1;
  const names = state.service.classes.map((each) => each.name);
  const wanted = { top: Math.min(1000, names.length), together: several };
  if (!several && state.service.heatmaps && names.length <= Math.min(FEW, state.service.most_maps)) wanted.heatmap = names;
  try {
    const found = await askPatiently(query(wanted), () => formOf(card.files), (seconds) => {
      card.step = "full";
      card.seconds = seconds;
      showCard(card);
    });
    if (turn !== card.turn) return;
    card.photo = found.photos[0];
    card.answer = several ? found.together : found.photos[0];
    card.problem = several && !found.together ? found.photos[0].problem : card.photo.problem;
    Object.assign(card, { step: "answered", maps: card.photo.heatmaps, shown: card.answer?.predicted ?? null });
    if (!several && !card.problem && state.service.heatmaps && !wanted.heatmap) await bringMap(card, card.shown);
  } catch (refusal) {
    if (turn !== card.turn) return;
    Object.assign(card, { step: "failed", reason: refusal.status ? refusal.reason : "" });
  }
  showCard(card);
}

/** The map of a class into the card. */
async function bringMap(card, name) {
  const asked = new URLSearchParams({ top: "1", heatmap: name });
  const found = await askPatiently(`predict?${asked}`, () => formOf(card.files), () => {});
  Object.assign(card.maps, found.photos[0].heatmaps);
}

async function showClass(card, name) {
  card.shown = name;
  if (!(name in card.maps) && state.service.heatmaps && card.files.length === 1) {
    await bringMap(card, name).catch(() => {});
  }
  const slider = at("input[type=range]", card.element);
  if (slider.value === "0") slider.value = 60;
  showCard(card);
}

// ---- a card

function showCard(card) {
  const { element } = card;
  translate(element);
  const several = card.files.length > 1;
  const title = several ? text("togetherTitle", { count: card.files.length }) : card.name || text("photoOf", { name: "" });
  at("h3", element).textContent = title;
  at("img", element).alt = several ? title : text("photoOf", { name: card.name });
  at("input[type=checkbox]", element).setAttribute("aria-label", `${text("choosePhoto")}: ${title}`);
  at(".remove", element).setAttribute("aria-label", `${text("remove")}: ${title}`);
  at(".answer", element).textContent = answerOf(card);
  const answered = card.step === "answered" && !card.problem;
  element.classList.toggle("failed", card.step === "failed" || Boolean(card.problem));
  at(".again", element).hidden = card.step !== "failed";
  at(".tick", element).hidden = several || !answered;
  const warning = answered ? warningOf(card) : "";
  at(".warning", element).hidden = !warning;
  at(".warning", element).textContent = warning;
  at(".seen", element).hidden = !answered || card.answer.seen !== "train";
  at(".classes", element).replaceChildren(...(answered ? card.answer.classes.slice(0, TOP).map((each) => bar(card, each)) : []));
  const mapped = answered && !several && state.service.heatmaps;
  at(".fade", element).hidden = !mapped;
  at(".shown", element).hidden = !answered || several;
  at(".shown", element).textContent = mapped ? text("shown", { name: plainName(card.shown) }) : text("noMaps");
  drawMap(card);
  showState();
}

function answerOf(card) {
  if (card.step === "full") return text("full", { seconds: card.seconds });
  if (card.step === "failed") return card.reason ? text("refused", { reason: card.reason }) : text("unreachable");
  if (card.step !== "answered") return text(card.step);
  if (card.problem) return text("unreadable", { reason: card.problem });
  if (card.answer.none_of_these) return text("unknown");
  const values = { name: plainName(card.answer.predicted), percent: percent(card.answer.probability) };
  return text(card.answer.sure ? "sure" : "unsure", values);
}

function warningOf(card) {
  const known = state.service.classes.find((each) => each.name === card.answer.predicted);
  if (!known?.shortcut) return "";
  const words = text("shortcut", { name: plainName(known.name), what: text(`kinds.${known.shortcut.kind}`) });
  return card.files.length > 1 || !state.service.heatmaps ? words : `${words} ${text("look")}`;
}

/** A class with its probability; a button where it has evidence to show. */
function bar(card, { name, probability }) {
  const item = document.createElement("li");
  const chosen = name === card.shown && card.files.length === 1;
  const button = item.appendChild(document.createElement("button"));
  button.type = "button";
  button.disabled = card.files.length > 1 || !state.service.heatmaps;
  button.setAttribute("aria-pressed", chosen);
  const words = { name: plainName(name), percent: percent(probability) };
  button.setAttribute("aria-label", button.disabled ? `${words.name}, ${words.percent}` : text("evidenceOf", words));
  for (const [kind, content] of [["name", words.name], ["share", words.percent]]) {
    const part = button.appendChild(document.createElement("span"));
    part.className = kind;
    part.textContent = content;
  }
  const line = button.appendChild(document.createElement("span"));
  line.className = "line";
  line.appendChild(document.createElement("span")).style.width = `${100 * probability}%`;
  button.addEventListener("click", async () => {
    await showClass(card, name);
    all(".classes button", card.element).find((each) => each.getAttribute("aria-pressed") === "true")?.focus();
  });
  return item;
}

/** The red of the class that is shown, over the square that the network saw. */
function drawMap(card) {
  const canvas = at("canvas", card.element);
  const strength = Number(at("input[type=range]", card.element).value) / 100;
  const values = card.maps?.[card.shown];
  canvas.hidden = !values || !strength || !card.photo?.view;
  if (canvas.hidden) return;
  const { width, height, view } = card.photo;
  const scale = Math.min(1, 900 / Math.max(width, height));
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const [left, top] = [view.left * canvas.width, view.top * canvas.height];
  const [wide, high] = [view.width * canvas.width, view.height * canvas.height];
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(redOf(values, strength), left, top, wide, high);
  pen.strokeStyle = `rgba(255, 255, 255, ${0.8 * strength})`;
  pen.lineWidth = 2;
  pen.strokeRect(left + 1, top + 1, wide - 2, high - 2);
}

/** A map as a picture of its own size: red where it speaks for the class, clear elsewhere. */
function redOf(values, strength) {
  const [rows, columns] = [values.length, values[0].length];
  const most = Math.max(1e-9, ...values.flat());
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [columns, rows];
  const pixels = new ImageData(columns, rows);
  values.flat().forEach((value, place) => {
    pixels.data[4 * place] = 255;
    pixels.data[4 * place + 3] = Math.round(255 * STRENGTH * strength * Math.max(0, value) / most);
  });
  picture.getContext("2d").putImageData(pixels, 0, 0);
  return picture;
}

// ---- all photos

function showState() {
  const single = state.cards.filter((card) => card.files.length === 1);
  const done = single.filter((card) => ["answered", "failed"].includes(card.step)).length;
  at("#empty").hidden = state.cards.length > 0;
  if (state.cards.length) tell(text("progress", { done, total: single.length }));
  at("#together").disabled = chosenCards().length < 2 || chosenCards().length > state.service.most_photos;
  at("#csv").disabled = !single.some((card) => card.step === "answered");
  at("#clear").disabled = !state.cards.length;
}

const chosenCards = () => state.cards.filter((card) => card.chosen && card.files.length === 1);

function combine() {
  const cards = chosenCards();
  addCard({ files: cards.map((card) => card.files[0]), name: "", url: cards[0].url });
  state.cards.at(-1).element.scrollIntoView({ block: "nearest" });
}

function saveCsv() {
  const names = state.service.classes.map((each) => each.name);
  const rows = [["name", "sha256", "predicted", "probability", "sure", "problem", ...names]];
  for (const card of state.cards.filter((each) => each.files.length === 1 && each.step === "answered")) {
    const known = new Map((card.answer.classes ?? []).map((each) => [each.name, each.probability]));
    const { predicted, probability, sure } = card.answer;
    const answer = [predicted ?? "", probability ?? "", sure ?? "", card.problem ?? ""];
    rows.push([card.name, card.photo.sha256, ...answer, ...names.map((name) => known.get(name) ?? "")]);
  }
  const lines = rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", lines], { type: "text/csv;charset=utf-8" }));
  link.download = "fishnet.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A value for a table that a spreadsheet opens: what it would compute stays text. */
function cell(value) {
  const plain = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

function showGallery() {
  const photos = state.gallery ?? [];
  at("#gallery").hidden = !photos.length;
  at("#tested").replaceChildren(...photos.map((photo) => {
    const item = document.createElement("li");
    const right = photo.true === photo.predicted;
    item.className = right ? "right" : "wrong";
    const words = { predicted: plainName(photo.predicted), true: plainName(photo.true), percent: percent(photo.probability) };
    const image = item.appendChild(document.createElement("img"));
    image.src = `gallery/${encodeURIComponent(photo.file)}`;
    image.alt = plainName(photo.true);
    image.loading = "lazy";
    item.appendChild(document.createElement("p")).textContent = text(right ? "galleryRight" : "galleryWrong", words);
    return item;
  }));
}

// ---- what people do

function listen() {
  for (const input of all("#files, #camera")) {
    input.addEventListener("change", () => {
      addFiles(input.files);
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => addFiles(event.clipboardData?.files ?? []));
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop") addFiles(event.dataTransfer.files);
      document.body.classList.toggle("dragged", kind === "dragover");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragged");
  });
  for (const button of all("[data-language]")) button.addEventListener("click", () => setLanguage(button.dataset.language));
  at("#search").addEventListener("input", showTicks);
  at("#all").addEventListener("click", () => tick(state.service.classes.map((each) => each.name), true));
  at("#none").addEventListener("click", () => tick([...state.possible], false));
  at("#together").addEventListener("click", combine);
  at("#csv").addEventListener("click", saveCsv);
  at("#clear").addEventListener("click", () => { for (const card of [...state.cards]) removeCard(card); });
  at("#token").addEventListener("submit", (event) => {
    event.preventDefault();
    state.token = at("#secret").value;
    start();
  });
}

const preferred = navigator.languages.map((each) => each.slice(0, 2)).find((each) => each in TEXTS) ?? "en";
listen();
setLanguage(preferred);
start();
