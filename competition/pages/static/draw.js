// The page as a whole: after each change, the digits in the drawing and what the net says of them.
const byId = (id) => document.getElementById(id);
const context = canvas.getContext("2d");
const NOT_SURE = 0.6;
const percent = (share) => `${(share * 100).toFixed(1)}%`;
let digits = []; // from left to right: { box, pixels, probabilities, digit, confidence }
let chosen = 0;
let isPicked = false; // whether a person chose it; otherwise it is the one that changed last
let isWaiting = false;
let exported = null; // the saved digits, as they were exported last

function drawingChanged() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    readDrawing();
    show();
  });
}

// A digit that did not change keeps its answer; the one that changed last is the chosen one.
function readDrawing() {
  const known = new Map(digits.map((one) => [String(one.pixels), one]));
  digits = digitsIn(inkNow()).map(({ box, pixels }) => {
    const before = known.get(String(pixels));
    return before ? { ...before, box } : { box, pixels, ...answer(pixels) };
  });
  const changed = digits.findIndex((one) => !known.has(String(one.pixels)));
  isPicked &&= changed < 0;
  chosen = changed >= 0 ? changed : Math.max(0, Math.min(chosen, digits.length - 1));
}

function answer(pixels) {
  const probabilities = predict(pixels);
  const confidence = Math.max(...probabilities);
  return { probabilities, confidence, digit: probabilities.indexOf(confidence) };
}

function show() {
  showDrawing();
  showReading();
  showChosen();
  showSaved();
  byId("placeholder").hidden = visibleItems().length > 0;
  byId("undo").disabled = !items.length;
  byId("clear").disabled = !visibleItems().length;
}

const colourOf = (name) => getComputedStyle(canvas).getPropertyValue(name);

function showDrawing() {
  const scale = canvas.width / WIDTH;
  paint(context, scale, colourOf("--ink"));
  if (digits.length > 1) digits.forEach((one, place) => showFrame(one, place === chosen, canvas.clientWidth / WIDTH));
}

// Where there are several digits: a frame around each, with the answer above.
function showFrame({ box, digit }, isChosen, unitPixels) {
  const inUnits = (pixels) => pixels / unitPixels;
  const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map((one) => one / INK_SCALE);
  const gap = inUnits(6);
  context.strokeStyle = context.fillStyle = colourOf(isChosen ? "--focus" : "--quiet");
  context.lineWidth = inUnits(isChosen ? 2 : 1);
  context.beginPath();
  context.roundRect(left - gap, top - gap, right - left + 2 * gap, bottom - top + 2 * gap, inUnits(8));
  context.stroke();
  context.font = `600 ${inUnits(15)}px system-ui, sans-serif`;
  context.textAlign = "center";
  const isRoom = top > inUnits(28);
  context.fillText(digit, (left + right) / 2, isRoom ? top - inUnits(12) : bottom + inUnits(24));
}

function showReading() {
  const reading = byId("reading");
  reading.style.setProperty("--count", digits.length);
  reading.classList.toggle("none", !digits.length);
  if (!digits.length) return reading.replaceChildren("no digit");
  reading.replaceChildren(...digits.map(({ digit, confidence }, place) => {
    const glyph = document.createElement("button");
    glyph.type = "button";
    glyph.textContent = digit;
    glyph.disabled = digits.length === 1;
    glyph.setAttribute("aria-pressed", digits.length > 1 && place === chosen);
    glyph.setAttribute("aria-label", `${digit}, ${percent(confidence)}`);
    glyph.addEventListener("click", () => choose(place));
    return glyph;
  }));
}

function choose(place) {
  [chosen, isPicked] = [place, true];
  show();
  byId("reading").children[place].focus();
}

function showChosen() {
  const one = digits[chosen];
  byId("sureness").textContent = one ? sureness(one) : "";
  document.querySelectorAll("#classes .class").forEach((line, digit) => {
    const share = one?.probabilities[digit];
    line.classList.toggle("likeliest", digit === one?.digit);
    line.querySelector(".fill").style.width = one ? percent(share) : "0";
    line.querySelector(".value").textContent = one ? percent(share) : "–";
  });
  showPixels(byId("seen"), one?.pixels ?? new Uint8Array(SIDE * SIDE));
}

function sureness({ digit, confidence }) {
  const which = digits.length > 1 ? `${digit}: ` : "";
  return `${which}${percent(confidence)}${confidence < NOT_SURE ? ", not sure" : ""}`;
}

// As the net has them: bright ink on black. In the light theme, style inverts them.
function showPixels(picture, pixels) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((value, at) => image.data.set([value, value, value, 255], 4 * at));
  picture.getContext("2d").putImageData(image, 0, 0);
}

