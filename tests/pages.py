"""What the tests of pages share: contrast, and the colours of every text."""

import re

import numpy as np

# Every element that has text of its own, with its colour and that of what lies behind it.
TEXT_COLOURS = """() => [...document.querySelectorAll("body *")].filter(one =>
    one.offsetParent && !one.disabled &&
    [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())
).map(one => {
    let behind = one;
    const colour = () => getComputedStyle(behind).backgroundColor;
    while (colour() === "rgba(0, 0, 0, 0)" && behind.parentElement) behind = behind.parentElement;
    return [`${one.tagName}.${one.className} ${one.textContent.trim()}`.slice(0, 60),
            getComputedStyle(one).color, colour()];
})"""


def contrast(one: str, other: str) -> float:
    """Returns the contrast of two `rgb(r, g, b)` as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Returns the relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    shares = np.array(re.findall(r"[\d.]+", colour)[:3], float) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def assert_readable(page, fewest: int) -> None:
    """Asserts that at least so many texts are shown, each with enough contrast."""
    found = page.evaluate(TEXT_COLOURS)
    assert len(found) >= fewest
    for what, colour, behind in found:
        assert contrast(colour, behind) >= 4.5, f"{what}: {colour} on {behind}"
