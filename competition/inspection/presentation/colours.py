"""The colours of figures, and how dark the cells of a table of counts are.

They are those of `static/base.css` and `static/report.css` in a light page; a page that is dark
puts its own in their place. Series follow M. Okabe and K. Ito, "Color Universal Design", 2008:
they can be told apart without telling red from green.
"""

import numpy as np

# How dark a cell of a confusion matrix can be; 0 is for none.
SHADES = 5

INK, QUIET, LINE, SURFACE = "#1c1e22", "#575c66", "#dcdcd6", "#ffffff"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#00805d", "#b5598c"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, INK)
SHADE_FILLS = (SURFACE, "#e3eef5", "#bcd7e8", "#86b6d4", "#2b75a3", "#00527f")
# A step beside black and white, so that a page can tell them from other text.
ON_LIGHT_SHADE, ON_DARK_SHADE = "#1c1e21", "#fffffe"

# Labelled rows and what is true, test rows and what is predicted: as text on white.
DEEP_BLUE, RUST = "#005f96", "#a84300"

# The names that style sheets have for them.
VARIABLES = {
    INK: "ink", QUIET: "quiet", LINE: "line", SURFACE: "surface",
    BLUE: "blue", VERMILLION: "vermillion", GREEN: "green", PURPLE: "purple",
    ON_LIGHT_SHADE: "on-light-shade", ON_DARK_SHADE: "on-dark-shade",
    **{fill: f"shade{step}" for step, fill in enumerate(SHADE_FILLS) if step},
}  # fmt: skip


def shades(counts: np.ndarray) -> np.ndarray:
    """Returns how dark each cell is, int from 0 to `SHADES`; roots, so that small ones differ."""
    return np.ceil(np.sqrt(counts / max(1, counts.max())) * SHADES).astype(int)


def on_shade(shade: int) -> str:
    """Returns the colour of text on a shade."""
    return ON_LIGHT_SHADE if shade <= 3 else ON_DARK_SHADE
