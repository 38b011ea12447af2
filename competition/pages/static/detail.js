// The panel with everything about the chosen digit.
const detail = document.getElementById("detail");
const detailPart = (id) => document.getElementById(id);

function showDetail(row) {
  detail.hidden = row === undefined;
  detailPart("layout").classList.toggle("open", !detail.hidden);
  if (detail.hidden) return;
  detailPart("detail-title").textContent = `${isTest(row) ? "Test row" : "Row"} ${data.id[row]}`;
  showDigit(detailPart("detail-digit"), row);
  detailPart("detail-digit").setAttribute("aria-label", describe(row));
  detailPart("verdict").replaceChildren(...verdict(row));
  detailPart("classes").replaceChildren(...classBars(row));
  detailPart("votes").replaceChildren(...data.members.map((name, member) => voteLine(row, name, member)));
  detailPart("figures").replaceChildren(...figures(row).flatMap(figure));
  showMarking(row);
  showWhy(row);
  showSimilar(row);
}

function showSimilar(row) {
  const numbers = data.similar[row];
  detailPart("similar").hidden = !numbers.length;
  detailPart("similar-digits").replaceChildren(...numbers.map(similarDigit));
}

// A link, if the page has the digit.
function similarDigit(number) {
  const [id, label] = [data.similarId[number], data.similarLabel[number]];
  const name = `train-${id}`;
  const made = element(rowsByName.has(name) ? "a" : "span", "");
  if (made.tagName === "A") made.href = `#view=all&row=${name}`;
  const picture = element("span", "digit");
  showDigit(picture, data.id.length + number);
  made.append(picture, element("b", "true", label), ` #${id}`);
  const item = element("li", "");
  item.append(made);
  return item;
}

function showWhy(row) {
  const line = detailPart("why");
  if (!line) return;
  line.hidden = isTest(row) || !data.explained.includes(data.id[row]);
  line.firstElementChild.hash = `row-${data.id[row]}`;
}

function verdict(row) {
  const predicted = element("b", "predicted", data.prediction[row]);
  const confidence = ` with ${percent(confidenceOf(row))}`;
  if (isTest(row)) return ["predicted ", predicted, confidence];
  return ["label ", element("b", "true", labelOf(row)), ", predicted ", predicted, confidence];
}

function classBars(row) {
  return data.ensemble.slice(row * CLASSES, (row + 1) * CLASSES).map((value, label) => {
    const line = element("div", "class");
    const track = element("span", "track");
    const fill = element("span", "fill");
    fill.style.width = `${value / 10}%`;
    track.append(fill, ...data.members.map((_, member) => tick(memberOf(row, member, label))));
    line.append(element("b", roleOf(row, label), label), track, element("span", "value", percent(value)));
    return line;
  });
}

function tick(value) {
  const made = element("span", "tick");
  made.style.left = `${value / 10}%`;
  made.hidden = value < 5;
  return made;
}

function voteLine(row, name, member) {
  const vote = voteOf(row, member);
  const line = document.createElement("tr");
  const isRight = vote === labelOf(row);
  const cells = [name, vote, percent(memberOf(row, member, vote)), isTest(row) ? "" : isRight ? "✓ right" : "✗ wrong"];
  line.append(...cells.map((text) => element("td", "", text)));
  return line;
}

function figures(row) {
  const always = [
    ["Margin", data.margin[row].toFixed(4)],
    ["Disagreement", data.disagreement[row].toFixed(4)],
  ];
  if (isTest(row)) return always;
  const rank = data.rank[row] ? `rank ${data.rank[row]}${data.confident[row] ? " ★" : ""}` : "no";
  return [
    ["Fold", data.fold[row]],
    ["Loss", data.loss[row].toFixed(4)],
    ...always,
    ["Likely label error", rank],
  ];
}

const figure = ([name, value]) => [element("dt", "", name), element("dd", "", value)];

function showMarking(row) {
  const mark = markOf(row);
  detailPart("marking").hidden = isTest(row);
  detailPart("no-marking").hidden = !isTest(row);
  detailPart("marked-by").hidden = !mark?.when;
  detailPart("marked-by").textContent = mark ? `Marked ${mark.who ? `by ${mark.who}, ` : ""}${mark.when?.slice(0, 10)}.` : "";
  for (const button of detail.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", button.dataset.mark === mark?.mark);
  }
  detailPart("believed").hidden = mark?.mark !== data.marks[0];
  for (const button of detail.querySelectorAll("[data-believed]")) {
    button.setAttribute("aria-pressed", Number(button.dataset.believed) === mark?.label);
    button.disabled = Number(button.dataset.believed) === labelOf(row);
  }
}
