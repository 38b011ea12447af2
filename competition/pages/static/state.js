// The state in the page's address: #view=mistakes&label=4&predicted=9&sort=margin&row=train-17
// These filters need a label, so they do not apply to test rows.
const NO_LABEL_FILTERS = { label: "", right: [], wrong: [], agree: false, mark: "" };
const NO_FILTERS = { ...NO_LABEL_FILTERS, predicted: "", from: 0, to: 100, ids: "" };
const START = { view: "mistakes", ...NO_FILTERS, sort: "loss", page: 1, row: "" };

function readState(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const one = (key, allowed, fallback) => (allowed.includes(given.get(key)) ? given.get(key) : fallback);
  const digits = [..."0123456789"];
  const members = (key) => data.members.filter((name) => given.getAll(key).includes(name));
  const view = one("view", Object.keys(data.views), START.view);
  return {
    view,
    label: one("label", digits, ""),
    predicted: one("predicted", digits, ""),
    right: members("right"),
    wrong: members("wrong"),
    agree: given.get("agree") === "yes",
    from: readPercent(given.get("from"), 0),
    to: readPercent(given.get("to"), 100),
    ids: namesOf(given.get("ids") ?? "").map((names) => (names.length > 1 ? names[0].slice(6) : names[0])).join(" "),
    mark: one("mark", ["none", "any", ...data.marks], ""),
    sort: one("sort", Object.keys(SORT_KEYS), data.sorts[view]),
    page: Math.max(1, Number.parseInt(given.get("page"), 10) || 1),
    row: one("row", rowsByName.has(given.get("row")) ? [given.get("row")] : [], ""),
  };
}

function readPercent(text, fallback) {
  const number = Number(text);
  return text === null || text === "" || !(number >= 0 && number <= 100) ? fallback : number;
}

// Default values are left out.
function writeState(state) {
  const address = new URLSearchParams();
  const usual = { ...START, sort: data.sorts[state.view] };
  for (const [key, value] of Object.entries(state)) {
    if (Array.isArray(value)) value.forEach((name) => address.append(key, name));
    else if (value === true) address.set(key, "yes");
    else if (value !== usual[key]) address.set(key, value);
  }
  return `#${address}`;
}

function isFiltered(state) {
  return JSON.stringify({ ...state, ...NO_FILTERS }) !== JSON.stringify(state);
}
