"""One function a command: it loads, calls the wing that does the work, and prints what came of it.

What a user can mend is raised as `UserError`.
"""

import sys
from pathlib import Path

from competition import locks, paths
from competition.atomic import ABANDONED_SECONDS, clear_folder, remove_partials
from competition.closing_words import demo_summary, where_ensemble_is
from competition.config import Config, load_config
from competition.errors import UserError
from competition.paths import COMPETITION
from competition.submission import read_message
from competition.wording import count_of

DEMO_CONFIG = Path("configs/demo.yaml")


def demo(jobs: int | None) -> None:
    """Goes from download to report on the embedded digits; says what was made, and what to try."""
    config = load_config(DEMO_CONFIG)
    download(config)
    _train_folds(config, jobs)
    ensemble([config])
    gallery(config)
    report(config)
    print(demo_summary(config.name))


def download(config: Config, archive: Path | None = None, force: bool = False) -> None:
    """Brings the configuration's data set into `input/`; `force` does so whatever is there."""
    from competition.data import embedded, hdf5_example, own_data

    installed = False
    if config.data == COMPETITION:
        from competition.kaggle.download import download as from_kaggle

        installed = from_kaggle(archive, force)
    elif archive is not None:
        raise UserError(
            f"ZIP is for the data set '{COMPETITION}', but this configuration uses "
            f"'{config.data}'; give another CONFIG"
        )
    elif config.data == embedded.NAME:
        installed = embedded.install(force)
    elif config.data == hdf5_example.NAME:
        installed = hdf5_example.install(force)
    else:
        own_data.require(config.data)
    _require_its_split(config)
    folder = paths.data_folder(config.data)
    print(f"{folder}: {'installed' if installed else 'good data is there already, nothing done'}")


def explore(config: Config) -> None:
    """Studies the data before any training, and shows it on a page, figures and tables."""
    from competition.data.sources import load_data_set
    from competition.inspection.data_study.study import study
    from competition.inspection.exploration.folder import write_exploration
    from competition.inspection.exploration.text import findings

    studied = study(config, load_data_set(config.data))
    folder = write_exploration(studied)
    for subject, sentences in findings(studied).items():
        print(f"{subject}: {sentences}")
    print(f"open {folder / paths.PAGE} in a browser, or the PNG figures beside it")


def train_folds(config: Config, jobs: int | None) -> None:
    """Trains what is not trained yet, prints a table of every finished job, says what is next."""
    _train_folds(config, jobs)
    print("next: `make ensemble` with the same CONFIG and SET")


def baselines(configs: list[Config], jobs: int | None) -> None:
    """Trains what is not trained yet, and shows every variant beside what its authors claim."""
    from competition.data.run import load_run
    from competition.inspection.evaluation.systems import systems
    from competition.inspection.report.systems_table import systems_table, write_systems
    from competition.training.jobs import train_folds as train

    runs = [load_run(config) for config in configs]
    for run in runs:
        _require_none(train(run, jobs))
    table = systems_table([system for run in runs for system in systems(run)])
    path = write_systems(paths.blend_name([config.name for config in configs]), table)
    print(
        f"\n{table.markdown_with_note()}\n\n"
        f"{path} is the same, and {path.with_suffix('.csv').name} beside it"
    )


