"use strict";
const tooltip = document.createElement("div");
tooltip.className = "tooltip";
tooltip.hidden = true;
document.body.append(tooltip);

for (const mark of document.querySelectorAll("svg .tip")) {
  const title = mark.querySelector("title");
  mark.dataset.tip = title.textContent;
  mark.setAttribute("aria-label", title.textContent);
  title.remove();
}

function show(event) {
  const mark = event.target.closest ? event.target.closest(".tip") : null;
  tooltip.hidden = !mark;
  if (!mark) return;
  tooltip.textContent = mark.dataset.tip;
  const at = mark.getBoundingClientRect(), own = tooltip.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.right + 10, document.documentElement.clientWidth - own.width - 8));
  const below = at.bottom + own.height + 16 < window.innerHeight;
  tooltip.style.left = `${left + window.scrollX}px`;
  tooltip.style.top = `${(below ? at.bottom + 8 : at.top - own.height - 8) + window.scrollY}px`;
}
for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, show);

for (const plot of document.querySelectorAll("svg.plot")) {
  const hidden = new Set();
  for (const name of plot.querySelectorAll("[data-series] text")) {
    name.classList.add("toggle");
    name.addEventListener("click", () => {
      const series = name.closest("[data-series]").dataset.series;
      if (!hidden.delete(series)) hidden.add(series);
      for (const mark of plot.querySelectorAll("[data-series]")) {
        const off = hidden.has(mark.dataset.series);
        mark.style.opacity = off ? (mark.querySelector("text") ? 0.4 : 0) : "";
        mark.style.pointerEvents = off && !mark.querySelector("text") ? "none" : "";
      }
    });
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.classList.add("toggle");
    head.addEventListener("click", () => {
      const sign = head.dataset.sorted === "up" ? -1 : 1;
      for (const other of heads) delete other.dataset.sorted;
      head.dataset.sorted = sign === 1 ? "up" : "down";
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const rows = [...body.rows].sort((a, b) => {
        const one = key(a), two = key(b), x = Number.parseFloat(one), y = Number.parseFloat(two);
        const none = (one === "" || one === "-") - (two === "" || two === "-");
        return none || sign * (Number.isNaN(x) || Number.isNaN(y) ? one.localeCompare(two) : x - y);
      });
      body.append(...rows);
    });
  });
}
