// The digits in a plane: hovering shows one, a loop selects some, and the gallery opens them.
const STEPS = 4000; // of a coordinate
const REACH = 14; // pixels from the pointer to the dot that is shown
const MOST_SHOWN = 200; // digits below the plane
const BADGE = 24; // pixels from one label to another, at least
const part = (id) => document.getElementById(id);
const canvas = part("plane");
const isTest = (dot) => dot >= data.label.length;
const dots = data.id.map((_, dot) => dot);
let plane = data.planes.at(-1);
let chosen = new Set();
let loop = []; // places in pixels, while a person draws

function placeOf(dot) {
  const [x, y] = [plane.places[2 * dot], plane.places[2 * dot + 1]];
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  return [12 + (x / STEPS) * (width - 24), 12 + (1 - y / STEPS) * (height - 24)];
}

function draw() {
  const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const colours = getComputedStyle(canvas);
  const colour = (name) => colours.getPropertyValue(`--${name}`);
  for (const dot of [...dots].sort((one, other) => isTest(other) - isTest(one))) {
    const isChosen = chosen.has(dot);
    context.globalAlpha = chosen.size && !isChosen ? 0.15 : isTest(dot) ? 0.5 : 0.85;
    context.fillStyle = isTest(dot) ? colour("control") : colour(`class${data.label[dot]}`);
    context.beginPath();
    context.arc(...placeOf(dot), isChosen ? 4 : 2.4, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  drawLabels(context, colour);
  context.strokeStyle = colour("focus");
  context.lineWidth = 2;
  context.beginPath();
  loop.forEach((place) => context.lineTo(...place));
  context.stroke();
}

// Each label stands at the middle of its dots; two that would touch move apart.
function drawLabels(context, colour) {
  const middle = (values) => values.sort((one, other) => one - other)[values.length >> 1];
  context.font = "bold 15px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  const badges = [...new Set(data.label)].map((label) => {
    const places = dots.filter((dot) => data.label[dot] === label).map(placeOf);
    return { label, x: middle(places.map(([x]) => x)), y: middle(places.map(([, y]) => y)) };
  });
  for (const one of badges) {
    for (const other of badges) {
      const [across, down] = [other.x - one.x, other.y - one.y];
      const far = Math.hypot(across, down);
      if (!far || far >= BADGE) continue;
      other.x += across * (BADGE / far - 1);
      other.y += down * (BADGE / far - 1);
    }
  }
  for (const { label, x, y } of badges) {
    context.fillStyle = colour("surface");
    context.strokeStyle = colour("quiet");
    context.lineWidth = 1;
    context.beginPath();
    context.arc(x, y, 11, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
    context.fillStyle = colour("ink");
    context.fillText(label, x, y + 1);
  }
}

const textOf = (dot) => (isTest(dot) ? `test row ${data.id[dot]}` : `row ${data.id[dot]}, label ${data.label[dot]}`);

function nearest(place) {
  let [best, least] = [undefined, Infinity];
  for (const dot of dots) {
    const [x, y] = placeOf(dot);
    const far = (x - place[0]) ** 2 + (y - place[1]) ** 2;
    if (far < least) [best, least] = [dot, far];
  }
  return [best, Math.sqrt(least)];
}

function showLens(place) {
  const [dot, far] = nearest(place);
  const lens = part("lens");
  lens.hidden = far > REACH || loop.length > 1;
  if (lens.hidden) return;
  showDigit(part("lens-digit"), dot);
  part("lens-text").textContent = textOf(dot);
  const [x, y] = placeOf(dot);
  lens.style.left = `${x > canvas.clientWidth / 2 ? x - lens.offsetWidth - 12 : x + 12}px`;
  lens.style.top = `${Math.max(0, Math.min(canvas.clientHeight - lens.offsetHeight, y - lens.offsetHeight / 2))}px`;
}

function choose(wanted) {
  chosen = new Set(wanted);
  const name = (dot) => `${isTest(dot) ? "test" : "train"}-${data.id[dot]}`;
  const count = `${chosen.size.toLocaleString("en")} digit${chosen.size === 1 ? "" : "s"}`;
  const gallery = document.querySelector('.run a[href$="gallery/index.html"]')?.getAttribute("href");
  const more = chosen.size > MOST_SHOWN ? `; the first ${MOST_SHOWN} are below` : "";
  part("plane-status").textContent = `${count} selected${more}${gallery ? "" : "; make gallery writes the page that opens them"}`;
  part("plane-open").hidden = !gallery || !chosen.size;
  part("plane-open").href = `${gallery}#view=all&ids=${[...chosen].map(name).join("+")}`;
  part("plane-clear").hidden = !chosen.size;
  part("plane-strip").replaceChildren(...[...chosen].slice(0, MOST_SHOWN).map(shownDigit));
  draw();
}

function shownDigit(dot) {
  const item = element("li", "");
  const picture = element("span", "digit");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", textOf(dot));
  picture.title = textOf(dot);
  showDigit(picture, dot);
  item.append(picture);
  return item;
}

// Whether a place is in the loop: a line from it to the right crosses the loop an odd number of times.
function isInside([x, y]) {
  let inside = false;
  loop.forEach(([x1, y1], at) => {
    const [x2, y2] = loop.at(at - 1);
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}

const CHOICES = {
  odd() {
    // In the plane's own steps: the answer is the same in every window.
    const places = data.label.map((_, dot) => plane.places.slice(2 * dot, 2 * dot + 2));
    return dots.filter((dot) => !isTest(dot)).filter((dot) => {
      let [best, least] = [dot, Infinity];
      places.forEach(([x, y], other) => {
        const far = (x - places[dot][0]) ** 2 + (y - places[dot][1]) ** 2;
        if (other !== dot && far < least) [best, least] = [other, far];
      });
      return data.label[best] !== data.label[dot];
    });
  },
  test: () => dots.filter(isTest),
};

function onChoice({ target }) {
  if (target.value === "") return choose([]);
  choose(CHOICES[target.value]?.() ?? dots.filter((dot) => data.label[dot] === Number(target.value)));
}

function onPlane({ target }) {
  plane = data.planes[target.dataset.plane];
  part("plane-caption").textContent = plane.caption;
  document.querySelectorAll("[data-plane]").forEach((one) => one.setAttribute("aria-pressed", one === target));
  draw();
}

const placeIn = ({ offsetX, offsetY }) => [offsetX, offsetY];

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  loop = [placeIn(event)];
});
canvas.addEventListener("pointermove", (event) => {
  if (loop.length) {
    loop.push(placeIn(event));
    draw();
  }
  showLens(placeIn(event));
});
canvas.addEventListener("pointerup", (event) => {
  const wanted = loop.length > 2 ? dots.filter((dot) => isInside(placeOf(dot))) : [];
  loop = [];
  part("plane-choice").value = "";
  if (wanted.length) choose(wanted);
  else draw();
  showLens(placeIn(event));
});
canvas.addEventListener("pointercancel", () => { loop = []; draw(); });
canvas.addEventListener("pointerleave", () => (part("lens").hidden = true));
part("plane-choice").addEventListener("change", onChoice);
part("plane-clear").addEventListener("click", () => { part("plane-choice").value = ""; choose([]); });
document.querySelectorAll("[data-plane]").forEach((one) => one.addEventListener("click", onPlane));
new ResizeObserver(draw).observe(canvas);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
