// Marks the visible section in the table of contents.
const links = new Map(
  [...document.querySelectorAll("#contents a")].map((link) => [link.hash.slice(1), link]),
);
const visible = new Set();

function markCurrent() {
  const current = [...links.keys()].find((key) => visible.has(key));
  for (const [key, link] of links) {
    if (key === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

const watcher = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) visible.add(target.id);
      else visible.delete(target.id);
    }
    markCurrent();
  },
  { rootMargin: "-10% 0px -60% 0px" },
);
for (const key of links.keys()) watcher.observe(document.getElementById(key));
