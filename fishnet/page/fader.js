// Photos under their heat-maps; one slider fades all maps, for the red hides the markings. A paged widget shows one
// photo at a time, and is turned by buttons and by the arrow keys.
const slider = element.querySelector("input"), choice = element.querySelector("select");
const strength = element.querySelector(".strength"), cards = element.querySelector(".cards");
const place = element.querySelector(".place");
let chosen = data.cards, number = 0;
function made(tag, name, text = "") {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.textContent = text;
  return node;
}
function picture(address, alt, name) {
  const image = made("img", name);
  image.src = address;
  image.alt = alt;
  return image;
}
function figureOf(card) {
  const figure = made("figure", "card"), views = made("div", "views"), caption = made("figcaption");
  for (const one of card.views) {
    const view = made("div", one.right === false ? "view wrong" : "view"), stack = made("div", "stack");
    if (one.of) view.append(made("span", "of", one.of));
    stack.append(picture(one.photo || card.photo, card.path));
    if (one.heat) stack.append(picture(one.heat, `what speaks for ${one.name}`, "heat"));
    view.append(stack, made("span", "words", one.words));
    if (one.note) view.append(made("span", "note", one.note));
    views.append(view);
  }
  caption.append(made("span", "path", card.path));
  if (card.caption) caption.append(made("span", "", ` · ${card.caption}`));
  figure.append(views, caption);
  return figure;
}
function show() {
  const shown = data.paged ? chosen.slice(number, number + 1) : chosen;
  cards.replaceChildren(...shown.map(figureOf));
  place.textContent = chosen.length ? `${number + 1} of ${chosen.length}` : "none";
}
function turn(steps) {
  if (!chosen.length) return;
  number = (number + steps + chosen.length) % chosen.length;
  show();
}
function fade() {
  element.style.setProperty("--heat", slider.value / 100);
  strength.textContent = `${slider.value} %`;
}
function choose() {
  chosen = data.cards.filter(card => !choice.value || card.kind === choice.value);
  number = 0;
  show();
}
const kinds = new Set(data.cards.map(card => card.kind));
for (const [kind, words] of Object.entries(data.kinds)) {
  if (!kinds.has(kind)) continue;
  const option = made("option", "", words);
  option.value = kind;
  choice.append(option);
}
element.querySelector(".choice").hidden = kinds.size < 2;
if (data.paged) {
  element.classList.add("paged");
  element.querySelector(".pager").hidden = false;
  element.querySelector(".previous").addEventListener("click", () => turn(-1));
  element.querySelector(".next").addEventListener("click", () => turn(1));
  document.addEventListener("keydown", event => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!steps || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, .scroll")) return;
    event.preventDefault();
    turn(steps);
  });
}
slider.value = data.strength;
slider.addEventListener("input", fade);
choice.addEventListener("change", choose);
fade();
show();
element.dataset.ready = "yes";
