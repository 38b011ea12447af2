// A person's marks of labelled rows, stored in the browser under the data set's fingerprint.
const MARKS = `digit-marks-${data.fingerprint}`;
const WHO = "digit-marks-who";
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
function setMarks(rows, mark, label = null) {
  marks = readMarks();
  const [who, when] = [recall(WHO) ?? "", `${new Date().toISOString().slice(0, 19)}Z`];
  for (const row of rows) {
    if (mark) marks[data.id[row]] = { given: labelOf(row), mark, label, who, when };
    else delete marks[data.id[row]];
  }
  keep(MARKS, JSON.stringify(marks));
}

// A name goes into a cell of a CSV as it is.
const asCell = (name) => name.replace(/[",;\r\n]/g, " ").trim();

function marksAsCsv() {
  const ids = Object.keys(marks).map(Number).sort((one, other) => one - other);
  const lines = ids.map((id) => {
    const { given, mark, label, who = "", when = "" } = marks[id];
    return [id, given, mark, label ?? "", who, when].join(",");
  });
  return [data.markColumns.join(","), ...lines, ""].join("\n");
}
