"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

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