def tune(config: Config, variant: str | None, trials: int | None, jobs: int | None) -> None:
    """Searches the best settings of a variant, and judges them on folds that had no part in it."""
    from competition.data.run import load_run
    from competition.tuning.best import best_trial, write_best
    from competition.tuning.pictures import draw_pictures
    from competition.tuning.search import find_search
    from competition.tuning.storage import database_trouble
    from competition.tuning.summary import verdict_in_words, verdict_table, write_summary
    from competition.tuning.tune import run_study
    from competition.tuning.verdict import final_verdict
    from competition.tuning.words import write_trials

    search = find_search(config if trials is None else config.with_trials(trials), variant)
    run = load_run(search.config)
    study = run_study(search, run, jobs)
    with database_trouble(search.settings.storage):
        print(f"every trial is in {write_trials(study, search)}")
        best = best_trial(study, search)
        best_config, pictures = write_best(best, search), draw_pictures(study, search)
        print(
            f"trial {best.number} is the best; it is judged now on folds that had no part in that"
        )
        verdict = final_verdict(search, run, best_config, jobs)
        print(f"\n{verdict_table(best, search, verdict)}\n\n{verdict_in_words(search, verdict)}\n")
        path = write_summary(study, best, search, verdict, pictures)
    print(f"all of it, with pictures, is in {path}\nnext: `make train-folds CONFIG={best_config}`")


def ensemble(configs: list[Config]) -> None:
    """Combines the members by every method, compares them, and writes checked submissions."""
    from competition.data.run import load_run
    from competition.ensemble.blend import blend
    from competition.ensemble.contributions import contributions
    from competition.ensemble.outputs import write_blend
    from competition.inspection.evaluation.summary import panel_scores
    from competition.inspection.report.ensemble_tables import ensemble_text
    from competition.kaggle.submit import command_line

    combined = blend([load_run(config) for config in configs])
    contributed = contributions(combined.panel)
    path = write_blend(combined, contributed)
    scores = panel_scores(combined.runs[0], combined.panel, combined.out_of_fold.values)
    print(f"{ensemble_text(scores, combined.comparison, contributed)}\n")
    print(where_ensemble_is(combined.name, path, combined.chosen.method.name))
    if configs[0].data == COMPETITION:
        print(f"send it with `make submit FILE={path}`, or with the plain client in .venv/bin/:")
        print(f"  {command_line(path, read_message(path))}")
    else:
        print(f"it cannot be submitted to Kaggle, as it was made from '{configs[0].data}'")


def gallery(config: Config, all_rows: bool = False) -> None:
    """Shows the rows worth a look, or with `all_rows` every labelled one, on a page and sheets."""
    from competition.data.run import load_run
    from competition.ensemble.blend import blend
    from competition.inspection.evaluation.findings import find
    from competition.inspection.gallery.folder import write_gallery
    from competition.inspection.why.folder import explained_rows

    run = load_run(config)
    findings = find(run, blend([run]))
    folder = write_gallery(findings, all_rows, explained_rows(config.name))
    print(
        f"{count_of(len(findings.mistakes), 'mistake')} and "
        f"{count_of(len(findings.label_errors), 'likely label error')}; "
        f"open {folder / paths.PAGE} in a browser, or the PNG sheets beside it"
    )


def why(config: Config, rows: list[int]) -> None:
    """Looks into the nets that held the worst rows out, and some `rows` besides, by their ids."""
    from competition.data.run import load_run
    from competition.ensemble.blend import blend
    from competition.inspection.maps.explanation import explain
    from competition.inspection.why.folder import write_explanation

    run = load_run(config)
    explanation = explain(run, blend([run]), rows)
    folder = write_explanation(explanation)
    print(
        f"{count_of(len(explanation.cases), 'row')} by "
        f"{count_of(len(explanation.by_variant), 'variant')}; "
        f"open {folder / paths.PAGE} in a browser, or the PNG sheets beside it; "
        "`make gallery` links to them"
    )


def report(config: Config, variant: str | None = None) -> None:
    """Reports on the ensemble or one variant, and prints the line that the README has of it."""
    from competition.data.run import load_run
    from competition.ensemble.blend import blend
    from competition.inspection.evaluation.subject import ensemble_subject, variant_subject
    from competition.inspection.evaluation.summary import summarise
    from competition.inspection.report.folder import write_report
    from competition.inspection.report.result_tables import preset_table

    run = load_run(config)
    subject = variant_subject(run, variant) if variant else ensemble_subject(run, blend([run]))
    summary = summarise(subject)
    folder = write_report(summary)
    print(
        f"{preset_table(summary).markdown_with_note()}\n\n"
        f"open {folder / paths.PAGE} in a browser; {folder / paths.RESULTS} is the same as text"
    )


