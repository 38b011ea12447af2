"""The settings of other libraries, the same on every machine: `competition` settles them first.

Commands, their workers, the Kaggle client's process and notebooks import the package before
anything else, so neither a user's environment nor dot files change what they do.
"""

import os
import sys
from collections.abc import MutableMapping

SETTLED = {
    "KERAS_HOME": os.devnull,  # no keras.json is read, and none is written
    "NO_ALBUMENTATIONS_UPDATE": "1",  # albumentations would ask the network for a newer release
}

# Only in processes of our own: a notebook's other cells may draw, too.
DRAWING = {
    "MPLBACKEND": "agg",  # a notebook's `!make` passes on its own, which may not be installed here
    "MATPLOTLIBRC": os.devnull,  # figures begin from matplotlib's defaults
}

# Limits of trainings that Keras reads, what joblib does without, and another repository than ours,
# which git names in its hooks.
REMOVED = (
    "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED",
    "JOBLIB_MULTIPROCESSING", "LOKY_PICKLER", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
)  # fmt: skip

# In a container, an unknown user has no home folder; what asks for one then finds no files.
NO_HOME = "/nonexistent"


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Changes the environment of this process, and so of all processes that it starts."""
    in_notebook = "ipykernel" in sys.modules
    environment.update(SETTLED if in_notebook else SETTLED | DRAWING)
    for name in REMOVED:
        environment.pop(name, None)
    if os.path.expanduser("~") == "~":
        environment["HOME"] = NO_HOME
