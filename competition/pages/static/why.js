// The arrow keys move between rows; the address holds the current one.
const articles = [...document.querySelectorAll("article")];

function chosen() {
  return articles.findIndex((one) => `#${one.id}` === location.hash);
}

function go(place) {
  if (!articles[place]) return;
  location.hash = articles[place].id;
  articles[place].focus({ preventScroll: true });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "ArrowRight") go(chosen() + 1);
  else if (event.key === "ArrowLeft") go(chosen() - 1);
  else return;
  event.preventDefault();
});
