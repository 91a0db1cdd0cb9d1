// Answers as a table for spreadsheets.

import { plainName, text } from "./words.js";

const BYTE_ORDER_MARK = "\ufeff"; // without it Excel takes accents for two letters each

/** The answers of cards as CSV: a row each, a column for every class that the model knows.
 *
 * @param cards those that have neither an answer yet nor a problem are left out.
 * @param classes names.
 */
export function csvOf(cards, classes) {
  const header = ["name", "sha256", "predicted", "predicted_name", "probability", "sure", "none_of_these", "seen", "problem", ...classes];
  const rows = cards.filter((card) => card.result || card.step === "failed").map((card) => rowOf(card, classes));
  return BYTE_ORDER_MARK + [header, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function rowOf({ name, result, words }, classes) {
  const { sha256, predicted, probability, sure, none_of_these: none, seen, problem, left } = result ?? { problem: words() };
  const shares = new Map((result?.classes ?? []).map((each) => [each.name, each.probability]));
  const trouble = left ? text("togetherLeft", { count: left }) : problem;
  const about = [name, sha256, predicted, predicted && plainName(predicted), rounded(probability), sure, none, seen, trouble];
  return [...about, ...classes.map((each) => rounded(shares.get(each)))];
}

const rounded = (share) => (typeof share === "number" ? share.toFixed(6) : "");

/** A cell; an apostrophe goes before what a spreadsheet would run as a formula. */
function cell(value) {
  let words = value === null || value === undefined ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(words)) words = `'${words}`;
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
}

/** Hand a text over as a file. */
export function saveText(words, name, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([words], { type: kind }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
