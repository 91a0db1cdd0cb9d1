// A click on a column's name sorts its table: numbers the largest first, words from A, and the other way round again;
// cells without a value stay last.
const table = element.querySelector("table"), body = table.tBodies[0];
const rows = [...body.rows].map((row, number) => ({ row, keys: data.keys[number] }));
[...table.tHead.rows[0].cells].forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const first = rows.some(({ keys }) => typeof keys[column] === "number") ? "descending" : "ascending";
    const order = head.ariaSort === first ? { ascending: "descending", descending: "ascending" }[first] : first;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.ariaSort = order;
    const sign = order === "ascending" ? 1 : -1, missing = key => key === null || key === "";
    const sorted = [...rows].sort((one, two) => {
      const [a, b] = [one.keys[column], two.keys[column]];
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    });
    body.append(...sorted.map(({ row }) => row));
  });
});
element.dataset.ready = "yes";
