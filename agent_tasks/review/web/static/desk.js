// Keys, places and selected text. Everything that is decided is a form that works without this file.
"use strict";
(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const form = document.getElementById("decide");
  const live = document.getElementById("live");
  let current = -1;
  const values = all(".value");

  function show(number, { scroll = true } = {}) {
    for (const one of all(".here")) one.classList.remove("here");
    for (const one of all(`[data-value="${number}"]`)) one.classList.add("here");
    current = values.findIndex((one) => one.dataset.value === String(number));
    if (!scroll) return;
    const place = document.querySelector(`.paper [data-value="${number}"]`);
    const closed = place && place.closest("details:not([open])");
    if (closed) closed.open = true;
    if (place) place.scrollIntoView({ block: "center", inline: "nearest" });
    if (values[current]) values[current].scrollIntoView({ block: "nearest" });
    const name = values[current] && values[current].querySelector("label").textContent;
    const said = values[current] && values[current].querySelector(".said").textContent;
    if (live && name) live.textContent = `${name}: ${said}`;
  }

  const input = (value) => value && value.querySelector("input, textarea");
  for (const value of values) {
    value.addEventListener("click", () => show(value.dataset.value));
    value.addEventListener("focusin", () => show(value.dataset.value));
    const field = input(value);
    field.addEventListener("input", () => value.classList.toggle("changed", field.value !== field.defaultValue));
  }
  for (const place of all(".paper [data-value]")) {
    place.addEventListener("click", () => show(place.dataset.value));
  }

  // Selected text of the document goes into the value that was clicked last.
  const take = document.createElement("button");
  take.type = "button";
  take.className = "take";
  take.hidden = true;
  document.body.append(take);
  let chosen = "";
  document.addEventListener("selectionchange", () => {
    const selection = document.getSelection();
    const text = document.getElementById("text");
    const inside = text && selection.rangeCount && text.contains(selection.getRangeAt(0).commonAncestorContainer);
    chosen = inside ? selection.toString().trim().replace(/\s+/g, " ") : "";
    const field = input(values[current]);
    take.hidden = !chosen || !field || field.readOnly;
    if (!take.hidden) take.textContent = `Put “${chosen.slice(0, 40)}” into ${values[current].querySelector("label").textContent}`;
  });
  function fill() {
    const field = input(values[current]);
    if (!chosen || !field || field.readOnly) return false;
    field.value = chosen;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    document.getSelection().removeAllRanges();
    if (live) live.textContent = `${values[current].querySelector("label").textContent} is now ${field.value}`;
    take.hidden = true;
    return true;
  }
  take.addEventListener("mousedown", (event) => event.preventDefault());
  take.addEventListener("click", fill);

  function press(what) {
    const button = form && form.querySelector(`button[value="${what}"]`);
    if (button && !button.matches(":disabled")) button.click();
  }
  function step(by) {
    if (!values.length) return;
    current = Math.min(Math.max(current + by, 0), values.length - 1);
    show(values[current].dataset.value);
  }
  const go = (id) => { const link = document.getElementById(id); if (link) link.click(); };
  const keys = {
    j: () => step(1), k: () => step(-1),
    e: () => { const field = input(values[Math.max(current, 0)]); if (field) { field.focus(); field.select(); } },
    a: () => press("approve"), c: () => press("correct"), r: () => press("reject"), l: () => press("leave"),
    s: () => { const note = document.getElementById("note"); if (note && !note.value.trim()) note.focus(); else press("send_back"); },
    n: () => go("next"), q: () => go("queue"), o: () => go("first"),
    u: () => { const undo = document.querySelector("button.undo"); if (undo) undo.click(); },
    "?": () => { const help = document.querySelector(".keys"); if (help) { help.open = !help.open; help.scrollIntoView(); } },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const writes = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && writes) { event.target.blur(); return; }
    if (writes) {
      // The Enter key in a value would press the first button, which approves.
      if (event.key === "Enter" && event.target.matches(".value input")) event.preventDefault();
      return;
    }
    if (event.key === "Enter" && chosen) { if (fill()) event.preventDefault(); return; }
    const key = keys[event.key.toLowerCase()];
    if (key) { event.preventDefault(); key(); }
  });

  // A document that is looked at is kept; one that is left is free after some minutes.
  if (form && !("closed" in form.dataset)) {
    const csrf = form.elements.namedItem("csrf").value;
    setInterval(() => {
      if (document.hidden) return;
      fetch(form.dataset.hold, { method: "POST", body: new URLSearchParams({ csrf }) }).catch(() => {});
    }, 60000);
    form.addEventListener("submit", () => setTimeout(() => {
      for (const button of form.querySelectorAll(".decision button")) button.disabled = true;
    }));
  }
  if (location.hash.startsWith("#place-")) show(location.hash.slice(7).split("-")[0]);
  else {
    const first = values.find((one) => one.matches(".missing, .doubtful")) || values[0];
    if (first) show(first.dataset.value, { scroll: false });
  }
})();
