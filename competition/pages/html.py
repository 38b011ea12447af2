"""Templates made into one self-contained page: style, scripts and data inside, nothing fetched."""

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from competition.digits import SIDE

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

# Digits per sprite: browsers keep the decoded sprites of what is seen, so each must be small.
SPRITE_COLUMNS, SPRITE_ROWS = 32, 32
DIGITS_PER_SPRITE = SPRITE_COLUMNS * SPRITE_ROWS


def render(template: str, **values: Any) -> str:
    """Returns a page; every value is escaped, so that text stays text.

    Templates take files of `static/` in with `static("name")`, and data with `value | tojson`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Style and scripts are our own, and no value of a user's is in them.
    environment.globals["static"] = lambda name: markup((STATIC / name).read_text(encoding="utf-8"))
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template).render(values)


def markup(text: str) -> "Markup":
    """Returns HTML that stays as it is; what a user wrote must be escaped in it already."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (that is what it is for)


def sprites(images: np.ndarray) -> list[str]:
    """Returns grey PNG images as data URIs, on which the digits stand in rows of 32.

    Args:
        images: uint8 `[n, 28, 28]`.
    """
    parts = range(0, len(images), DIGITS_PER_SPRITE)
    return [_sprite(images[start : start + DIGITS_PER_SPRITE]) for start in parts]


def _sprite(images: np.ndarray) -> str:
    lines = -(-len(images) // SPRITE_COLUMNS)
    full = np.zeros((lines * SPRITE_COLUMNS, SIDE, SIDE), np.uint8)
    full[: len(images)] = images
    grid = full.reshape(lines, SPRITE_COLUMNS, SIDE, SIDE).swapaxes(1, 2)
    return data_uri(grid.reshape(lines * SIDE, SPRITE_COLUMNS * SIDE))


def data_uri(picture: np.ndarray) -> str:
    """Returns a picture, uint8, grey `[h, w]` or BGRA `[h, w, 4]`, as the data URI of a PNG."""
    import cv2

    settings = [cv2.IMWRITE_PNG_COMPRESSION, 6]  # 9 takes ten times as long, for 3 % less
    _, png = cv2.imencode(".png", picture, settings)
    return f"data:image/png;base64,{b64encode(png.tobytes()).decode()}"
