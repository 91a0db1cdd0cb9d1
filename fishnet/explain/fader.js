// Photos under their heat-maps; one slider fades all maps, for the red hides the markings.
const slider = element.querySelector("input"), choice = element.querySelector("select");
const output = element.querySelector("output"), cards = element.querySelector(".cards");
function made(tag, name, text = "") {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.textContent = text;
  return node;
}
for (const card of data.cards) {
  const figure = made("figure", `card ${card.right === null ? "" : card.right ? "right" : "wrong"}`);
  const views = made("div", "views");
  for (const [number, map] of card.maps.entries()) {
    const view = made("div", "view"), stack = made("div", "stack");
    const photo = made("img"), heat = made("img", "heat");
    photo.src = card.photo;
    photo.alt = card.path;
    heat.src = map.heat;
    heat.alt = `what speaks for ${map.name}`;
    stack.append(photo, heat);
    view.append(stack, made("span", "", (number ? "true: " : card.right === null ? "" : "answer: ") + map.words));
    views.append(view);
  }
  const caption = made("figcaption");
  caption.append(made("span", "path", card.path));
  figure.append(views, caption);
  cards.append(figure);
}
function fade() {
  element.style.setProperty("--heat", slider.value / 100);
  output.textContent = `${slider.value} %`;
}
slider.addEventListener("input", fade);
choice.addEventListener("change", () => { element.dataset.shown = choice.value; });
choice.parentElement.hidden = !data.cards.some(card => card.right === false);
fade();
element.dataset.ready = "yes";
