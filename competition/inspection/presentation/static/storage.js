// What this browser keeps; some keep nothing for pages opened from disk.
const memory = new Map();
let storageWorks = true;

function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    storageWorks = false;
    return memory.get(key) ?? null;
  }
}

function keep(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    storageWorks = false;
    memory.set(key, text);
  }
}
