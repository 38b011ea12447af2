"""Where a submission comes from, and how good it is out of fold."""

from collections.abc import Iterator
from typing import Any

from competition.ensemble.blend import Blend
from competition.ensemble.comparison import Compared
from competition.ensemble.members import Member, Panel
from competition.results import Job, identity_hash
from competition.scores import score
from competition.selected import SELECTED, SELECTED_NOTE, marked


def provenance(name: str, blend: Blend, method: Compared) -> dict[str, Any]:
    """Returns the provenance of a blend by one method, as JSON values; it is always the same.

    Args:
        name: of the submission.
        blend: the blend.
        method: the one that made the submission, the chosen one or the mean.
    """
    first = blend.runs[0]
    manifests = blend.panel.manifests()
    selected = blend.panel.is_selected
    accuracy = marked(f"out-of-fold {method.score.accuracy:.5f}", selected)
    return {
        "message": f"{name}: {len(manifests)} nets, {method.method.name}, {accuracy}",
        "config": _config(blend),
        "data_set": first.data_set.name,
        "data_fingerprint": first.fingerprint,
        "folds_fingerprint": first.folds.fingerprint(),
        "code_versions": sorted({manifest["code_version"] for manifest in manifests.values()}),
        "method": {
            **method.method.identity(),
            "settings": method.fitted.settings,
            "choice": blend.comparison.choice_of(method),
        },
        "members": [_member(blend.panel, member) for member in blend.panel.members],
        **_teachers(blend),
        "out_of_fold": figures(method) | ({SELECTED: SELECTED_NOTE} if selected else {}),
    }


def figures(method: Compared) -> dict[str, Any]:
    """Returns how good a method is out of fold, nested if it fits anything."""
    low, high = method.score.interval()
    return {
        "rows": method.score.rows,
        "errors": method.score.errors,
        "accuracy": round(method.score.accuracy, 6),
        "interval_95": [round(low, 6), round(high, 6)],
        "log_loss": round(method.score.log_loss, 6),
        "calibration_error": round(method.calibration_error, 6),
    }


def _config(blend: Blend) -> dict[str, Any]:
    """Returns the configuration; of several, their common name and each one."""
    dumps = [run.config.model_dump(mode="json") for run in blend.runs]
    return dumps[0] if len(dumps) == 1 else {"name": blend.name, "blend_of": dumps}


def _teachers(blend: Blend) -> dict[str, Any]:
    """Returns the results that the nets learnt from, by configuration; nothing if from none."""
    results: dict[str, set[str]] = {}
    for teacher, identity in _lessons(blend):
        results.setdefault(teacher.config, set()).add(identity_hash(identity))
    told = {config: sorted(hashes) for config, hashes in sorted(results.items())}
    return {"teachers": told} if told else {}


def _lessons(blend: Blend) -> Iterator[tuple[Job, dict[str, Any]]]:
    for run in blend.runs:
        for job in run.identities.keys() & blend.panel.manifests().keys():
            yield from run.teaching(job).items()


def _member(panel: Panel, member: Member) -> dict[str, Any]:
    reached = score(member.out_of_fold.values, panel.labels)
    return {
        "variant": member.variant,
        "seed": member.seed,
        "errors": reached.errors,
        "accuracy": round(reached.accuracy, 6),
        "results": [manifest["identity_hash"] for manifest in member.manifests.values()],
        **({SELECTED: True} if member.is_selected else {}),
    }
