// The page's words and numbers in the reader's language.

import { TEXTS } from "./texts.js";

let language = preferred();

/** The first of the reader's languages that the page has, else English. */
function preferred() {
  const known = navigator.languages.map((each) => each.slice(0, 2).toLowerCase());
  return known.find((each) => each in TEXTS) ?? "en";
}

export const currentLanguage = () => language;

/** From now on; the root element says it to screen readers and hyphenation. */
export function useLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
}

/** A text by its key (`kinds.outer` for one within another), with the values in its braces filled in. */
export function text(key, values = {}) {
  let words = key.split(".").reduce((part, name) => part?.[name], TEXTS[language]) ?? key;
  if (typeof words === "object") {
    words = words[new Intl.PluralRules(language).select(values.count)] ?? words.other;
  }
  return words.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

const shown = (value) => (typeof value === "number" ? number(value) : String(value));

export const number = (value) => new Intl.NumberFormat(language).format(value);

/** A share as percent; small and large ones with a decimal, and never as none or all unless they are. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return `<\u00a0${percent(0.001)}`;
  if (share < 1 && share > 0.9995) return `>\u00a0${percent(0.999)}`;
  const digits = share > 0.995 || share < 0.01 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(share);
}

export function seconds(count) {
  const form = { style: "unit", unit: "second", unitDisplay: "long" };
  return new Intl.NumberFormat(language, form).format(count);
}

export function megabytes(bytes) {
  const form = { style: "unit", unit: "megabyte", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language, form).format(bytes / 2 ** 20);
}

export const list = (names) => new Intl.ListFormat(language, { type: "conjunction" }).format(names);

const called = new Map(); // by class, what people call it

/** From now on, as /classes says. */
export function useNames(classes) {
  for (const each of classes) called.set(each.name, each.called);
}

/** What people call a class: a folder's name is shown without what folders' names need. */
export function plainName(name) {
  const words = called.get(name) ?? name;
  return words === name ? name.replaceAll("_", " ") : words;
}

/** What the service says of a file it cannot read, in the reader's language where its words are known. */
export function problemText(problem) {
  const found = TEXTS[language].problems.find(([pattern]) => pattern.test(problem));
  return found ? problem.replace(found[0], found[1]) : problem;
}

/** Fill every element that names a text. */
export function translate(within) {
  for (const element of within.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of within.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
}
