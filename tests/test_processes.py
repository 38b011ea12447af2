"""Worker processes are kept from stage to stage."""

import os
import time

from joblib import delayed

from competition.data.pool import Pool, make_pools
from competition.processes import side_by_side
from competition.settings.components import Augmentation


def process_id() -> int:
    time.sleep(0.2)  # so that no worker does it all
    return os.getpid()


def test_all_stages_share_their_workers(tiny, tmp_path, monkeypatch):
    """Each new one would spend seconds on importing TensorFlow again."""
    monkeypatch.chdir(tmp_path)

    def workers() -> set[int]:
        return set(side_by_side(2)(delayed(process_id)() for _ in range(6)))

    first = workers()
    make_pools({Pool(Augmentation(name="affine"), 0, "data"): 2}, tiny, workers=2)
    assert len(first) == 2
    assert workers() == first
