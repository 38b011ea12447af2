// The grid: one card per digit.
const PAGE_SIZE = 200;
const BADGES = Object.fromEntries(data.marks.map((mark) => [mark, mark[0].toUpperCase()]));
const grid = document.getElementById("grid");
const cardTemplate = document.getElementById("card").content;

function showCards(rows) {
  grid.replaceChildren(...rows.map(makeCard));
}

function makeCard(row) {
  const item = cardTemplate.cloneNode(true).firstElementChild;
  const card = item.firstElementChild;
  const part = (name) => card.querySelector(name);
  card.dataset.row = row;
  showDigit(part(".digit"), row);
  part(".pair").append(...pairParts(row));
  part(".confidence").textContent = percent(confidenceOf(row));
  part(".id").textContent = `#${data.id[row]}${data.confident[row] ? " ★" : ""}`;
  part(".card-votes").append(...voteParts(row));
  drawBars(card, row);
  showMark(card);
  return item;
}

function pairParts(row) {
  const predicted = element("span", "predicted", data.prediction[row]);
  const arrow = element("span", "arrow", "→");
  return isTest(row) ? [arrow, predicted] : [element("span", "true", labelOf(row)), arrow, predicted];
}

// The classes that members vote for, the most frequent first, each with its number of votes.
function talliesOf(row) {
  const counts = new Map();
  for (let member = 0; member < memberCount; member++) {
    counts.set(voteOf(row, member), (counts.get(voteOf(row, member)) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one);
}

function voteParts(row) {
  return talliesOf(row).map(([vote, count]) => {
    const part = element("span", "");
    const role = isTest(row) ? "" : vote === labelOf(row) ? "true" : "predicted";
    part.append(element("b", role, vote), ` ×${count}`);
    return part;
  });
}

function drawBars(card, row) {
  const paths = { rest: "", predicted: "", true: "" };
  for (let label = 0; label < CLASSES; label++) {
    const height = ensembleOf(row, label) / 50;
    if (height) paths[roleOf(row, label)] += `M${label * 10 + 1} 20v-${height}h8v${height}z`;
  }
  // A dash below the line marks the label, even without a visible bar.
  if (!isTest(row)) paths.true += `M${labelOf(row) * 10 + 1} 21h8v2h-8z`;
  for (const [role, path] of Object.entries(paths)) {
    card.querySelector(`.bars .${role}`).setAttribute("d", path);
  }
}

function roleOf(row, label) {
  if (label === labelOf(row)) return "true";
  return label === data.prediction[row] ? "predicted" : "rest";
}

function showMark(card) {
  const row = Number(card.dataset.row);
  const mark = markOf(row);
  const badge = card.querySelector(".badge");
  badge.hidden = !mark;
  badge.textContent = mark ? BADGES[mark.mark] + (mark.label ?? "") : "";
  card.querySelector(".described").textContent = describe(row, mark);
}

function describe(row, mark) {
  const label = isTest(row) ? "test row" : `row ${data.id[row]}, label ${labelOf(row)}`;
  const id = isTest(row) ? ` ${data.id[row]}` : "";
  const marked = mark ? `, marked ${mark.mark}${mark.label === null ? "" : `: ${mark.label}`}` : "";
  const votes = talliesOf(row).map(([vote, count]) => `${count} for ${vote}`).join(", ");
  return `${label}${id}, predicted ${data.prediction[row]} with ${percent(confidenceOf(row))}, votes: ${votes}${marked}`;
}

const cards = () => [...grid.querySelectorAll(".card")];
const cardOf = (row) => grid.querySelector(`.card[data-row="${row}"]`);

// Tab reaches one card; the arrow keys move to the others.
function makeReachable(card) {
  grid.querySelector('.card[tabindex="0"]')?.setAttribute("tabindex", "-1");
  card?.setAttribute("tabindex", "0");
}

function columnCount() {
  return getComputedStyle(grid).gridTemplateColumns.split(" ").length;
}
