"""Pictures of a study, drawn by Optuna; here and not in `inspection`, which knows no Optuna."""

import warnings
from collections.abc import Callable
from pathlib import Path

from optuna.study import Study
from optuna.trial import TrialState

from competition import paths
from competition.atomic import atomic_folder
from competition.tuning.search import Search

DOTS_PER_INCH = 120
INCHES_A_SLICE, INCHES_AN_AXIS = 3.6, 1.8

# Fewer completed trials show nothing, and of equal values no parameter can be important.
FEWEST_VALUES = 2


def draw_pictures(study: Study, search: Search) -> list[Path]:
    """Draws history, parallel coordinates, importances and slices of the completed trials.

    Returns:
        The PNG files; none while there are fewer than two different values to show.
    """
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in completed}) < FEWEST_VALUES:
        return []
    with atomic_folder(paths.tuning_pictures_folder(search.config.name, search.name)) as folder:
        for name, draw in PICTURES.items():
            _draw(folder / f"{name}.png", draw, study, search)
    return [
        paths.tuning_pictures_folder(search.config.name, search.name) / f"{name}.png"
        for name in PICTURES
    ]


def _draw(path: Path, draw: Callable, study: Study, search: Search) -> None:
    import matplotlib

    matplotlib.use("agg")  # files only: no window, and no display needed
    from matplotlib import pyplot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw(study, search)
        figure = pyplot.gcf()
        _tidy(figure)
        figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)


def _tidy(figure) -> None:
    """Keeps labels of logarithms, and the grids of several axes, from covering one another."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axes in figure.axes:
        axes.grid(len(figure.axes) == 1)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())


def _history(study: Study, search: Search) -> None:
    from optuna.visualization.matplotlib import plot_optimization_history

    plot_optimization_history(study, target_name=search.settings.objective)


def _parallel_coordinates(study: Study, search: Search) -> None:
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    plot_parallel_coordinate(study, target_name=search.settings.objective)
    pyplot.gcf().set_size_inches(INCHES_AN_AXIS * (2 + len(search.space)), 6)


def _importances(study: Study, search: Search) -> None:
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization.matplotlib import plot_param_importances

    evaluator = FanovaImportanceEvaluator(seed=search.settings.seed)
    plot_param_importances(study, evaluator=evaluator, target_name=search.settings.objective)


def _slices(study: Study, search: Search) -> None:
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_slice

    plot_slice(study, target_name=search.settings.objective)
    pyplot.gcf().set_size_inches(INCHES_A_SLICE * len(search.space), INCHES_A_SLICE)


PICTURES: dict[str, Callable[[Study, Search], None]] = {
    "history": _history,
    "parallel_coordinates": _parallel_coordinates,
    "importances": _importances,
    "slices": _slices,
}
