// From ink to digits. Ink is { width, height, values }, a byte per pixel, 0 where the paper is.
const SIDE = 28;
const BOX = 20; // MNIST's digits fit into 20 × 20, their centre of mass in the middle of 28 × 28
const FAINT = 64; // of 255: less does not connect strokes
const SPECK = 0.1; // of the largest part's length: a shorter one is dust
const SHORTEST = 0.05; // of the picture's shorter side: a dot is no digit
const SHARED = 0.35; // of the narrower part's width: so much above each other is one digit

// The digits in a row, from left to right, each with its box and its 28 × 28 pixels.
function digitsIn(ink) {
  const { places, boxes } = connected(ink);
  const shortest = SHORTEST * Math.min(ink.width, ink.height);
  const least = Math.max(shortest, SPECK * Math.max(0, ...boxes.map(longer)));
  return grouped(boxes.filter((box) => longer(box) >= least))
    .map((box) => ({ box, pixels: centred(alone(ink, places, box)) }));
}

const longer = ({ left, right, top, bottom }) => Math.max(right - left, bottom - top);

// The connected parts (also over corners): their boxes, and for each pixel 1 + its part's number.
// Faint ink belongs to the part that it touches, but does not connect two.
function connected({ width, height, values }) {
  const places = new Int32Array(values.length);
  const boxes = [];
  const found = [];
  const take = (at, place) => {
    places[at] = place;
    found.push(at);
    extend(boxes[place - 1], at % width, Math.floor(at / width));
  };
  const spread = (from, least) => {
    for (let i = from; i < found.length; i++) {
      const [x, y] = [found[i] % width, Math.floor(found[i] / width)];
      for (let nextY = Math.max(0, y - 1); nextY <= Math.min(height - 1, y + 1); nextY++) {
        for (let nextX = Math.max(0, x - 1); nextX <= Math.min(width - 1, x + 1); nextX++) {
          const next = nextY * width + nextX;
          if (values[next] >= least && !places[next]) take(next, places[found[i]]);
        }
      }
    }
  };
  for (let at = 0; at < values.length; at++) {
    if (values[at] < FAINT || places[at]) continue;
    boxes.push({ ...nowhere(), parts: [boxes.length + 1] });
    take(at, boxes.length);
    spread(found.length - 1, FAINT);
  }
  spread(0, 1);
  return { places, boxes };
}

const nowhere = () => ({ left: Infinity, right: 0, top: Infinity, bottom: 0 });

function extend(box, x, y) {
  box.left = Math.min(box.left, x);
  box.right = Math.max(box.right, x + 1);
  box.top = Math.min(box.top, y);
  box.bottom = Math.max(box.bottom, y + 1);
}

// Parts above each other belong to one digit, as the bar of a 5 does.
function grouped(boxes) {
  const groups = [];
  for (const box of boxes) {
    let group = box;
    let at;
    while ((at = groups.findIndex((other) => isAbove(other, group))) >= 0) {
      group = union(groups.splice(at, 1)[0], group);
    }
    groups.push(group);
  }
  return groups.sort((one, other) => one.left + one.right - other.left - other.right);
}

function isAbove(one, other) {
  const shared = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  return shared > SHARED * Math.min(one.right - one.left, other.right - other.left);
}

function union(one, other) {
  return {
    left: Math.min(one.left, other.left),
    right: Math.max(one.right, other.right),
    top: Math.min(one.top, other.top),
    bottom: Math.max(one.bottom, other.bottom),
    parts: [...one.parts, ...other.parts],
  };
}

// The ink of a group in its box, without that of its neighbours.
function alone(ink, places, { left, right, top, bottom, parts }) {
  const [width, height] = [right - left, bottom - top];
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (top + y) * ink.width + left + x;
      if (parts.includes(places[from])) values[y * width + x] = ink.values[from];
    }
  }
  return { width, height, values };
}

// One digit as MNIST shows it, 784 bytes, or null without ink: the same whole numbers as `centred`
// in deployment/preprocessing.py, so both give the same digits to the last bit.
function centred({ width, values }) {
  const box = inkBox(width, values);
  if (!box) return null;
  const [wide, high] = [box.right - box.left, box.bottom - box.top];
  const long = Math.max(wide, high);
  const scaled = (side) => Math.max(1, Math.floor((2 * BOX * side + long) / (2 * long)));
  const small = averaged(width, values, box, scaled(wide), scaled(high));
  if (!small.values.some(Boolean)) return null;
  const pixels = new Uint8Array(SIDE * SIDE);
  const left = startOf(small.width, (x, y) => small.values[y * small.width + x], small.height);
  const top = startOf(small.height, (y, x) => small.values[y * small.width + x], small.width);
  for (let y = 0; y < small.height; y++) {
    pixels.set(small.values.subarray(y * small.width, (y + 1) * small.width), (top + y) * SIDE + left);
  }
  return pixels;
}

function inkBox(width, values) {
  const box = nowhere();
  values.forEach((value, at) => value && extend(box, at % width, Math.floor(at / width)));
  return box.right ? box : null;
}

// The box in fewer or more pixels, each the mean of the area that it covers, rounded half up.
function averaged(line, values, box, width, height) {
  const [wide, high] = [box.right - box.left, box.bottom - box.top];
  const across = overlaps(wide, width);
  const sums = new Float64Array(width * height); // holds whole numbers of this size exactly
  overlaps(high, height).forEach((rows, y) => {
    for (const [row, times] of rows) {
      const start = (box.top + row) * line + box.left;
      across.forEach((columns, x) => {
        for (const [column, covered] of columns) sums[y * width + x] += times * covered * values[start + column];
      });
    }
  });
  const area = wide * high;
  return { width, height, values: Uint8Array.from(sums, (sum) => Math.floor((2 * sum + area) / (2 * area))) };
}

// For each of `short` equal parts of a line: which of `long` equal parts it covers, and how much.
function overlaps(long, short) {
  return Array.from({ length: short }, (_, part) => {
    const [start, end] = [part * long, (part + 1) * long];
    const found = [];
    for (let at = Math.floor(start / short); at * short < end; at++) {
      found.push([at, Math.min(end, (at + 1) * short) - Math.max(start, at * short)]);
    }
    return found;
  });
}

// Where to begin along one side, so that the centre of mass is nearest to the middle.
function startOf(length, value, others) {
  let [total, moment] = [0, 0];
  for (let at = 0; at < length; at++) {
    for (let other = 0; other < others; other++) {
      total += value(at, other);
      moment += at * value(at, other);
    }
  }
  const start = Math.floor((SIDE * total - 2 * moment + total) / (2 * total));
  return Math.min(Math.max(start, 0), SIDE - length);
}
