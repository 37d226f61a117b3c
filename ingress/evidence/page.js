"use strict";
(() => {
  const root = document.documentElement;
  const values = [...document.querySelectorAll(".values a[data-f]")];
  const zooms = ["", "z1", "z2", "z3"];
  const pages = document.querySelector(".pages");
  let zoom = 0;
  let lit = null;

  root.classList.add("js");

  const partners = (name) => document.querySelectorAll(`[data-f="${name}"]`);

  function light(name) {
    if (name === lit) return;
    if (lit !== null) for (const each of partners(lit)) each.classList.remove("on");
    lit = name;
    if (lit !== null) for (const each of partners(lit)) each.classList.add("on");
  }

  function show(from) {
    const wanted = from.closest(".values") ? ".box" : ".values a";
    const target = document.querySelector(`${wanted}[data-f="${from.dataset.f}"]`);
    if (target) target.scrollIntoView({ block: "center", inline: "center" });
  }

  const field = (event) => event.target.closest ? event.target.closest("[data-f]") : null;

  document.addEventListener("pointerover", (event) => {
    const found = field(event);
    if (found) light(found.dataset.f);
    else if (!document.activeElement || !document.activeElement.dataset.f) light(null);
    else light(document.activeElement.dataset.f);
  });
  document.addEventListener("focusin", (event) => {
    const found = field(event);
    if (found) { light(found.dataset.f); show(found); }
  });
  document.addEventListener("click", (event) => {
    const found = field(event);
    if (!found) return;
    event.preventDefault();
    found.focus({ preventScroll: true });
    light(found.dataset.f);
    show(found);
  });
  document.addEventListener("keydown", (event) => {
    const at = values.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && document.activeElement) { document.activeElement.blur(); light(null); }
    if (step && at >= 0 && values[at + step]) { event.preventDefault(); values[at + step].focus(); }
  });

  function magnify(to) {
    zoom = Math.max(0, Math.min(zooms.length - 1, to));
    pages.className = `pages ${zooms[zoom]}`;
    const seen = lit !== null && document.querySelector(`.box[data-f="${lit}"]`);
    if (seen) seen.scrollIntoView({ block: "center", inline: "center" });
  }
  for (const button of document.querySelectorAll("button[data-zoom]")) {
    button.addEventListener("click", () => magnify(button.dataset.zoom === "0" ? 0 : zoom + Number(button.dataset.zoom)));
  }
  if (window.matchMedia("(max-width: 46rem)").matches) magnify(1);
})();
