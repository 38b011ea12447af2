// A person's marks of labelled rows, stored in the browser under the data set's fingerprint.
const MARKS = `digit-marks-${data.fingerprint}`;
let marks = readMarks();

function readMarks() {
  try {
    return JSON.parse(recall(MARKS)) ?? {};
  } catch {
    return {};
  }
}

const markOf = (row) => (isTest(row) ? undefined : marks[data.id[row]]);

// Other galleries of the same data may be open: read their marks first, to lose none.
function setMark(row, mark, label = null) {
  marks = readMarks();
  if (mark) marks[data.id[row]] = { given: labelOf(row), mark, label };
  else delete marks[data.id[row]];
  keep(MARKS, JSON.stringify(marks));
}

function marksAsCsv() {
  const ids = Object.keys(marks).map(Number).sort((one, other) => one - other);
  const lines = ids.map((id) => [id, marks[id].given, marks[id].mark, marks[id].label ?? ""].join(","));
  return [data.markColumns.join(","), ...lines, ""].join("\n");
}
