"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: numbers by data-value, names by text; cells without a value stay last either way.
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const named = column === 0;
      const up = now ? now === "descending" : named;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = (row) => {
        const cell = row.cells[column];
        if (named) return cell.dataset.text.toLowerCase();
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

  // One method at a time.
  const select = document.getElementById("method");
  const show = (number) => {
    select.value = number;
    for (const panel of all(".panel")) panel.classList.toggle("shown", panel.dataset.panel === number);
  };
  select.addEventListener("change", () => show(select.value));
  const follow = () => {
    const target = /^#m\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (target) {
      show(target.dataset.panel);
      target.focus({ preventScroll: true });
      document.getElementById("detail").scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  for (const link of all("#methods a")) {
    link.addEventListener("click", () => { if (location.hash === link.getAttribute("href")) follow(); });
  }
  follow();

  // One cost at a time.
  const switches = all(".switch button");
  for (const button of switches) {
    button.addEventListener("click", () => {
      for (const other of switches) other.setAttribute("aria-pressed", String(other === button));
      for (const chart of all("figure.cost")) chart.classList.toggle("shown", chart.dataset.cost === button.dataset.cost);
    });
  }

  document.getElementById("save").addEventListener("click", () => {
    const text = JSON.stringify(JSON.parse(document.getElementById("record").textContent), null, 2);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text + "\n"], { type: "application/json" }));
    link.download = "comparison.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
