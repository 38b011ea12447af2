"""The files of an ensemble: tables, what was fitted, probabilities, submissions and provenance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from competition import paths
from competition.ensemble.comparison import EnsembleResult, MethodResult
from competition.ensemble.contributions import Contributions
from competition.ensemble.members import Member
from competition.metrics import SELECTED, SELECTED_NOTE, entropies, marked, score
from competition.probabilities import write_probabilities
from competition.storage import atomic_folder
from competition.submission import write_submission
from competition.tables import write_csv


def write_ensemble(result: EnsembleResult, contributions: Contributions) -> Path:
    """Writes `output/<name>/ensemble/` and two checked submissions, by the plain mean and by the
    chosen method; returns the latter's path.

    Raises:
        UserError: when a submission does not fit the data set's sample.
    """
    with atomic_folder(paths.OutputPaths(result.name).ensemble) as folder:
        write_probabilities(
            folder / paths.PROBABILITIES, out_of_fold=result.out_of_fold, test=result.test
        )
        _write_comparison(folder, result)
        write_csv(folder / "contributions.csv", contributions.frame().round(6))
        names = [part.variant for part in contributions.variants]
        for name, counts in {
            "error-overlap.csv": contributions.error_overlap,
            "disagreement.csv": contributions.disagreement,
        }.items():
            pairs = pd.DataFrame(counts, columns=names)
            # A variant may itself be named "variant".
            pairs.insert(0, "variant", names, allow_duplicates=True)
            write_csv(folder / name, pairs)
        write_csv(folder / "test-confidence.csv", _test_confidence(result))
    _write_submission(paths.mean_name(result.name), result, result.comparison.mean)
    return _write_submission(result.name, result, result.chosen)


def _write_comparison(folder: Path, result: EnsembleResult) -> None:
    comparison = result.comparison
    frame = comparison.frame()
    is_gap = frame.columns.str.startswith("log_loss_above")
    table = frame.round(dict(zip(frame.columns, np.where(is_gap, 7, 6), strict=True)))
    write_csv(folder / "methods.csv", table)
    methods = {
        "methods": table.to_dict("records"),
        "left_out": comparison.left_out,
        "recommended": comparison.recommended.method.name,
        "chosen": comparison.chosen.method.name,
        "choice": comparison.explain_choice(comparison.chosen),
    }
    settings = {
        "members": [str(member) for member in result.member_predictions.members],
        "methods": {each.method.name: each.fitted.settings for each in comparison.methods},
    }
    for name, content in {"methods.json": methods, "settings.json": settings}.items():
        text = json.dumps(content, indent=2) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def _test_confidence(result: EnsembleResult) -> pd.DataFrame:
    """Returns how sure the ensemble is of each test row, the least certain one first.

    The margin is the difference to the second most likely class; the entropy is in nats, from 0 to
    log 10; `members_against` counts the members that predict another class.
    """
    values, predictions = result.test.values.astype(float), result.test.predictions()
    runner_up, likeliest = np.sort(values, axis=1)[:, -2:].T
    votes = result.member_predictions.test.argmax(axis=2)
    table = pd.DataFrame(
        {
            "ImageId": result.test.ids,
            "prediction": predictions,
            "probability": likeliest,
            "margin": likeliest - runner_up,
            "entropy": entropies(values),
            "members_against": (votes != predictions).sum(axis=0),
        }
    )
    return table.sort_values(["probability", "margin", "ImageId"]).round(6)


def _write_submission(name: str, result: EnsembleResult, method: MethodResult) -> Path:
    test, path = result.test_by(method), paths.submission_csv(name)
    sample = paths.DataPaths(result.runs[0].data_set.name).sample_submission
    write_submission(
        path,
        test.ids,
        test.predictions(),
        provenance(name, result, method),
        sample if sample.exists() else None,
    )
    return path


def provenance(name: str, result: EnsembleResult, method: MethodResult) -> dict[str, Any]:
    """Returns where a submission comes from as JSON values; equal results give equal values."""
    first, members = result.runs[0], result.member_predictions
    manifests = members.manifests()
    accuracy = marked(f"out-of-fold {method.score.accuracy:.5f}", members.is_selected)
    configs = [run.config.model_dump(mode="json") for run in result.runs]
    low, high = method.score.interval()
    return {
        "message": f"{name}: {members.trained_in_words()}, {method.method.name}, {accuracy}",
        "config": configs[0] if len(configs) == 1 else {"name": result.name, "blend_of": configs},
        "data_set": first.data_set.name,
        "data_fingerprint": first.fingerprint,
        "folds_fingerprint": first.folds.fingerprint(),
        "code_versions": sorted({manifest["code_version"] for manifest in manifests.values()}),
        "method": {
            **method.method.identity(),
            "settings": method.fitted.settings,
            "choice": result.comparison.explain_choice(method),
        },
        "members": [_member_provenance(member, members.labels) for member in members.members],
        "out_of_fold": {
            "rows": method.score.rows,
            "errors": method.score.errors,
            "accuracy": round(method.score.accuracy, 6),
            "interval_95": [round(low, 6), round(high, 6)],
            "log_loss": round(method.score.log_loss, 6),
            "calibration_error": round(method.calibration_error, 6),
            **({SELECTED: SELECTED_NOTE} if members.is_selected else {}),
        },
    }


def _member_provenance(member: Member, labels: np.ndarray) -> dict[str, Any]:
    reached = score(member.out_of_fold.values, labels)
    return {
        "variant": member.variant,
        "seed": member.seed,
        "errors": reached.errors,
        "accuracy": round(reached.accuracy, 6),
        "results": [manifest["identity_hash"] for manifest in member.manifests.values()],
        **({SELECTED: True} if member.is_selected else {}),
    }
