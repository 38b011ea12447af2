"""Augmented images of trials: shared where all have the same, else a trial's own and removed."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from competition import paths
from competition.data.pool import UNCHANGED, Pool, make_pool
from competition.data.pool_space import make_room, pools_at_hand
from competition.data.run import Run
from competition.settings.components import Augmentation
from competition.settings.variant import Variant
from competition.training.plan import Plan
from competition.tuning.search import Search

TAKING_ROOM = Augmentation(name="warp")


@contextmanager
def room_for_trials(search: Search, run: Run, plan: Plan) -> Iterator[None]:
    """Makes the pool that all trials share, or room for those of as many trials as run at a time.

    Raises:
        UserError: when there is too little room; nothing was made.
    """
    shared = search.shared_pool(run.fingerprint)
    views = {search.view_pool(run.fingerprint): search.variant.test_time_draws}
    if search.augments_alike():
        # Views may be of the very policy that is trained with: then the larger number counts.
        needed = Counter(views) | Counter({shared: search.longest_epochs})
        with pools_at_hand(needed, run.data_set, plan.threads):
            yield
        return
    # All policies take as much room, but for none.
    policy = TAKING_ROOM if shared.augmentation == UNCHANGED else shared.augmentation
    own = [
        replace(shared, augmentation=policy, owner=search.owner(f"room{number}"))
        for number in range(plan.workers)
    ]
    make_room(views | dict.fromkeys(own, search.longest_epochs), run.data_set)
    with pools_at_hand(views, run.data_set, plan.threads):
        yield


@contextmanager
def pool_for(search: Search, variant: Variant, run: Run, trial: int) -> Iterator[Pool]:
    """Yields the pool of a trial, with all of its epochs; the trial's own goes away afterwards."""
    shared = search.shared_pool(run.fingerprint)
    if search.augments_alike():
        yield shared
        return
    own = replace(shared, augmentation=variant.augmentation, owner=search.owner(trial))
    try:
        make_pool(own, variant.epochs, run.data_set)
        yield own
    finally:
        shutil.rmtree(own.folder(), ignore_errors=True)


def remove_left_over(search: Search) -> None:
    """Removes the images of trials whose process was killed; none must be running."""
    for folder in paths.owned_pool_folders(search.owner("*")):
        shutil.rmtree(folder, ignore_errors=True)
