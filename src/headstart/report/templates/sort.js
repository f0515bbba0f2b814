"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: numbers by data-value, names by text; cells without a value stay last either way.
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const named = table.tBodies[0].rows[0]?.cells[column]?.dataset.text !== undefined;
      const up = now ? now === "descending" : named;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = (row) => {
        const cell = row.cells[column];
        if (named) return (cell?.dataset.text ?? "").toLowerCase();
        return cell && cell.dataset.value !== undefined ? Number(cell.dataset.value) : null;
      };
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
      });
      body.append(...rows.map(([, row]) => row));
    }));
  }
})();
