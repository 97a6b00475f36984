(function () {
  "use strict";
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  const releases = () => document.querySelectorAll("details.release");
  const unfold = document.getElementById("unfold");
  unfold.addEventListener("click", () => {
    const open = ![...releases()].every((d) => d.open);
    releases().forEach((d) => { d.open = open; });
    unfold.textContent = open ? "Close all" : "Open all";
  });
  const reveal = () => {
    const goal = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    if (goal && goal.tagName === "DETAILS") { goal.open = true; goal.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  reveal();

  const key = (row, column) => {
    const text = row.cells[column].dataset.sort;
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  document.querySelectorAll("table.releases").forEach((table) => table.querySelectorAll("button[data-column]").forEach((button) => button.addEventListener("click", () => {
    const column = Number(button.dataset.column);
    const head = button.parentElement;
    const up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((r) => !r.classList.contains("group") && !r.classList.contains("original"));
      rows.sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        if (typeof x !== typeof y) { return typeof x === "number" ? -1 : 1; }
        return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
      });
      rows.forEach((r) => body.appendChild(r));
    }
  })));
}());
