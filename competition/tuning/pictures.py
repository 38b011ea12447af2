"""Optuna's pictures of a study: its history, and what each setting does to the objective."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from competition.storage import atomic_folder
from competition.tuning.study import Search

DOTS_PER_INCH = 120
INCHES_PER_SLICE, INCHES_PER_AXIS = 3.6, 1.8


def draw_pictures(study: Study, search: Search) -> list[Path]:
    """Draws history, parallel coordinates, importances and slices of the completed trials, and
    returns the PNG files.
    """
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in completed}) < 2:
        return []  # where all values are equal, no parameter can be important
    from matplotlib import style
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization import matplotlib as plots

    evaluator = FanovaImportanceEvaluator(seed=search.settings.seed)
    searched = len(search.space)
    pictures: dict[str, tuple[Callable[..., Any], tuple[float, float] | None]] = {
        "history": (plots.plot_optimization_history, None),
        "parallel_coordinates": (
            plots.plot_parallel_coordinate, (INCHES_PER_AXIS * (2 + searched), 6)
        ),
        "importances": (partial(plots.plot_param_importances, evaluator=evaluator), None),
        "slices": (plots.plot_slice, (INCHES_PER_SLICE * searched, INCHES_PER_SLICE)),
    }  # fmt: skip
    final = search.files.pictures
    # Optuna's own style is the default with changes; a user's matplotlibrc would show through.
    with atomic_folder(final) as folder, warnings.catch_warnings(), style.context("default"):
        warnings.simplefilter("ignore")
        for name, (draw, inches) in pictures.items():
            draw(study, target_name=search.settings.objective)
            _save_figure(folder / f"{name}.png", inches)
    return [final / f"{name}.png" for name in pictures]


def _save_figure(path: Path, inches: tuple[float, float] | None) -> None:
    """Writes Matplotlib's current figure, without labels and grids that would overlap."""
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = pyplot.gcf()
    if inches:
        figure.set_size_inches(inches)
    for axes in figure.axes:
        axes.grid(len(figure.axes) == 1)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
    pyplot.close(figure)
