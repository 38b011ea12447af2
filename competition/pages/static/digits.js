// Digits are pieces of sprites, each an image of many; a sprite is decoded when first shown.
const sprites = new Set();
const spriteRules = document.head.appendChild(document.createElement("style")).sheet;

function showDigit(picture, row) {
  const number = Math.floor(row / data.digitsPerSprite);
  const place = row % data.digitsPerSprite;
  if (!sprites.has(number)) {
    sprites.add(number);
    spriteRules.insertRule(`[data-sprite="${number}"] { background-image: url("${data.sprites[number]}"); }`);
  }
  picture.dataset.sprite = number;
  picture.style.setProperty("--column", place % data.spriteColumns);
  picture.style.setProperty("--line", Math.floor(place / data.spriteColumns));
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
