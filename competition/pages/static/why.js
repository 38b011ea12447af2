// The arrow keys move between rows, of which a filter may show some; the address holds the current one.
const articles = () => [...document.querySelectorAll("article:not([hidden])")];

function go(step) {
  const shown = articles();
  const next = shown[shown.findIndex((one) => `#${one.id}` === location.hash) + step];
  if (!next) return;
  location.hash = next.id;
  next.focus({ preventScroll: true });
}

function showKind(kind) {
  document.querySelectorAll("article, .index li").forEach((one) => (one.hidden = Boolean(kind) && one.dataset.kind !== kind));
  document.querySelector("article.first")?.classList.remove("first");
  articles()[0]?.classList.add("first");
  document.querySelectorAll("#choices button").forEach((one) => one.setAttribute("aria-pressed", one.dataset.kind === kind));
}

document.getElementById("choices").addEventListener("click", ({ target }) => {
  if (target.matches("button")) showKind(target.dataset.kind);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "ArrowRight") go(1);
  else if (event.key === "ArrowLeft") go(-1);
  else return;
  event.preventDefault();
});
// A link from the gallery may lead to a row that the filter hides.
addEventListener("hashchange", () => {
  if (document.querySelector("article:target")?.hidden) showKind("");
});
showKind("");
