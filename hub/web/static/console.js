// Keys, and the few things that a page cannot do by itself. Everything works without this file, only slower.
(function () {
  "use strict";
  const typing = (element) => element && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName)
    && !/^(radio|checkbox|button|submit)$/.test(element.type || ""));
  const rows = () => Array.from(document.querySelectorAll("[data-rows] .row"));

  function move(step) {
    const found = rows();
    if (!found.length) return false;
    const here = found.indexOf(document.activeElement);
    const next = here < 0 ? (step > 0 ? 0 : found.length - 1) : Math.min(found.length - 1, Math.max(0, here + step));
    found[next].focus();
    return true;
  }

  function choose(key) {
    // Of several things to decide on one page, a key decides the one that was gone to, and none unless one was.
    const several = document.querySelector("[data-rows] .row [data-key]");
    const place = several ? document.activeElement.closest("[data-rows] .row") : document;
    const choice = place && place.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!choice) return false;
    if (choice.matches("input[type=radio]")) {
      choice.checked = true;
      choice.focus();
      choice.dispatchEvent(new Event("change", { bubbles: true }));
      const other = choice.closest("form").querySelector("[data-for='" + choice.id + "']");
      if (other) other.focus();
    } else {
      choice.click();
    }
    return true;
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const here = document.activeElement;
    if (event.key === "Escape") {
      document.querySelectorAll(".tip:not(:empty)").forEach((each) => { each.hidden = true; });
      document.querySelectorAll(".results").forEach((each) => { each.textContent = ""; });
      if (typing(here)) here.blur();
      return;
    }
    if (typing(here)) return;
    let done = false;
    if (event.key === "/") {
      const box = Array.from(document.querySelectorAll("input[data-find]")).find((each) => each.offsetParent);
      if (box) { box.focus(); box.select(); done = true; } else { window.location = "/search"; }
    } else if (event.key === "j") { done = move(1); }
    else if (event.key === "k") { done = move(-1); }
    else if (event.key === "Enter" && here === document.body) {
      const first = rows()[0];
      const form = document.querySelector("form[data-decide]");
      if (form && form.querySelector("input[type=radio]:checked")) { form.requestSubmit(form.querySelector("button.main")); done = true; }
      else if (first) { first.click(); done = true; }
    } else if (event.key === "Enter" && here.matches("form[data-decide] input[type=radio]")) {
      here.form.requestSubmit(here.form.querySelector("button.main")); done = true;
    } else if (event.key.length === 1) { done = choose(event.key); }
    if (done) event.preventDefault();
  });

  // A form is sent once.
  document.addEventListener("submit", function (event) {
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
    window.setTimeout(() => { delete event.target.dataset.sent; }, 4000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((each) => { delete each.dataset.sent; }));

  // "All" in a list of boxes to tick.
  document.addEventListener("change", function (event) {
    const all = event.target.dataset && event.target.dataset.all;
    if (all) document.querySelectorAll(`input[name="${CSS.escape(all)}"]`).forEach((each) => { each.checked = event.target.checked; });
    // A ticked row of a plan is whole: one of its fields unticked leaves the others, and the row is whole no more.
    if (all || event.target.name === "place") document.querySelectorAll("input[data-of]").forEach((each) => {
      const row = document.querySelector(`input[name="place"][value="${CSS.escape(each.dataset.of)}"]`);
      if (row && (all || row === event.target)) each.checked = row.checked;
    });
    const of = event.target.dataset && event.target.dataset.of;
    if (of) {
      const fields = Array.from(document.querySelectorAll(`input[data-of="${CSS.escape(of)}"]`));
      document.querySelector(`input[name="place"][value="${CSS.escape(of)}"]`).checked = fields.every((each) => each.checked);
    }
    if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
  });

  // Typing another value chooses "another value".
  document.addEventListener("input", function (event) {
    const radio = event.target.dataset && event.target.dataset.for && document.getElementById(event.target.dataset.for);
    if (radio) radio.checked = true;
  });
})();
