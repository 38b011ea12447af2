// The page as a whole: its address holds the state; controls and keys change the address.
const byId = (id) => document.getElementById(id);
let state = readState(location.hash);
let rows = [];
let shownAs = "";

function go(changes, { replace = false } = {}) {
  const next = { ...state, page: 1, ...changes };
  const address = writeState(next);
  if (address !== (location.hash || "#")) {
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
  }
  state = next;
  show();
}

const chosenRow = () => rowsByName.get(state.row);
const pageCount = () => Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
const pageRows = (page) => rows.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE);

function show() {
  const { row, page, ...choice } = state;
  const wanted = JSON.stringify(choice);
  const isNew = !shownAs.startsWith(wanted);
  if (isNew) {
    rows = selectedRows(state, markOf);
    keepSelected(rows);
  }
  state.page = Math.min(page, pageCount());
  if (`${wanted}${state.page}` !== shownAs) {
    shownAs = `${wanted}${state.page}`;
    showCards(pageRows(state.page));
    makeReachable(grid.querySelector(".card"));
  }
  showControls();
  showSummary();
  showSelection();
  showChosen();
}

function showChosen() {
  const row = chosenRow();
  showDetail(row);
  grid.querySelector(".chosen")?.classList.remove("chosen");
  const card = row === undefined ? null : cardOf(row);
  card?.classList.add("chosen");
  if (card) makeReachable(card);
}

function showControls() {
  const press = (button, isPressed) => button.setAttribute("aria-pressed", isPressed);
  document.querySelectorAll("[data-view]").forEach((one) => press(one, one.dataset.view === state.view));
  document.querySelectorAll("[data-note]").forEach((one) => (one.hidden = one.dataset.note !== state.view));
  document.querySelectorAll("#matrix button, #predictions button").forEach((one) => press(one, isPressedCell(one.dataset)));
  const kind = state.view === "test" ? "test" : "labelled";
  document.querySelectorAll("[data-only]").forEach((one) => (one.hidden = one.dataset.only !== kind));
  byId("range-note").hidden = state.from <= state.to;
  document.querySelectorAll("[data-member]").forEach((one) => {
    const name = one.dataset.member;
    one.value = state.right.includes(name) ? "right" : state.wrong.includes(name) ? "wrong" : "";
  });
  byId("agree").checked = state.agree;
  for (const id of ["from", "to", "mark", "sort", "ids"]) byId(id).value = state[id];
  showExport();
}

function showExport() {
  const count = Object.keys(marks).length;
  byId("export").disabled = !count;
  byId("export").textContent = count ? `Export ${count} mark${count === 1 ? "" : "s"}` : "Export marks";
  byId("storage-notice").hidden = storageWorks;
}

// A cell has label and prediction, a heading only one of them.
function isPressedCell({ label, predicted }) {
  return (label === undefined || label === state.label) && (predicted === undefined || predicted === state.predicted);
}

function showSummary() {
  const total = data.views[state.view].length;
  const amount = rows.length === total ? "" : ` of ${total.toLocaleString("en")}`;
  byId("summary").textContent = `${rows.length.toLocaleString("en")}${amount} digit${total === 1 ? "" : "s"}`;
  byId("empty").hidden = rows.length > 0;
  showMissing();
  byId("clear").hidden = !isFiltered(state);
  byId("pager").hidden = pageCount() === 1;
  byId("page").textContent = `page ${state.page} of ${pageCount()}`;
  byId("previous-page").disabled = state.page === 1;
  byId("next-page").disabled = state.page === pageCount();
  byId("chips").replaceChildren(...chips().map(makeChip));
}

function showMissing() {
  const missing = namesOf(state.ids).filter((names) => !names.some((name) => rowsByName.has(name)));
  const named = missing.slice(0, 10).map((names) => names[0].replace("train-", "#"));
  byId("missing").hidden = !missing.length;
  byId("missing").textContent =
    `Not on this page: ${named.join(", ")}${missing.length > 10 ? ` and ${missing.length - 10} more` : ""}.` +
    (data.isWhole ? "" : " make gallery adds those of the exploration, ALL=1 all labelled ones.");
}

function chips() {
  const without = (key, name) => ({ [key]: state[key].filter((one) => one !== name) });
  const found = [
    [state.label !== "", `label ${state.label}`, { label: "" }],
    [state.predicted !== "", `predicted ${state.predicted}`, { predicted: "" }],
    ...state.right.map((name) => [true, `${name} right`, without("right", name)]),
    ...state.wrong.map((name) => [true, `${name} wrong`, without("wrong", name)]),
    [state.agree, "all against the label", { agree: false }],
    [state.from > 0 || state.to < 100, `confidence ${state.from} to ${state.to}%`, { from: 0, to: 100 }],
    [state.mark !== "", `marked: ${state.mark}`, { mark: "" }],
    [state.ids !== "", chosenIds(), { ids: "" }],
  ];
  return found.filter(([isActive]) => isActive);
}

