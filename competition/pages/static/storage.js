// Storage of this browser; some store nothing for pages from disk, or have no space left.
const memory = new Map();
let storageWorks = true;

function recall(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return localStorage.getItem(key);
  } catch {
    storageWorks = false;
    return null;
  }
}

function keep(key, text) {
  try {
    localStorage.setItem(key, text);
    memory.delete(key);
  } catch {
    storageWorks = false;
    memory.set(key, text);
  }
}
