"use strict";
document.documentElement.classList.add("js");
for (const part of document.querySelectorAll(".controls")) part.hidden = false;

function compare(first, second, asText) {
  return asText ? first.localeCompare(second) : Number(first) - Number(second);
}

function sortBody(body, column, asText, direction) {
  const heading = [...body.rows].filter((row) => row.classList.contains("heading"));
  const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
  const key = (row) => row.cells[column].dataset.sort;
  rows.sort((a, b) => {
    // Rows without a value stay at the end, whichever way the others are sorted.
    if (!key(a) || !key(b)) return (key(a) ? 0 : 1) - (key(b) ? 0 : 1);
    return direction * compare(key(a), key(b), asText);
  });
  body.append(...heading, ...rows);
}

for (const button of document.querySelectorAll("table.board thead button")) {
  button.addEventListener("click", () => {
    const cell = button.closest("th");
    const table = cell.closest("table");
    const asText = button.dataset.text === "yes";
    const now = cell.getAttribute("aria-sort");
    const order = now === null ? (asText ? "ascending" : "descending") : now === "ascending" ? "descending" : "ascending";
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", order);
    for (const body of table.tBodies) sortBody(body, cell.cellIndex, asText, order === "ascending" ? 1 : -1);
  });
}

for (const box of document.querySelectorAll(".filter")) {
  const table = document.getElementById(box.dataset.table);
  const rows = [...table.querySelectorAll("tbody tr:not(.heading)")];
  const field = box.querySelector("input"), count = box.querySelector("output");
  const selects = [...box.querySelectorAll("select")];
  const apply = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) =>
      words.every((word) => row.textContent.toLowerCase().includes(word)) &&
      selects.every((select) => !select.value || row.dataset[select.dataset.name] === select.value);
    for (const row of rows) row.hidden = !fits(row);
    for (const heading of table.querySelectorAll("tr.heading")) {
      heading.hidden = !rows.some((row) => row.parentElement === heading.parentElement && !row.hidden);
    }
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  for (const control of [field, ...selects]) control.addEventListener("input", apply);
  apply();
}

// On paper nothing can be opened, so everything is open there.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
window.addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
