"""The ensemble of a run: its members combined, scored out of fold, kept, and submitted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.atomic import atomic_folder
from competition.data.run import Run
from competition.ensemble.members import Member, load_members
from competition.probabilities import Probabilities, write_probabilities
from competition.scores import Score, score
from competition.submission import write_submission


@dataclass(frozen=True)
class Blend:
    """The members of a run and what they say together.

    Attributes:
        members: in the configuration's order.
        out_of_fold: Probabilities of every training row.
        test: Probabilities of every test row.
        score: of the out-of-fold probabilities.
    """

    members: list[Member]
    out_of_fold: Probabilities
    test: Probabilities
    score: Score


def blend(run: Run) -> Blend:
    """Combines the members of a run with the method that its configuration names.

    Raises:
        UserError: naming every job that is missing or stale.
    """
    members = load_members(run)
    combine = run.config.ensemble.method.function()
    out_of_fold = _combined(combine, [member.out_of_fold for member in members])
    test = _combined(combine, [member.test for member in members])
    return Blend(members, out_of_fold, test, score(out_of_fold.values, run.data_set.train.labels))


def _combined(combine: Callable, aligned: list[Probabilities]) -> Probabilities:
    """Combines Probabilities that have the same ids in the same order."""
    return Probabilities(aligned[0].ids, combine(np.stack([one.values for one in aligned])))


def write_blend(run: Run, made: Blend) -> Path:
    """Keeps the blend's probabilities, and returns its checked submission with provenance."""
    submission = paths.submission_csv(run.config.name)
    with atomic_folder(paths.ensemble_folder(run.config.name)) as folder:
        write_probabilities(
            folder / paths.PROBABILITIES, out_of_fold=made.out_of_fold, test=made.test
        )
    write_submission(
        submission,
        made.test.ids,
        made.test.predictions(),
        provenance(run, made),
        paths.sample_submission_csv(run.data_set.name),
    )
    return submission


def provenance(run: Run, made: Blend) -> dict:
    """Returns where a submission comes from, as JSON values; the same inputs give the same."""
    low, high = made.score.interval()
    versions = {m["code_version"] for member in made.members for m in member.manifests}
    nets = sum(len(member.manifests) for member in made.members)
    return {
        "message": f"{run.config.name}: {nets} nets, out-of-fold {made.score.accuracy:.5f}",
        "config": run.config.model_dump(mode="json"),
        "data_set": run.data_set.name,
        "data_fingerprint": run.fingerprint,
        "folds_fingerprint": run.folds.fingerprint(),
        "code_versions": sorted(versions),
        "members": [_member_provenance(run, member) for member in made.members],
        "out_of_fold": {
            "rows": made.score.rows,
            "errors": made.score.errors,
            "accuracy": round(made.score.accuracy, 6),
            "interval_95": [round(low, 6), round(high, 6)],
            "log_loss": round(made.score.log_loss, 6),
        },
    }


def _member_provenance(run: Run, member: Member) -> dict:
    reached = score(member.out_of_fold.values, run.data_set.train.labels)
    return {
        "variant": member.variant,
        "seed": member.seed,
        "errors": reached.errors,
        "accuracy": round(reached.accuracy, 6),
        "results": [manifest["identity_hash"] for manifest in member.manifests],
    }