function chosenIds() {
  const count = namesOf(state.ids).length;
  return count > 3 ? `${count} chosen rows` : `id ${state.ids}`;
}

function makeChip([, text, changes]) {
  const chip = element("button", "", `${text} ✕`);
  chip.type = "button";
  chip.setAttribute("aria-label", `remove the filter ${text}`);
  chip.addEventListener("click", () => {
    go(changes); // replaces the chips, so the focus would be lost
    (byId("chips").querySelector("button") ?? byId("sort")).focus();
  });
  return chip;
}

// Marks all selected digits, or else this one.
function mark(row, kind, label = null) {
  const marked = selected.size ? [...selected] : [row];
  setMarks(marked.filter((one) => one !== undefined && !isTest(one) && labelOf(one) !== label), kind, label);
  showMarks();
}

function showMarks() {
  cards().forEach(showMark);
  if (chosenRow() !== undefined) showMarking(chosenRow());
  showExport();
}

// From the focused digit, or else the chosen one, by as many steps; on to the next page if needed.
function move(steps) {
  if (!rows.length) return;
  const here = rows.indexOf(currentRow());
  const wanted = here < 0 ? (state.page - 1) * PAGE_SIZE : here + steps;
  const there = Math.max(0, Math.min(rows.length - 1, wanted));
  const row = rows[there];
  const page = Math.floor(there / PAGE_SIZE) + 1;
  if (page !== state.page || state.row) go({ page, row: state.row && nameOf(row) }, { replace: true });
  focusCard(row);
}

// The focus stays on the buttons beside the digit while a person uses them.
function focusCard(row) {
  const card = cardOf(row);
  if (!card) return;
  makeReachable(card);
  if (detail.hidden || !detail.contains(document.activeElement)) card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function currentRow() {
  const focused = document.activeElement.closest?.(".card");
  return focused ? Number(focused.dataset.row) : chosenRow();
}

function closeDetail() {
  const row = chosenRow();
  go({ row: "", page: state.page });
  focusCard(row);
}

const MOVES = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: () => -columnCount(),
  ArrowDown: () => columnCount(),
  Home: () => (state.page - 1) * PAGE_SIZE - rows.indexOf(currentRow()),
  End: () => Math.min(rows.length, state.page * PAGE_SIZE) - 1 - rows.indexOf(currentRow()),
};

function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.key === "Escape" && state.row) return closeDetail();
  if (event.key === "Escape") return selectNone();
  if (target.matches("input, select")) return;
  if (event.key === "?") return byId("help").showModal();
  if (event.key === "s") return toggleSelected(currentRow());
  if (onDigitKey(event)) return event.preventDefault();
  const isAmongDigits = target === document.body || target.closest(".results .grid, .detail");
  if (isAmongDigits && event.key in MOVES) {
    event.preventDefault();
    move(MOVES[event.key]());
  }
}

// `code` is the place of a key, so Shift and a digit work in every keyboard layout.
function onDigitKey(event) {
  const place = /^Digit([0-9])$/.exec(event.code)?.[1];
  const row = currentRow();
  if (event.shiftKey && place) {
    mark(row, data.marks[0], Number(place));
    return true;
  }
  const digit = place ?? event.key;
  if (!/^[0-3]$/.test(digit)) return false;
  mark(row, digit === "0" ? null : data.marks[digit - 1]);
  return true;
}

function onMatrixClick(event) {
  const cell = event.target.closest("button")?.dataset;
  if (!cell) return;
  const isPressed = isPressedCell(cell);
  const changes = {};
  if (cell.label !== undefined) changes.label = isPressed ? "" : cell.label;
  if (cell.predicted !== undefined) changes.predicted = isPressed ? "" : cell.predicted;
  go(changes);
}

function onMember(event) {
  const { member } = event.target.dataset;
  const changes = {};
  for (const side of ["right", "wrong"]) {
    const others = state[side].filter((name) => name !== member);
    changes[side] = event.target.value === side ? [...others, member] : others;
  }
  go(changes);
}

