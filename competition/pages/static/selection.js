// Several digits, to be marked at once.
const selected = new Set();
let isSelecting = false;
let lastSelected;

function showSelection() {
  const isOn = isSelecting || selected.size > 0;
  for (const card of cards()) {
    if (isOn) card.setAttribute("aria-pressed", selected.has(Number(card.dataset.row)));
    else card.removeAttribute("aria-pressed");
  }
  byId("selection").hidden = !isOn;
  byId("select").setAttribute("aria-pressed", isOn);
  byId("selected-count").textContent = `${selected.size} selected`;
}

function toggleSelected(row, isWanted = !selected.has(row)) {
  if (row === undefined || isTest(row)) return;
  if (isWanted) selected.add(row);
  else selected.delete(row);
  lastSelected = row;
  showSelection();
}

// With Shift, all from the last one to this one.
function selectTo(row) {
  const ends = [rows.indexOf(lastSelected ?? row), rows.indexOf(row)].sort((one, other) => one - other);
  for (const each of rows.slice(Math.max(0, ends[0]), ends[1] + 1)) toggleSelected(each, true);
}

function selectNone() {
  isSelecting = false;
  selected.clear();
  lastSelected = undefined;
  showSelection();
}

// What no longer is shown is no longer selected.
function keepSelected(rows) {
  const shown = new Set(rows);
  for (const row of selected) if (!shown.has(row)) selected.delete(row);
}
