// Digits saved with a person's label, in this browser: [{ label, pixels }], pixels as base64.
const SAVED = "drawn-digits";

// Other pages may be open: read their digits first, to lose none.
function savedDigits() {
  try {
    return JSON.parse(recall(SAVED)) ?? [];
  } catch {
    return [];
  }
}

const asText = (pixels) => btoa(String.fromCharCode(...pixels));
const asPixels = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

function savedLabel(pixels) {
  const text = asText(pixels);
  return savedDigits().find((one) => one.pixels === text)?.label;
}

// Each digit is saved once: another label replaces its label, and none takes the digit away.
function save(pixels, label) {
  const text = asText(pixels);
  const others = savedDigits().filter((one) => one.pixels !== text);
  keep(SAVED, JSON.stringify(label === null ? others : [...others, { label, pixels: text }]));
}

// In the format of the competition's train.csv.
function savedAsCsv() {
  const header = ["label", ...Array.from({ length: SIDE * SIDE }, (_, at) => `pixel${at}`)];
  const rows = savedDigits().map(({ label, pixels }) => [label, ...asPixels(pixels)]);
  return `${[header, ...rows].map((row) => row.join(",")).join("\n")}\n`;
}
