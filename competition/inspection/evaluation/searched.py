"""Which labelled rows had a part in the search for the settings of the shipped presets."""

import numpy as np

from competition.data.folds import assign_folds
from competition.data.run import Run
from competition.settings.folds import Folds

# The fingerprint of the competition's data set, of which settings and nets were tried on the first
# fold of three and, after a while, of five (EXPERIMENTS.md), whatever folds a preset has.
SEARCHED_DATA = "8685adddc7c71a9df3f8d249a7da70d5a52e0f2b9f37f1115dac2e3642649cea"
SEARCHED_FOLDS = Folds(count=3, seed=0), Folds(count=5, seed=0)
SEARCHED_SPLIT = "fold0"


def unsearched(run: Run, ids: np.ndarray) -> np.ndarray:
    """Returns which labelled rows no trial of the presets was judged by, bool `[n]`.

    Of a user's own trials, as those of `make tune`, nothing is known.

    None are where the data are not the competition's: nothing is claimed of these.
    """
    if run.fingerprint != SEARCHED_DATA:
        return np.zeros(len(ids), bool)
    train = run.data_set.train
    held_out = [assign_folds(train, folds).held_out[SEARCHED_SPLIT] for folds in SEARCHED_FOLDS]
    return ~np.isin(ids, train.ids[np.any(held_out, axis=0)])
