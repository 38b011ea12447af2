// The rows of the page, by number: labelled rows first, then test rows.
const data = JSON.parse(document.getElementById("data").textContent);
const CLASSES = 10;
const memberCount = data.members.length;

const isTest = (row) => row >= data.labelled;
const labelOf = (row) => (isTest(row) ? null : data.label[row]);
const voteOf = (row, member) => data.votes[row * memberCount + member];

// Probabilities are integers, in per mille.
const ensembleOf = (row, label) => data.ensemble[row * CLASSES + label];
const memberOf = (row, member, label) => data.memberValues[(row * memberCount + member) * CLASSES + label];
const confidenceOf = (row) => ensembleOf(row, data.prediction[row]);
const percent = (perMille) => `${(perMille / 10).toFixed(1)}%`;

const nameOf = (row) => `${isTest(row) ? "test" : "train"}-${data.id[row]}`;
const rowsByName = new Map(data.id.map((_, row) => [nameOf(row), row]));

function agreesAgainstLabel(row) {
  const vote = voteOf(row, 0);
  if (isTest(row) || vote === labelOf(row)) return false;
  for (let member = 1; member < memberCount; member++) {
    if (voteOf(row, member) !== vote) return false;
  }
  return true;
}

// The smallest key comes first; rows without one come last.
const SORT_KEYS = {
  loss: Float64Array.from(data.id, (_, row) => (isTest(row) ? Infinity : -data.loss[row])),
  margin: Float64Array.from(data.margin),
  disagreement: Float64Array.from(data.disagreement, (value) => -value),
  rank: Float64Array.from(data.id, (_, row) => data.rank[row] || Infinity),
  id: Float64Array.from(data.id, (id, row) => (isTest(row) ? 1e9 + id : id)),
};

// The names that a text of ids means: a number alone is the id of a labelled and of a test row.
function namesOf(ids) {
  const found = ids.match(/(train-|test-)?\d+/g) ?? [];
  return found.map((id) => (id.includes("-") ? [id] : [`train-${id}`, `test-${id}`]));
}

function selectedRows(state, markOf) {
  const names = new Set(namesOf(state.ids).flat());
  const rows = data.views[state.view].filter(
    (row) => (!names.size || names.has(nameOf(row))) && fits(row, state, markOf),
  );
  const key = SORT_KEYS[state.sort];
  // Ties keep the page's order, and so do two infinite keys: their difference is NaN.
  return rows.sort((one, other) => key[one] - key[other] || one - other);
}

function fits(row, state, markOf) {
  const confidence = confidenceOf(row);
  return (
    (state.label === "" || labelOf(row) === Number(state.label)) &&
    (state.predicted === "" || data.prediction[row] === Number(state.predicted)) &&
    confidence >= state.from * 10 &&
    confidence <= state.to * 10 &&
    (!state.agree || agreesAgainstLabel(row)) &&
    fitsMembers(row, state) &&
    fitsMark(row, state.mark, markOf)
  );
}

function fitsMembers(row, state) {
  if (isTest(row)) return !state.right.length && !state.wrong.length;
  const isRight = (name) => voteOf(row, data.members.indexOf(name)) === labelOf(row);
  return state.right.every(isRight) && !state.wrong.some(isRight);
}

function fitsMark(row, wanted, markOf) {
  if (!wanted) return true;
  const mark = markOf(row)?.mark;
  return wanted === "none" ? !mark : wanted === "any" ? Boolean(mark) : mark === wanted;
}