function showSaved() {
  const saved = savedDigits();
  const label = digits.length ? savedLabel(digits[chosen].pixels) : undefined;
  document.querySelectorAll("[data-label]").forEach((button) => {
    button.disabled = !digits.length;
    button.setAttribute("aria-pressed", Number(button.dataset.label) === label);
  });
  byId("saved").hidden = !saved.length;
  byId("saved-title").textContent = `${saved.length} saved digit${saved.length === 1 ? "" : "s"}`;
  byId("remove").hidden = exported !== recall(SAVED);
  byId("storage-notice").hidden = storageWorks;
  if (byId("thumbnails").dataset.shown === recall(SAVED)) return;
  byId("thumbnails").dataset.shown = recall(SAVED);
  byId("thumbnails").replaceChildren(...saved.map(thumbnail).reverse());
}

function thumbnail({ label, pixels }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const picture = document.createElement("canvas");
  button.type = "button";
  button.setAttribute("aria-label", `saved as ${label}: remove it`);
  button.title = "Remove it";
  picture.width = picture.height = SIDE;
  showPixels(picture, asPixels(pixels));
  button.append(picture, label);
  button.addEventListener("click", () => {
    const place = [...byId("thumbnails").children].indexOf(item);
    save(asPixels(pixels), null);
    showSaved();
    (byId("thumbnails").children[place] ?? byId("thumbnails").lastChild)?.firstChild.focus();
  });
  item.append(button);
  return item;
}

// A second press takes it back. Of several digits, the next one without a label is then chosen.
function label(value) {
  if (!digits.length) return;
  const { pixels } = digits[chosen];
  const isSaved = savedLabel(pixels) === value;
  save(pixels, isSaved ? null : value);
  say(isSaved ? "not saved any more" : `saved as ${value}`);
  const next = unlabelled(chosen + 1);
  if (!isSaved && next >= 0) chosen = next;
  isPicked = true;
  show();
}

const unlabelled = (from) => digits.findIndex((one, place) => place >= from && savedLabel(one.pixels) === undefined);

// Labels are typed as digits are read: from the left, unless a person chose one.
function typeLabel(value) {
  const first = unlabelled(0);
  if (!isPicked && first >= 0) chosen = first;
  label(value);
}

function exportSaved() {
  download("drawn-digits.csv", savedAsCsv());
  exported = recall(SAVED);
  showSaved();
}

function removeSaved() {
  keep(SAVED, "[]");
  show();
}

// For people who do not see the page; not with every move, but when the pen is up.
function say(text) {
  byId("status").textContent = text;
}

function sayAnswer() {
  requestAnimationFrame(() => say(digits.map((one) => `${one.digit}, ${percent(one.confidence)}`).join("; ") || "no digit"));
}

function onKey(event) {
  const hasControl = event.ctrlKey || event.metaKey;
  const isUndo = hasControl && !event.shiftKey && event.key.toLowerCase() === "z";
  if (isUndo) change(undo);
  else if (hasControl || event.altKey) return;
  else if (["Escape", "Delete", "Backspace"].includes(event.key)) change(clear);
  else if (/^[0-9]$/.test(event.key)) typeLabel(Number(event.key));
  else return;
  event.preventDefault();
}

function change(action) {
  action();
  sayAnswer();
}

async function openPicture(file) {
  byId("trouble").hidden = true;
  if (!file) return;
  try {
    add({ picture: await readPicture(file) });
    sayAnswer();
  } catch {
    byId("trouble").textContent = `“${file.name}” is not a picture that this browser can open. Try a PNG or JPEG.`;
    byId("trouble").hidden = false;
  }
}

function onDrop(event) {
  event.preventDefault();
  byId("paper").classList.remove("target");
  openPicture(event.dataTransfer.files[0]);
}

function fit() {
  const { width, height } = canvas.getBoundingClientRect();
  [canvas.width, canvas.height] = [width, height].map((side) => Math.round(side * devicePixelRatio));
  showDrawing();
}

function listen() {
  const on = (id, type, action) => byId(id).addEventListener(type, action);
  on("undo", "click", () => change(undo));
  on("clear", "click", () => change(clear));
  on("open", "click", () => byId("file").click());
  on("file", "change", ({ target }) => { openPicture(target.files[0]); target.value = ""; });
  on("canvas", "pointerup", sayAnswer);
  on("labels", "click", ({ target }) => { if (target.dataset.label) label(Number(target.dataset.label)); });
  on("export", "click", exportSaved);
  on("remove", "click", removeSaved);
  addEventListener("keydown", onKey);
  addEventListener("paste", ({ clipboardData }) => openPicture(clipboardData.files[0]));
  addEventListener("dragover", (event) => { event.preventDefault(); byId("paper").classList.add("target"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) byId("paper").classList.remove("target"); });
  addEventListener("drop", onDrop);
  addEventListener("storage", () => { applyTheme(); show(); });
  new ResizeObserver(fit).observe(canvas);
  new MutationObserver(showDrawing).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

listen();
show();
