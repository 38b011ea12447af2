"""The drawing page: a net that reads what a person draws, in the browser, without a server."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np

from competition import paths
from competition.pages.html import render
from competition.storage import write_text


def write_drawing_page(config: str, steps: list[dict[str, Any]]) -> Path:
    """Writes and returns `output/<config>/draw.html`.

    Args:
        config: the name of the configuration, which the page names.
        steps: the net, as `deployment/browser_weights.py` describes it.
    """
    path = paths.OutputPaths(config).draw
    write_text(path, render("draw.html", name=config, steps=[_as_json(step) for step in steps]))
    return path


def _as_json(step: dict[str, Any]) -> dict[str, Any]:
    """Returns a step with its arrays as base64 of their bytes, and the shape of its weights."""
    shape = {"shape": step["weights"].shape} if "weights" in step else {}
    return shape | {
        name: b64encode(value.tobytes()).decode() if isinstance(value, np.ndarray) else value
        for name, value in step.items()
    }