def submit(config: Config, file: Path | None, message: str | None, force: bool) -> None:
    """Sends a checked submission to Kaggle, and waits for its score."""
    from competition.kaggle.scoreboard import difference
    from competition.kaggle.submit import send, wait_for_score

    file = file or paths.submission_csv(config.name)
    sent = send(file, message or read_message(file), force)
    print(f"Kaggle has {file} as submission {sent.reference}")
    scored = wait_for_score(sent)
    if not scored.public_score:
        print("it has no score yet; `make scores` asks again")
        return
    print(f"public score {scored.public_score}")
    if apart := difference(scored):
        print(f"out of fold {scored.out_of_fold}: {apart} standard errors apart")


def scores() -> None:
    """Prints every submission of the history, after asking for the scores that are missing."""
    from competition.kaggle.history import read_history
    from competition.kaggle.scoreboard import refresh_scores, scoreboard

    try:
        refresh_scores()
    except UserError as error:
        print(f"pending scores could not be asked for. {error}", file=sys.stderr)
    print(scoreboard(read_history()))


def doctor() -> None:
    """Prints what stands between this machine and a submission."""
    from competition.kaggle.doctor import MEND, examine

    to_mend = []
    for finding in examine():
        print(f"{finding.state:8}  {finding.what:12}  {finding.text}")
        if finding.state == MEND:
            to_mend.append(finding.what)
    if to_mend:
        raise UserError(f"to be mended first: {', '.join(to_mend)}")


def bench(config: Config, long: bool) -> None:
    """Measures how fast this machine trains, beside stock Keras; prints tables, keeps JSON."""
    from competition.bench.suite import finish_race, measure, require_measurable
    from competition.bench.tables import race_table, tables
    from competition.data.run import load_run

    run = load_run(config)
    require_measurable(run, long)
    with locks.only_one(paths.output_folder(config.name), f"measuring '{config.name}'"):
        measures, path = measure(run), paths.bench_json(config.name)
        print(tables(measures))
        if long:
            print(f"\n{path} gets each finish of the race; interrupted, LONG=1 goes on with it")
            print(f"\n{race_table(finish_race(run, measures))}")
    print(f"\nall figures are in {path}")


def clean() -> None:
    """Removes caches, augmented epochs and what killed commands left; results and data stay."""
    with locks.exclusive(paths.pools_lock_file()) as is_free:
        if not is_free:
            raise UserError(
                f"a training in this folder reads {paths.pools_folder()}/; wait for its end, or "
                "interrupt it, and clean then"
            )
        folders = [paths.pools_folder(), *paths.cache_folders()]
        for folder in filter(Path.exists, folders):
            clear_folder(folder)
            print(f"removed {folder}/")
        for top in (paths.INPUT, paths.OUTPUT, paths.SUBMISSIONS):
            remove_partials(top, ABANDONED_SECONDS)


def _train_folds(config: Config, jobs: int | None) -> None:
    from competition.data.run import load_run
    from competition.inspection.evaluation.summary import job_rows
    from competition.inspection.report.result_tables import jobs_table
    from competition.training.jobs import train_folds as train

    run = load_run(config)
    failures = train(run, jobs)
    print(f"\n{jobs_table(job_rows(run)).markdown_with_note()}\n")
    _require_none(failures)


def _require_its_split(config: Config) -> None:
    from competition.data.folds import given_split
    from competition.data.sources import load_data_set

    if config.folds.scheme == "given":
        given_split(load_data_set(config.data))


def _require_none(failures: list) -> None:
    if failures:
        names = ", ".join(str(failure.job) for failure in failures)
        failed = count_of(len(failures), "job")
        raise UserError(f"{failed} failed: {names}; the others are finished and kept")
