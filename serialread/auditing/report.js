"use strict";
// Sorts and filters the tables, names their cells where they are stacked, and shows the pictures in pages. Without
// it everything is visible.
function key(row, column) {
  const cell = row.cells[column];
  const value = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
  return value !== "" && !isNaN(value) ? Number(value) : value;
}
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a.localeCompare(b, undefined, { numeric: true });
}
function sort(table, header) {
  const rising = header.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row) => [key(row, header.cellIndex), row]);
  rows.sort((a, b) => (rising ? compare(a[0], b[0]) : compare(b[0], a[0])));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  body.append(...rows.map((pair) => pair[1]));
}
function filter(table, words, status) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  status.textContent = wanted.length ? shown + " of " + table.tBodies[0].rows.length + " lines" : "";
}
function nameCells(table) {
  const names = Array.from(table.tHead.rows[0].cells, (header) => header.textContent);
  for (const row of table.querySelectorAll("tbody tr, tfoot tr")) {
    for (const cell of row.cells) if (cell.textContent) cell.dataset.th = names[cell.cellIndex];
  }
}
for (const table of document.querySelectorAll("table.sheet")) {
  nameCells(table);
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.title = "sort by " + header.textContent;
    button.addEventListener("click", () => sort(table, header));
    header.replaceChildren(button);
  }
  const label = document.createElement("label");
  const input = document.createElement("input");
  const status = document.createElement("span");
  const line = document.createElement("p");
  input.type = "search";
  status.setAttribute("role", "status");
  label.append("show lines with ", input);
  line.className = "find";
  line.append(label, " ", status);
  input.addEventListener("input", () => filter(table, input.value, status));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { input.value = ""; filter(table, "", status); }
  });
  if (table.tBodies[0].rows.length > 5) table.parentNode.before(line);
}
const PER_PAGE = 12;
for (const cases of document.querySelectorAll(".paged")) {
  const all = Array.from(cases.children);
  const batches = Array.from(new Set(all.map((one) => one.dataset.batch))).sort();
  if (all.length <= PER_PAGE) continue;
  let first = 0, chosen = all;
  const bar = document.createElement("p");
  const status = document.createElement("span");
  const step = (words, by) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", () => { first += by; show(); });
    return button;
  };
  const previous = step("previous", -PER_PAGE);
  const next = step("next", PER_PAGE);
  const show = () => {
    for (const one of all) one.hidden = true;
    for (const one of chosen.slice(first, first + PER_PAGE)) one.hidden = false;
    previous.disabled = first === 0;
    next.disabled = first + PER_PAGE >= chosen.length;
    status.textContent = (first + 1) + " to " + Math.min(first + PER_PAGE, chosen.length) + " of " + chosen.length;
  };
  const label = document.createElement("label");
  const select = document.createElement("select");
  for (const name of ["all", ...batches]) select.append(new Option(name, name));
  select.addEventListener("change", () => {
    chosen = select.selectedIndex ? all.filter((one) => one.dataset.batch === select.value) : all;
    first = 0;
    show();
  });
  label.append("batch", select);
  bar.className = "find";
  status.setAttribute("role", "status");
  bar.append(previous, next, status, ...(batches.length > 1 ? [label] : []));
  cases.before(bar);
  show();
  addEventListener("beforeprint", () => all.forEach((one) => { one.hidden = false; }));
  addEventListener("afterprint", show);
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
