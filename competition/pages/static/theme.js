// Light or dark: the setting of the system, until a person chooses.
const THEME = "digit-theme";
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return recall(THEME) ?? (systemIsDark.matches ? "dark" : "light");
}

function applyTheme() {
  document.documentElement.dataset.theme = theme();
  const button = document.getElementById("theme");
  if (button) button.textContent = theme() === "dark" ? "Light" : "Dark";
}

function toggleTheme() {
  keep(THEME, theme() === "dark" ? "light" : "dark");
  applyTheme();
}

applyTheme();
systemIsDark.addEventListener("change", applyTheme);
// Prints use the light theme.
addEventListener("beforeprint", () => (document.documentElement.dataset.theme = "light"));
addEventListener("afterprint", applyTheme);
document.addEventListener("DOMContentLoaded", () => {
  applyTheme();
  document.getElementById("theme").addEventListener("click", toggleTheme);
});
