"""The files of an ensemble: submissions with their provenance, probabilities, settings, tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from competition import paths
from competition.ensemble.comparison import EnsembleResult, MethodResult
from competition.ensemble.contributions import Contribution, Contributions
from competition.ensemble.members import Member, MemberPredictions
from competition.metrics import SELECTED, SELECTED_NOTE, Score, entropies, marked, score
from competition.probabilities import write_probabilities
from competition.storage import atomic_folder
from competition.submission import write_submission
from competition.tables import write_csv


def provenance(name: str, ensemble_result: EnsembleResult, method: MethodResult) -> dict[str, Any]:
    """Returns the provenance of a blend by one method, as JSON values; it is always the same.

    Args:
        name: of the submission.
        blend: the blend.
        method: the one that made the submission, the chosen one or the mean.
    """
    first = ensemble_result.runs[0]
    manifests = ensemble_result.member_predictions.manifests()
    selected = ensemble_result.member_predictions.is_selected
    accuracy = marked(f"out-of-fold {method.score.accuracy:.5f}", selected)
    return {
        "message": f"{name}: {len(manifests)} nets, {method.method.name}, {accuracy}",
        "config": _config(ensemble_result),
        "data_set": first.data_set.name,
        "data_fingerprint": first.fingerprint,
        "folds_fingerprint": first.folds.fingerprint(),
        "code_versions": sorted({manifest["code_version"] for manifest in manifests.values()}),
        "method": {
            **method.method.identity(),
            "settings": method.fitted.settings,
            "choice": ensemble_result.comparison.choice_of(method),
        },
        "members": [
            _member(ensemble_result.member_predictions, member)
            for member in ensemble_result.member_predictions.members
        ],
        "out_of_fold": figures(method) | ({SELECTED: SELECTED_NOTE} if selected else {}),
    }


def figures(method: MethodResult) -> dict[str, Any]:
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


def _config(ensemble_result: EnsembleResult) -> dict[str, Any]:
    """Returns the configuration; of several, their common name and each one."""
    dumps = [run.config.model_dump(mode="json") for run in ensemble_result.runs]
    return dumps[0] if len(dumps) == 1 else {"name": ensemble_result.name, "blend_of": dumps}


def _member(member_predictions: MemberPredictions, member: Member) -> dict[str, Any]:
    reached = score(member.out_of_fold.values, member_predictions.labels)
    return {
        "variant": member.variant,
        "seed": member.seed,
        "errors": reached.errors,
        "accuracy": round(reached.accuracy, 6),
        "results": [manifest["identity_hash"] for manifest in member.manifests.values()],
        **({SELECTED: True} if member.is_selected else {}),
    }


def write_ensemble(ensemble_result: EnsembleResult, contributions: Contributions) -> Path:
    """Writes `output/<name>/ensemble/` and the checked submissions, of the blend and of the mean.

    Returns:
        The submission of the method that was chosen.

    Raises:
        UserError: when a submission does not fit the data set's sample.
    """
    with atomic_folder(paths.ensemble_folder(ensemble_result.name)) as folder:
        write_probabilities(
            folder / paths.PROBABILITIES,
            out_of_fold=ensemble_result.out_of_fold,
            test=ensemble_result.test,
        )
        _write_methods(folder, ensemble_result)
        _write_contributions(folder, contributions)
        _write_table(folder / "test-confidence.csv", confidence_rows(ensemble_result))
    _write_submission(
        paths.mean_name(ensemble_result.name), ensemble_result, ensemble_result.comparison.mean
    )
    return _write_submission(ensemble_result.name, ensemble_result, ensemble_result.chosen)


def _write_submission(name: str, ensemble_result: EnsembleResult, method: MethodResult) -> Path:
    test, path = ensemble_result.test_by(method), paths.submission_csv(name)
    sample = paths.sample_submission_csv(ensemble_result.runs[0].data_set.name)
    origin = provenance(name, ensemble_result, method)
    expected = sample if sample.exists() else None
    write_submission(path, test.ids, test.predictions(), origin, expected)
    return path


def _write_methods(folder: Path, ensemble_result: EnsembleResult) -> None:
    comparison = ensemble_result.comparison
    rows = [_method_row(each) for each in comparison.methods]
    _write_table(folder / "methods.csv", rows)
    told = {
        "methods": rows,
        "left_out": comparison.left_out,
        "recommended": comparison.recommended.method.name,
        "recommendation": comparison.recommendation(),
        "chosen": comparison.chosen.method.name,
        "choice": comparison.choice_of(comparison.chosen),
    }
    _write_json(folder / "methods.json", told)
    members = [str(member) for member in ensemble_result.member_predictions.members]
    fitted = {each.method.name: each.fitted.settings for each in comparison.methods}
    _write_json(folder / "settings.json", {"members": members, "methods": fitted})


def _method_row(compared: MethodResult) -> dict[str, Any]:
    scored = figures(compared)
    low, high = scored.pop("interval_95")
    above, above_low, above_high = (round(value, 7) for value in compared.gap_to_best)
    return {
        "method": compared.method.name,
        **scored,
        "accuracy_low": low,
        "accuracy_high": high,
        "log_loss_above_lowest": above,
        "log_loss_above_lowest_low": above_low,
        "log_loss_above_lowest_high": above_high,
        "gained_on_mean": compared.vs_mean.gained,
        "lost_to_mean": compared.vs_mean.lost,
        "mcnemar_p": round(compared.vs_mean.p_value, 6),
    }


def _write_contributions(folder: Path, contributions: Contributions) -> None:
    names = [each.variant for each in contributions.variants]
    _write_table(
        folder / "contributions.csv", [_contribution_row(e) for e in contributions.variants]
    )
    counted = {
        "error-overlap": contributions.error_overlap,
        "disagreement": contributions.disagreement,
    }
    for name, counts in counted.items():
        rows = [{"variant": n, **dict(zip(names, line, strict=True))}
                for n, line in zip(names, counts.tolist(), strict=True)]  # fmt: skip
        _write_table(folder / f"{name}.csv", rows)


def _contribution_row(part: Contribution) -> dict[str, Any]:
    scores = {"alone": part.alone, "without": part.without, "beside_best": part.beside_best}
    row = {"variant": part.variant}
    for name, reached in scores.items():
        row |= {f"{name}_{key}": value for key, value in _errors_and_loss(reached).items()}
    return row


def _errors_and_loss(reached: Score | None) -> dict[str, Any]:
    errors, loss = (reached.errors, round(reached.log_loss, 6)) if reached else ("", "")
    return {"errors": errors, "log_loss": loss}


def confidence_rows(ensemble_result: EnsembleResult) -> list[dict[str, Any]]:
    """Returns how sure the ensemble is of each test row, the least certain one first.

    The margin is the prediction's probability less that of the runner-up; the entropy is in nats,
    from 0 to log 10; `members_against` counts the members that predict something else.
    """
    values, predictions = (
        ensemble_result.test.values.astype(float),
        ensemble_result.test.predictions(),
    )
    runner_up, likeliest = np.sort(values, axis=1)[:, -2:].T
    against = (ensemble_result.member_predictions.test.argmax(axis=2) != predictions).sum(axis=0)
    margin = likeliest - runner_up
    order = np.lexsort((ensemble_result.test.ids, margin, likeliest))
    columns = {
        "ImageId": ensemble_result.test.ids,
        "prediction": predictions,
        "probability": likeliest.round(6),
        "margin": margin.round(6),
        "entropy": entropies(values).round(6),
        "members_against": against,
    }
    lines = zip(*(column[order].tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, line, strict=True)) for line in lines]


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas as pd

    write_csv(path, pd.DataFrame(rows))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
