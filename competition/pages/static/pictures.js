// The ink of any picture that the browser opens, on a canvas as large as the drawing's ink.
const LONGEST_SIDE = 800;
const LEAST_PHOTO_SIDE = 64; // smaller pictures have no uneven light and no texture of paper
const MARGIN = 0.1;

async function readPicture(file) {
  const bitmap = await createImageBitmap(file); // turned as its camera was held
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = blankCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return placedInk({ width, height, values: inkOf(greyOf(context), width, height) });
}

// Transparent places become white paper below dark strokes, and black below bright ones.
function greyOf(context) {
  const { data } = context.getImageData(0, 0, context.canvas.width, context.canvas.height);
  const grey = new Float32Array(data.length / 4);
  let [brightness, opaque] = [0, 0];
  for (let at = 0; at < grey.length; at++) {
    const [red, green, blue, alpha] = data.subarray(4 * at, 4 * at + 4);
    grey[at] = 0.299 * red + 0.587 * green + 0.114 * blue;
    brightness += grey[at] * alpha;
    opaque += alpha;
  }
  const paper = opaque && brightness / opaque > 127 && opaque < 127 * grey.length ? 0 : 255;
  return grey.map((value, at) => paper + ((value - paper) * data[4 * at + 3]) / 255);
}

// Paper is what most of the frame is; ink is brighter or darker. As in data/pictures.py, but simpler.
function inkOf(grey, width, height) {
  const isPhoto = Math.min(width, height) >= LEAST_PHOTO_SIDE;
  const light = isPhoto ? lightAround(grey, width, height) : null;
  const flat = light ? grey.map((value, at) => Math.min(255, Math.max(0, value - light[at] + 128))) : grey;
  const threshold = otsu(flat);
  const frame = flat.filter((_, at) => isFrame(at % width, Math.floor(at / width), width, height));
  const sign = median(frame) > threshold ? -1 : 1;
  const paper = median(flat.filter((value) => sign * (value - threshold) <= 0));
  // A photo's texture is no ink; the darkest tenth of the ink is full ink.
  const least = isPhoto ? (sign * (threshold - paper)) / 2 : 0;
  const inks = flat.map((value) => sign * (value - paper) - least);
  const strong = inks.filter((ink) => ink > sign * (threshold - paper) - least).sort();
  const full = Math.max(1, strong[Math.floor((isPhoto ? 0.9 : 1) * (strong.length - 1))] ?? 1);
  return Uint8Array.from(inks, (ink) => Math.round(Math.min(1, Math.max(0, ink / full)) * 255));
}

function isFrame(x, y, width, height) {
  const depth = Math.max(1, Math.min(width, height) >> 4);
  return Math.min(x, y, width - 1 - x, height - 1 - y) < depth;
}

const median = (values) => values.sort()[values.length >> 1] ?? 0; // typed arrays sort numbers

// The median of the wide neighbourhood of each place, from every `step`th pixel.
function lightAround(grey, width, height) {
  const step = Math.ceil(Math.min(width, height) / LEAST_PHOTO_SIDE);
  const reach = Math.floor(LEAST_PHOTO_SIDE / 4) * step;
  const [columns, rows] = [Math.ceil(width / step), Math.ceil(height / step)];
  const coarse = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const counts = new Uint16Array(256);
      let total = 0;
      for (let y = Math.max(0, row * step - reach); y <= Math.min(height - 1, row * step + reach); y += step) {
        for (let x = Math.max(0, column * step - reach); x <= Math.min(width - 1, column * step + reach); x += step) {
          counts[Math.round(grey[y * width + x])]++;
          total++;
        }
      }
      let value = -1;
      for (let below = 0; below <= total / 2; below += counts[value]) value++;
      coarse[row * columns + column] = value;
    }
  }
  return grey.map((_, at) => coarse[Math.floor(Math.floor(at / width) / step) * columns + Math.floor((at % width) / step)]);
}

// The threshold between two kinds of values that differ most (N. Otsu, 1979).
function otsu(values) {
  const counts = new Float64Array(256);
  for (const value of values) counts[Math.round(value)]++;
  const sum = counts.reduce((all, count, value) => all + count * value, 0);
  let [best, threshold, count, partial] = [-1, 0, 0, 0];
  counts.forEach((here, value) => {
    count += here;
    partial += here * value;
    const others = values.length - count;
    if (!count || !others) return;
    const between = count * others * (partial / count - (sum - partial) / others) ** 2;
    if (between > best) [best, threshold] = [between, value + 0.5];
  });
  return threshold;
}

// The ink without specks, as large as it fits; small pictures by a whole factor, to keep their pixels.
function placedInk(ink) {
  const { width, height } = inkContext.canvas;
  const made = blankCanvas(width, height);
  const { places, boxes } = connected(ink);
  const largest = Math.max(0, ...boxes.map(longer));
  const kept = boxes.filter((box) => longer(box) >= SPECK * largest);
  if (!kept.length) return made;
  const cut = alone(ink, places, kept.reduce(union));
  const room = 1 - 2 * MARGIN;
  const fitting = Math.min((room * width) / cut.width, (room * height) / cut.height);
  const scale = fitting > 1 ? Math.floor(fitting) : fitting;
  const context = made.getContext("2d");
  context.imageSmoothingEnabled = scale < 1;
  context.imageSmoothingQuality = "high";
  const size = [cut.width * scale, cut.height * scale].map(Math.round);
  context.drawImage(asCanvas(cut), Math.round((width - size[0]) / 2), Math.round((height - size[1]) / 2), ...size);
  return made;
}

function asCanvas({ width, height, values }) {
  const made = blankCanvas(width, height);
  const image = new ImageData(width, height);
  values.forEach((value, at) => (image.data[4 * at + 3] = value));
  made.getContext("2d").putImageData(image, 0, 0);
  return made;
}
