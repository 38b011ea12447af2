// The drawing: strokes, pictures and clearings in their order, so undo takes away the last one.
const [WIDTH, HEIGHT] = [800, 600]; // of the drawing's own units, on every screen
const PEN = 36; // two to three of MNIST's pixels in a digit of usual size
const INK_SCALE = 0.5; // pixels of ink per unit: enough for the net's 28
const canvas = document.getElementById("canvas");
const inkContext = blankCanvas(WIDTH * INK_SCALE, HEIGHT * INK_SCALE).getContext("2d", { willReadFrequently: true });
let items = [];
let stroke = null; // the one under the pen, whose pointer it knows

function blankCanvas(width, height) {
  const made = document.createElement("canvas");
  [made.width, made.height] = [width, height];
  return made;
}

const visibleItems = () => items.slice(items.findLastIndex((item) => item.isClearing) + 1);

function add(item) {
  items.push(item);
  drawingChanged();
}

function undo() {
  if (!stroke && items.pop()) drawingChanged();
}

function clear() {
  if (!stroke && visibleItems().length) add({ isClearing: true });
}

// Everything visible, in one colour; the context has as many pixels per unit as `scale` says.
function paint(context, scale, colour) {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const item of visibleItems()) {
    if (item.picture) {
      context.imageSmoothingEnabled = scale > INK_SCALE;
      context.drawImage(item.picture, 0, 0, WIDTH, HEIGHT);
    } else paintStroke(context, item.points);
  }
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.globalCompositeOperation = "source-over";
}

// Curves from the middle between two points to the next middle: a fast stroke has no corners.
function paintStroke(context, points) {
  const [first, last] = [points[0], points.at(-1)];
  context.beginPath();
  context.moveTo(...first);
  points.slice(1, -1).forEach(([x, y], before) => {
    const [nextX, nextY] = points[before + 2];
    context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  });
  context.lineTo(...last);
  context.stroke();
}

function inkNow() {
  const { width, height } = inkContext.canvas;
  paint(inkContext, INK_SCALE, "#fff");
  const { data } = inkContext.getImageData(0, 0, width, height);
  const values = new Uint8Array(width * height);
  for (let at = 0; at < values.length; at++) values[at] = data[4 * at + 3];
  return { width, height, values };
}

function placeOf({ clientX, clientY }) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  return [((clientX - left) / width) * WIDTH, ((clientY - top) / height) * HEIGHT];
}

function onPenDown(event) {
  if (stroke || !event.isPrimary || event.button) return;
  canvas.setPointerCapture(event.pointerId); // a stroke may leave the canvas and come back
  stroke = { pointer: event.pointerId, points: [placeOf(event)] };
  add(stroke);
}

// Between two frames a fast pen has many places; browsers give all of them with the last event.
function onPenMove(event) {
  if (event.pointerId !== stroke?.pointer) return;
  const between = event.getCoalescedEvents?.() ?? [];
  stroke.points.push(...(between.length ? between : [event]).map(placeOf));
  drawingChanged();
}

function onPenUp(event) {
  if (event.pointerId !== stroke?.pointer) return;
  stroke = null;
  drawingChanged();
}

canvas.addEventListener("pointerdown", onPenDown);
canvas.addEventListener("pointermove", onPenMove);
canvas.addEventListener("pointerup", onPenUp);
canvas.addEventListener("pointercancel", onPenUp);
