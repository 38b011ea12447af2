"""Templates made into one self-contained page: style, scripts and data inside, nothing fetched."""

from base64 import b64encode
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"


def render(template: str, **values) -> str:
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
    environment.globals["static"] = _static
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template).render(values)


def png_data_uri(png: bytes) -> str:
    """Returns the bytes of a PNG file as an address that holds them (RFC 2397)."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _static(name: str):
    """Returns a file of ours as it is: style and scripts are not to be escaped."""
    from markupsafe import Markup

    return Markup((STATIC / name).read_text(encoding="utf-8"))  # noqa: S704 (nothing of a user's is in it)
