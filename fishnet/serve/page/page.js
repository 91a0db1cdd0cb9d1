// The page: photos come in, cards show the answers, and the parts of the page know of each other here alone.

import { Card } from "./card.js";
import { csvOf, saveText } from "./csv.js";
import { Gallery } from "./gallery.js";
import { Limits } from "./limits.js";
import { Queue } from "./queue.js";
import { askJson, useToken } from "./service.js";
import { currentLanguage, list, plainName, text, translate, useLanguage, useNames } from "./words.js";

const NAMED = 8; // classes in the opening line
const PAUSE = 250; // milliseconds between sentences of the live region

const at = (name) => document.getElementById(name);
const page = { facts: null, version: null, cards: [], possible: new Set(), limits: null, notice: () => "", timer: 0 };
const queue = new Queue(page.possible, { changed: cardChanged, refused: () => askToken(true) });
const gallery = new Gallery((file) => {
  addPhotos([file]);
  page.cards[0].element.scrollIntoView({ block: "nearest" });
});

// ---- beginning

async function start(triedToken = false) {
  try {
    page.facts = await askJson("classes");
    useNames(page.facts.classes);
    page.version = await askJson("version");
    at("token").hidden = true;
    begin();
    await gallery.load();
  } catch (refusal) {
    if (refusal.status === 401) return askToken(triedToken);
    page.notice = () => text("unreachable");
    showState();
    if (refusal.status === undefined) throw refusal;
  }
}

/** With what the service knows; after a second token the page goes on as it was. */
function begin() {
  if (!page.limits) {
    const names = page.facts.classes.map((each) => each.name);
    for (const name of names) page.possible.add(name);
    page.limits = new Limits(names, page.possible, () => page.cards.forEach((card) => queue.add(card)));
  }
  queue.facts = page.facts;
  queue.resume();
  showAll();
}

function askToken(wrong) {
  at("token").hidden = false;
  at("token-problem").hidden = !wrong;
  at("token-problem").textContent = wrong ? text("tokenWrong") : "";
  at("secret").value = "";
  at("secret").focus();
}

at("token").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(at("secret").value.trim());
  start(true);
});

// ---- photos

const calls = {
  again: (card) => queue.add(card),
  remove: removeCard,
  selected: showTools,
  map: (card, name) => queue.addMap(card, name),
  hasMaps: () => page.facts?.heatmaps === true,
};

const shortcutOf = (name) => page.facts.classes.find((each) => each.name === name)?.shortcut ?? null;

/** The newest comes first, and of those that come together the first one. */
function addPhotos(files) {
  const cards = [...files].map((file) => new Card([file], shortcutOf, calls));
  if (!cards.length) return;
  page.notice = () => text("added", { count: cards.length });
  showCards(cards);
}

function showCards(cards) {
  page.cards.unshift(...cards);
  at("cards").prepend(...cards.map((card) => card.element));
  for (const card of cards) queue.add(card);
  showTools();
}

function removeCard(card) {
  const place = page.cards.indexOf(card);
  page.cards.splice(place, 1);
  forget(card);
  const next = page.cards[Math.min(place, page.cards.length - 1)];
  (next ? next.part(".remove") : at("results")).focus();
}

function forget(card) {
  queue.drop(card);
  card.release();
  page.notice = () => "";
  showTools();
  showState();
}

function clearAll() {
  page.cards.splice(0).forEach(forget);
  at("results").focus();
}

const selected = () => page.cards.filter((card) => card.selected && !card.combined);

/** A card of all selected photos. */
function combine() {
  const chosen = selected();
  const card = new Card(chosen.flatMap((each) => each.files), shortcutOf, calls);
  for (const each of chosen) each.select(false);
  page.notice = () => "";
  showCards([card]);
  card.element.scrollIntoView({ block: "nearest" });
}

// ---- what is shown

function cardChanged(card) {
  card.show();
  clearTimeout(page.timer);
  page.timer = setTimeout(showState, PAUSE);
}

function showTools() {
  const count = selected().length, most = page.facts?.most_photos ?? 0;
  at("tools").hidden = at("combine-hint").hidden = !page.cards.length;
  at("empty").hidden = page.cards.length > 0;
  at("combine").disabled = count < 2 || count > most;
  at("combine-hint").textContent = count > most && most ? text("combineMany", { count: most }) : text("combineHint");
}

/** How far the photos are, for eyes and screen readers. */
function showState() {
  const photos = page.cards.filter((card) => !card.combined);
  const done = photos.filter((card) => card.step === "answered" && !card.result.problem).length;
  const problems = page.cards.filter((card) => card.step === "failed" || card.result?.problem).length;
  const sentences = [page.notice()];
  if (photos.length) sentences.push(text("state", { done, count: photos.length }));
  if (problems) sentences.push(text("stateProblems", { count: problems }));
  const words = sentences.filter(Boolean).join(" · ");
  if (at("state").textContent !== words) at("state").textContent = words;
}

function showLead() {
  if (!page.facts) return;
  const names = page.facts.classes.map((each) => plainName(each.name));
  const some = names.length > NAMED ? text("leadMore", { names: names.slice(0, NAMED).join(", ") }) : list(names);
  at("lead").textContent = text("lead", { count: names.length, names: some });
  const { bundle, fishnet } = page.version;
  at("version").textContent = text("version", { bundle: bundle.slice(0, 12), fishnet });
}

function showAll() {
  translate(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  }
  document.title = `fishnet – ${text("title")}`;
  showLead();
  page.limits?.show();
  for (const card of page.cards) card.show();
  gallery.show();
  showTools();
  showState();
}

// ---- what people do

function listenForFiles() {
  for (const name of ["files", "camera"]) {
    at(name).addEventListener("change", (event) => {
      addPhotos(event.target.files);
      event.target.value = ""; // so that the same photo may come again
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) addPhotos(event.clipboardData.files);
  });
}

function listenForDrops() {
  const dragged = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!dragged(event)) return;
    event.preventDefault();
    takeDropped(event.dataTransfer);
  });
}

/** Files; a folder comes as something that cannot be read, and is named instead. */
function takeDropped(brought) {
  const entries = [...brought.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const folders = entries.filter((entry) => entry?.isDirectory).map((entry) => entry.name);
  addPhotos([...brought.files].filter((file) => !folders.includes(file.name)));
  if (!folders.length) return;
  page.notice = () => text("folder", { name: folders[0] });
  showState();
}

function listenForButtons() {
  at("combine").addEventListener("click", combine);
  at("clear").addEventListener("click", clearAll);
  at("save").addEventListener("click", () => {
    const names = page.facts.classes.map((each) => each.name);
    saveText(csvOf(page.cards, names), "fishnet.csv", "text/csv;charset=utf-8");
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      useLanguage(button.dataset.language);
      showAll();
    });
  }
}

useLanguage(currentLanguage());
listenForFiles();
listenForDrops();
listenForButtons();
showAll();
start();
