// Marks of other people, from files that a gallery exported: of two marks the later one counts.
const AUTHORS = 2; // columns that a file may lack

// Returns [id, mark] of each line, or throws what is wrong with a line.
function parseMarks(text) {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  const cells = lines.map((line) => line.split(/[,;]/).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1")));
  const columns = data.markColumns;
  if (![columns, columns.slice(0, -AUTHORS)].some((one) => `${one}` === `${cells[0]}`)) {
    throw new Error(`the first line is expected to be ${columns.join(",")}`);
  }
  return cells.flatMap((line, at) => (at && line.some(Boolean) ? [parseMark(line, at + 1)] : []));
}

function parseMark([id, given, mark, label, who = "", when = ""], line) {
  const row = rowsByName.get(`train-${id}`);
  const wrong = (text) => new Error(`line ${line}: ${text}`);
  if (!/^\d{1,9}$/.test(id) || !/^\d$/.test(given)) throw wrong(`'${id},${given}' is no row with a label`);
  if (row !== undefined && labelOf(row) !== Number(given)) {
    throw wrong(`the label of row ${id} is ${labelOf(row)}, not ${given}: were the marks made on other data?`);
  }
  if (!data.marks.includes(mark)) throw wrong(`the mark is '${mark}', expected one of ${data.marks.join(", ")}`);
  if (label && (mark !== data.marks[0] || !/^\d$/.test(label))) throw wrong(`a ${mark} has no label '${label}'`);
  return [id, { given: Number(given), mark, label: label ? Number(label) : null, who, when }];
}

function mergeMarks(found) {
  marks = readMarks();
  const [differ, count] = [[], { added: 0, same: 0, newer: 0 }];
  for (const [id, theirs] of found) {
    const mine = marks[id];
    const isSame = mine && mine.mark === theirs.mark && mine.label === theirs.label;
    const isNewer = mine && !isSame && theirs.when > (mine.when ?? "");
    if (mine && !isSame) differ.push(id);
    count.added += !mine;
    count.same += Boolean(isSame);
    count.newer += Boolean(isNewer);
    if (!mine || isNewer) marks[id] = theirs;
  }
  keep(MARKS, JSON.stringify(marks));
  return { ...count, differ };
}

// Either all lines of a file are taken or none.
async function importMarks(files) {
  const said = [];
  for (const file of files) {
    try {
      const { added, same, newer, differ } = mergeMarks(parseMarks(await file.text()));
      said.push(`${file.name}: ${added} new, ${same} the same, ${differ.length} different`);
      if (!differ.length) continue;
      const link = element("a", "", differ.map((id) => `#${id}`).join(" "));
      link.href = `#view=all&ids=${differ.map((id) => `train-${id}`).join("+")}`;
      said.push(` (of these, ${newer} later than yours and taken): `, link);
    } catch (error) {
      said.push(`${file.name}: nothing is taken; ${error.message}`);
    }
    said.push(document.createElement("br"));
  }
  byId("imported").replaceChildren(...said);
  byId("import").value = "";
  showMarks();
}
