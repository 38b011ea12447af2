"""Names of YAML files and the functions behind them. Nothing is imported until it is resolved.

Adding an architecture, a policy or an ensemble method is a function in its file and a line here.
"""

import ast
import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path

ARCHITECTURES = {
    "plain": "competition.models.plain:plain",
    "residual": "competition.models.residual:residual",
    "large_kernel": "competition.models.large_kernel:large_kernel",
    "two_convolutions": "competition.models.classic:two_convolutions",
    "four_convolutions": "competition.models.classic:four_convolutions",
    "deotte": "competition.models.classic:deotte",
    "lenet5": "competition.models.classic:lenet5",
    "perceptron": "competition.models.classic:perceptron",
    "resnet": "competition.models.resnet:resnet",
    "capsules": "competition.models.capsules:capsules",
}

AUGMENTATIONS = {
    "none": "competition.data.augmentation:none",
    "affine": "competition.data.augmentation:affine",
    "affine_elastic": "competition.data.augmentation:affine_elastic",
    "warp": "competition.data.augmentation:warp",
}

SCHEDULES = {
    "one_cycle": "competition.training.schedule:one_cycle",
    "cosine": "competition.training.schedule:cosine",
    "exponential": "competition.training.schedule:exponential",
    "step_decay": "competition.training.schedule:step_decay",
    "constant": "competition.training.schedule:constant",
}

RESAMPLINGS = {
    "none": "competition.training.resampling:none",
    "random_over": "competition.training.resampling:random_over",
    "smote": "competition.training.resampling:smote",
    "class_weights": "competition.training.resampling:class_weights",
}

# Each of them looks at the held-out rows, so that what is reached there is selected on them.
CALLBACKS = {
    "early_stopping": "competition.training.callbacks:early_stopping",
    "reduce_on_plateau": "competition.training.callbacks:reduce_on_plateau",
    "best_checkpoint": "competition.training.callbacks:best_checkpoint",
}

# The simplest first, by what each fits to m members: nothing three times, m - 1 weights, as many
# by a search, m + 1 temperatures, 10 (10 m + 1) weights. Of methods that are level, the program
# recommends the first.
ENSEMBLE_METHODS = {
    "mean": "competition.ensemble.averages:mean",
    "geometric_mean": "competition.ensemble.averages:geometric_mean",
    "majority_vote": "competition.ensemble.averages:majority_vote",
    "weighted_mean": "competition.ensemble.weights:weighted_mean",
    "hill_climbing": "competition.ensemble.weights:hill_climbing",
    "temperature": "competition.ensemble.calibration:temperature",
    "stacking": "competition.ensemble.stacking:stacking",
}

# Stands in a configuration in place of a method, and leaves the choice to their comparison.
RECOMMENDED = "recommended"

SAMPLERS = {
    "tpe": "competition.tuning.samplers:tpe",
    "random": "competition.tuning.samplers:random",
    "grid": "competition.tuning.samplers:grid",
    "brute_force": "competition.tuning.samplers:brute_force",
    "qmc": "competition.tuning.samplers:qmc",
    "gp": "competition.tuning.samplers:gp",
    "nsga2": "competition.tuning.samplers:nsga2",
    "nsga3": "competition.tuning.samplers:nsga3",
}

PRUNERS = {
    "none": "competition.tuning.pruners:none",
    "median": "competition.tuning.pruners:median",
    "hyperband": "competition.tuning.pruners:hyperband",
    "wilcoxon": "competition.tuning.pruners:wilcoxon",
}


def resolve(location: str):
    """Returns the function at `"module:function"`, importing its module."""
    module, function = location.split(":")
    return getattr(importlib.import_module(module), function)


@lru_cache
def parameters(location: str) -> dict[str, tuple[str, object]]:
    """Returns the keyword parameters of the function at `"module:function"`, without importing it.

    The signature is read from the source, so that a configuration can be checked before, and
    without, the seconds that importing Keras takes.

    Returns:
        For each parameter that has a default: its annotation as text, and the default.
    """
    module, function = location.split(":")
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    definitions = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
    arguments = next(d.args for d in definitions if d.name == function)
    with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    return {
        argument.arg: (_type_name(location, argument), ast.literal_eval(default))
        for argument, default in zip(with_default, arguments.defaults, strict=True)
    }


def _type_name(location: str, argument: ast.arg) -> str:
    """Returns `int`, `float`, `str` or `bool`: what a YAML file can give."""
    name = ast.unparse(argument.annotation) if argument.annotation else "nothing"
    if name not in ("int", "float", "str", "bool"):
        raise TypeError(
            f"{location}: the parameter '{argument.arg}' is annotated with {name}, but a "
            "configuration can only give int, float, str or bool"
        )
    return name