// The buttons in the panel are for its digit alone.
function onMarkButton({ target }) {
  const button = target.closest("button");
  const row = chosenRow();
  if (button?.dataset.mark) {
    setMarks([row], button.dataset.mark === markOf(row)?.mark ? null : button.dataset.mark);
  } else if (button?.dataset.believed) {
    const label = Number(button.dataset.believed);
    setMarks([row], data.marks[0], label === markOf(row).label ? null : label);
  }
  showMarks();
}

function onSelectionButton({ target }) {
  const kind = target.closest("button")?.dataset.mark;
  if (kind === undefined) return;
  setMarks([...selected], kind || null);
  showMarks();
}

// Whatever is looked for, it is looked for among all digits of the page.
function onSearch(event) {
  event.preventDefault();
  const found = readState(`#ids=${encodeURIComponent(byId("ids").value)}`).ids;
  go(found ? { ...NO_FILTERS, view: "all", sort: data.sorts.all, ids: found, row: "" } : { ids: "" });
}

function showPredictions() {
  byId("predictions").querySelectorAll("button").forEach((button) => {
    const fits = (row) => data.prediction[row] === Number(button.dataset.predicted);
    button.querySelector(".count").textContent = data.views.test.filter(fits).length;
  });
}

function turnPage(step) {
  go({ page: state.page + step });
  byId("digits").scrollIntoView();
}

function onCard(event) {
  const card = event.target.closest(".card");
  const row = Number(card?.dataset.row);
  if (!card) return;
  if (event.shiftKey) selectTo(row);
  else if (isSelecting || event.ctrlKey || event.metaKey) toggleSelected(row);
  else go({ row: nameOf(row), page: state.page });
}

function listen() {
  const on = (id, type, action) => byId(id).addEventListener(type, action);
  document.querySelectorAll("[data-view]").forEach((button) => {
    const { view } = button.dataset;
    const filters = view === "test" ? NO_LABEL_FILTERS : {};
    button.addEventListener("click", () => go({ ...filters, view, ids: "", sort: data.sorts[view], row: "" }));
  });
  document.querySelectorAll("[data-member]").forEach((one) => one.addEventListener("change", onMember));
  on("matrix", "click", onMatrixClick);
  on("predictions", "click", onMatrixClick);
  on("search", "submit", onSearch);
  on("swap", "click", () => go({ from: state.to, to: state.from }));
  on("who", "change", (event) => keep(WHO, asCell(event.target.value)));
  on("import", "change", (event) => importMarks([...event.target.files]));
  on("select", "click", () => {
    isSelecting = !isSelecting && !selected.size;
    if (isSelecting) showSelection();
    else selectNone();
  });
  on("selection", "click", onSelectionButton);
  on("select-all", "click", () => pageRows(state.page).forEach((row) => toggleSelected(row, true)));
  on("select-none", "click", selectNone);
  on("agree", "change", (event) => go({ agree: event.target.checked }));
  on("from", "change", (event) => go({ from: readPercent(event.target.value, 0) }));
  on("to", "change", (event) => go({ to: readPercent(event.target.value, 100) }));
  on("mark", "change", (event) => go({ mark: event.target.value }));
  on("sort", "change", (event) => go({ sort: event.target.value }));
  on("clear", "click", () => go(NO_FILTERS));
  on("previous-page", "click", () => turnPage(-1));
  on("next-page", "click", () => turnPage(1));
  on("grid", "click", onCard);
  on("marking", "click", onMarkButton);
  on("previous", "click", () => move(-1));
  on("next", "click", () => move(1));
  on("close", "click", closeDetail);
  on("export", "click", () => download(`marks-${data.name}.csv`, marksAsCsv()));
  on("keys", "click", () => byId("help").showModal());
  on("filters-button", "click", toggleFilters);
  on("skip", "click", skipToDigits);
  document.addEventListener("keydown", onKey);
  addEventListener("popstate", goBack);
  addEventListener("storage", () => { marks = readMarks(); applyTheme(); showMarks(); });
}

// Keys act on the focused digit, so the focus follows the one that is shown.
function goBack() {
  state = readState(location.hash);
  show();
  if (grid.contains(document.activeElement) && chosenRow() !== undefined) focusCard(chosenRow());
}

function toggleFilters() {
  const isShown = byId("filters").classList.toggle("shown");
  byId("filters-button").setAttribute("aria-expanded", isShown);
  if (isShown) byId("filters").scrollIntoView(); // they open above the button
}

// The hash of the address holds the state, so the link cannot use it.
function skipToDigits(event) {
  event.preventDefault();
  if (rows.length) focusCard(pageRows(state.page)[0]);
}

listen();
byId("who").value = recall(WHO) ?? "";
showPredictions();
show();
