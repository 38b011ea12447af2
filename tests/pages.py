"""What the tests of pages share: contrast, the colours of every text, and axe-core's faults."""

import hashlib
import io
import re
import tarfile
import urllib.error
import urllib.request
import warnings
from base64 import b64encode
from functools import cache
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from competition import storage

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


def assert_address_ends(page, end: str) -> None:
    """Asserts how the page's address ends, of whose changes the browser tells a moment later."""
    expect(page).to_have_url(re.compile(f"{re.escape(end)}$"))


def assert_readable(page, fewest: int) -> None:
    """Asserts that at least so many texts are shown, each with enough contrast."""
    found = page.evaluate(TEXT_COLOURS)
    assert len(found) >= fewest
    for what, colour, behind in found:
        assert contrast(colour, behind) >= 4.5, f"{what}: {colour} on {behind}"


# The registry's own digest of this version.
AXE_URL = "https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz"
AXE_SHA512 = (
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)
AXE_CACHE = Path.home() / ".cache" / "digit-recognizer" / Path(AXE_URL).name
FAULTS = """async () => (await axe.run({resultTypes: ["violations"]})).violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))}`)"""


@cache
def axe() -> str | None:
    """Returns the script of axe-core, which is downloaded once and then kept in the user's cache.

    None, with a warning, where the registry cannot be reached.
    """
    if not AXE_CACHE.exists():
        try:
            with urllib.request.urlopen(AXE_URL, timeout=60) as response:
                content = response.read()
        except (urllib.error.URLError, TimeoutError) as error:
            warnings.warn(f"axe-core looked at no page: {AXE_URL}: {error}", stacklevel=1)
            return None
        AXE_CACHE.parent.mkdir(parents=True, exist_ok=True)
        with storage.atomic_file(AXE_CACHE) as partial:
            partial.write_bytes(content)
    content = AXE_CACHE.read_bytes()
    found = b64encode(hashlib.sha512(content).digest()).decode()
    assert found == AXE_SHA512, f"{AXE_CACHE} is not what the registry has; delete it"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def assert_accessible(page) -> None:
    """Asserts that axe-core finds no serious or critical fault."""
    if (script := axe()) is None:
        return
    page.evaluate(script)
    faults = page.evaluate(FAULTS)
    assert not faults, "\n".join(faults)
