"""One function per command: it loads, calls the wing that does the work, and prints the outcome."""

import sys
from dataclasses import replace
from pathlib import Path

from competition import paths, storage
from competition.config.loading import Config, load_config
from competition.console import count_of, with_progress
from competition.errors import UserError
from competition.paths import COMPETITION
from competition.storage import ABANDONED_SECONDS, clear_folder, remove_partials
from competition.submission import read_message

DEMO_CONFIG = Path("configs/demo.yaml")


def demo(jobs: int | None, verbose: bool = False) -> None:
    """Goes from download to report on the embedded digits; prints what to open and to try next."""
    config = load_config(DEMO_CONFIG)
    download(config)
    train_folds(config, jobs, verbose=verbose)
    print()
    ensemble([config], verbose)
    gallery(config)
    report(config)
    print(
        f"the whole run on one page: {paths.OutputPaths(config.name).folder / paths.PAGE}\n"
        f"what the nets looked at: `make why CONFIG={DEMO_CONFIG}`\n"
        "next, the competition's digits: `make download` (a Kaggle token, or ZIP=path), then\n"
        "  `make train-folds ensemble gallery report CONFIG=configs/fast.yaml`"
    )


def download(config: Config, archive: Path | None = None, force: bool = False) -> None:
    """Installs the configuration's data set in `input/`; with `force`, even if it is there."""
    from competition.data import builtin, folds, loading

    installed = False
    if config.data == COMPETITION:
        from competition.kaggle.download import download as from_kaggle

        installed = from_kaggle(archive, force)
    elif archive is not None:
        raise UserError(
            f"ZIP is for the data set '{COMPETITION}', but this configuration uses "
            f"'{config.data}'; give another CONFIG"
        )
    elif config.data == builtin.EMBEDDED:
        installed = builtin.install_embedded(force)
    elif config.data == builtin.HDF5_EXAMPLE:
        installed = builtin.install_hdf5_example(force)
    else:
        loading.require(config.data)
    if config.folds.scheme == "given":
        folds.given_split(loading.load_data_set(config.data))  # refuses data without a split
    folder = paths.DataPaths(config.data).folder
    print(f"{folder}: {'installed' if installed else 'complete already, nothing done'}")


def explore(config: Config) -> None:
    """Studies the data before training; writes a page, figures and tables."""
    from competition.analysis.data_study import study
    from competition.data.loading import load_data_set
    from competition.pages.exploration import findings, write_exploration

    studied = study(config, load_data_set(config.data))
    folder = write_exploration(studied)
    for subject, sentences in findings(studied).items():
        print(f"{subject}: {sentences}")
    print(f"open {folder / paths.PAGE} in a browser, or the PNG figures beside it")


def train_folds(
    config: Config,
    jobs: int | None,
    variant: str | None = None,
    force: bool = False,
    verbose: bool = False,
    cluster: str | None = None,
) -> None:
    """Trains all variants or one, with `force` finished jobs again."""
    from competition.analysis.summary import job_rows
    from competition.data.run import load_run
    from competition.pages.report_tables import jobs_table
    from competition.tables import print_table
    from competition.training.cluster import connected
    from competition.training.jobs import train_folds as train

    run = load_run(config)
    if variant is not None:
        config.require_variant(variant)
    wanted = [job for job in run.identities if variant in (None, job.variant)]
    with connected(cluster, jobs) as workers:
        failures = train(run, workers, wanted, force)
    rows = job_rows(run)
    if verbose:
        print()
        print_table(jobs_table(rows))
        print()
    minutes = sum(row.minutes / row.workers for row in rows)
    done = f"{len(rows)} of {count_of(len(run.identities), 'job')}"
    print(f"{config.name}: {done} trained, {minutes:.1f} minutes")
    _raise_failures(failures)


def baselines(configs: list[Config], jobs: int | None, cluster: str | None = None) -> None:
    """Trains what is not trained yet; compares each variant with the accuracy claimed for it."""
    from competition.analysis.systems import baselines
    from competition.data.run import load_run
    from competition.pages.systems import baselines_table, write_baselines
    from competition.tables import print_table
    from competition.training.cluster import connected
    from competition.training.jobs import train_folds as train

    runs = [load_run(config) for config in configs]
    with connected(cluster, jobs) as workers:
        for run in runs:
            _raise_failures(train(run, workers))
    found = [baseline for run in runs for baseline in baselines(run)]
    table = baselines_table(found)
    path = write_baselines(paths.ensemble_name([config.name for config in configs]), table)
    print()
    print_table(table)
    short = ", ".join(each.name for each in found if each.falls_short)
    print(
        f"\nclaims that are not reached: {short or 'none'}\n"
        f"the whole table is in {path}, and as CSV in {path.with_suffix('.csv').name}"
    )


def tune(
    config: Config,
    variant: str | None,
    trials: int | None,
    jobs: int | None,
    cluster: str | None = None,
    verbose: bool = False,
) -> None:
    """Searches the best settings of a variant, and evaluates them on folds that no trial used."""
    from competition.data.run import load_run
    from competition.pages.overview import refresh
    from competition.pages.systems import answer_page
    from competition.tables import print_table
    from competition.training.cluster import connected
    from competition.tuning import outcome
    from competition.tuning.pictures import draw_pictures
    from competition.tuning.storage import explain_database_errors
    from competition.tuning.study import find_search
    from competition.tuning.tune import run_study

    search = find_search(config if trials is None else config.with_trials(trials), variant)
    run = load_run(search.config)
    with (
        connected(cluster, jobs) as workers,
        explain_database_errors(search.settings.storage),
    ):
        study = run_study(search, run, workers)
        outcome.write_trials(study, search)
        best = outcome.best_trial(study, search)
        best_config = outcome.write_best(best, search)
        pictures = draw_pictures(study, search)
        evaluation = outcome.shared_evaluation(
            study,
            best,
            search,
            lambda: outcome.final_evaluation(search, run, best_config, workers),
        )
        tables = outcome.summary_tables(study, best, search, evaluation)
    verdict = outcome.verdict(best, search, evaluation)
    summary = outcome.write_summary(search, verdict, tables, pictures)
    storage.write_text(
        search.files.page, answer_page(f"Tuning of {search}", verdict, tables, pictures)
    )
    for table in tables if verbose else []:
        print_table(table)
        print()
    refresh(config.name)
    print(
        f"{outcome.trial_line(best, search, is_best=True)}\n{verdict}\n"
        f"open {search.files.page} in a browser; {summary} is the same as text"
    )
    command = f"`make train-folds CONFIG={best_config}`"
    if evaluation.gap.verdict == "better":
        print(f"next: {command}, then `make compare`")
    else:
        print(f"next: more trials (TRIALS=) or another search space; {command} trains it anyway")


def ensemble(configs: list[Config], verbose: bool = False) -> None:
    """Combines the members by every method, compares them, and writes checked submissions."""
    from competition.analysis.summary import ensemble_scores
    from competition.data.run import load_run
    from competition.ensemble.comparison import combine
    from competition.ensemble.contributions import contributions
    from competition.ensemble.outputs import write_ensemble
    from competition.metrics import marked
    from competition.pages.overview import refresh
    from competition.pages.report_tables import ensemble_tables, methods_words
    from competition.tables import print_table

    result = combine([load_run(config) for config in configs], all_methods=True)
    contributed = contributions(result.member_predictions)
    path = write_ensemble(result, contributed)
    refresh(result.name)
    members = result.member_predictions
    if verbose:
        scores = ensemble_scores(result.runs[0], members, result.out_of_fold.values)
        for table in ensemble_tables(scores, result.comparison, contributed):
            print_table(table)
            print()
    print(f"{marked(result.name, members.is_selected)}: {result.chosen.score.in_words()}")
    if len(members.members) > 1:
        print(result.beside_best_member())
    print("\n".join(methods_words(result.comparison)))
    folder = paths.OutputPaths(result.name).ensemble
    print(f"{path} is written and checked; all tables are in {folder}/, VERBOSE=1 prints them")
    if configs[0].data == COMPETITION:
        print(f"next: `make gallery` with the same CONFIG and SET, or `make submit FILE={path}`")
    else:
        print(f"it cannot be submitted to Kaggle, as it was made from '{configs[0].data}'")


def compare(configs: list[Config]) -> None:
    """Shows finished runs beside the first; without `configs`, all that are in `output/`."""
    from competition.analysis.systems import compare_runs, finished_runs
    from competition.data.run import load_run
    from competition.ensemble.comparison import combine
    from competition.pages.systems import compared_table, verdict_of_runs, write_comparison
    from competition.tables import print_table

    runs = [*map(load_run, configs)] or finished_runs()
    shown = with_progress("combining each run's members", runs)
    compared = compare_runs([combine([run]) for run in shown])
    table = compared_table(compared)
    page = write_comparison(compared, table)
    print_table(replace(table, note=""))
    print(f"\n{verdict_of_runs(compared)}\nopen {page} in a browser, or runs.csv beside it")


def gallery(config: Config, all_rows: bool = False) -> None:
    """Shows rows worth a look, or with `all_rows` every labelled row, on a page and sheets."""
    from competition.analysis.explain import similar_digits
    from competition.analysis.mistakes import find
    from competition.data.run import load_run
    from competition.ensemble.comparison import combine
    from competition.pages.explanations import explained_rows
    from competition.pages.exploration import explored_rows
    from competition.pages.gallery import Company, write_gallery

    run = load_run(config)
    result = combine([run])
    findings = find(run, result)
    similar = similar_digits(findings, result.member_predictions.manifests())
    company = Company(explained_rows(config.name), explored_rows(config.name), similar)
    folder = write_gallery(findings, all_rows, company)
    print(
        f"{count_of(len(findings.mistakes), 'mistake')} and "
        f"{count_of(len(findings.label_errors), 'likely label error')}: "
        f"open {folder / paths.PAGE} in a browser, or the PNG sheets beside it"
    )


def why(config: Config, rows: list[int]) -> None:
    """Explains the worst predictions, and those of `rows` (ids), by the nets that held them out."""
    from competition.analysis.explain import explain
    from competition.data.run import load_run
    from competition.ensemble.comparison import combine
    from competition.pages.explanations import write_explanation

    run = load_run(config)
    explanation = explain(run, combine([run]), rows)
    folder = write_explanation(explanation)
    print(
        f"{count_of(len(explanation.predicted), 'row')} by "
        f"{count_of(len(explanation.by_variant), 'variant')}; "
        f"open {folder / paths.PAGE} in a browser, or the PNG sheets beside it; "
        "`make gallery` links to them"
    )


def report(config: Config, variant: str | None = None) -> None:
    """Reports on the ensemble or one variant."""
    from competition.analysis.predictions import ensemble_subject, variant_subject
    from competition.analysis.summary import summarise
    from competition.data.run import load_run
    from competition.ensemble.comparison import combine
    from competition.pages.report import write_report

    run = load_run(config)
    subject = (
        variant_subject(run, variant)
        if variant
        else ensemble_subject(run, combine([run], all_methods=True))
    )
    summary = summarise(subject)
    page = write_report(summary) / paths.PAGE
    words = summary.scores.ensemble.in_words()
    print(f"{variant or config.name}: {words}\nopen {page} in a browser")


def draw(config: Config) -> None:
    """Writes the page in which the exported net reads what a person draws."""
    from competition.deployment.browser_weights import read_steps
    from competition.pages.draw import write_drawing_page
    from competition.pages.overview import refresh

    exported = paths.OutputPaths(config.name).export / paths.EXPORTED["keras"]
    path = write_drawing_page(config.name, read_steps(exported))
    refresh(config.name)
    print(f"open {path} in a browser; it needs no network, and can be sent to a phone")


def submit(config: Config, file: Path | None, message: str | None, force: bool) -> None:
    """Checks a submission, sends it to Kaggle and waits for its score."""
    from competition.kaggle.submissions import difference, send, wait_for_score

    file = file or paths.submission_csv(config.name)
    sent = send(file, message or read_message(file), force)
    print(f"Kaggle has {file} as submission {sent.reference}")
    scored = wait_for_score(sent)
    if not scored.public_score:
        print("it has no score yet; `make scores` asks again")
        return
    print(f"public score {scored.public_score}")
    if gap := difference(scored):
        print(f"out of fold {scored.out_of_fold}: {gap} standard errors apart")


def predict(config: Config, images: list[Path], model: Path | None, out: Path | None) -> None:
    """Predicts pictures, or makes a submission of the competition's test rows."""
    from competition.deployment.predictor import Predictor, picture_files, predict_rows
    from competition.pages.contact_sheet import write_seen
    from competition.tables import Column, Table, print_table, write_csv

    model = model or paths.OutputPaths(config.name).export
    if [path.suffix for path in images] == [".csv"]:
        path = predict_rows(config, images[0], model, out)
        print(f"{path} is written and checked; next: `make submit FILE={path}`")
        return
    files = picture_files(images)
    predictor = Predictor.load(model)
    predicted, seen = predictor.examine(files)
    out = out or paths.PREDICTIONS
    sheet = out.with_suffix(".png")
    with storage.atomic_file(out) as partial:
        write_csv(partial, predicted, digits=6)
    with storage.atomic_file(sheet) as partial:
        write_seen(partial, predicted, seen, f"by {predictor.file}")
    columns = [Column(name) for name in ("picture", "position", "digit")]
    columns += [Column("probability", "{:.4f}"), Column("note")]
    print_table(Table("predictions", "Predictions", predicted, columns))
    print(f"\n{out} has the probabilities of all classes, {sheet} what the net saw")


def serve(config: Config, model: Path | None, host: str, port: int) -> None:
    """Serves the exported net and the drawing page, until Ctrl-C."""
    from competition.deployment import server
    from competition.deployment.predictor import Predictor

    outputs = paths.OutputPaths(config.name)
    predictor = Predictor.load(model or outputs.export)
    app = server.make_app(predictor, [outputs.draw, paths.DRAWING_PAGE])
    bound = server.listening(host, port)
    address = f"http://{host}:{bound.getsockname()[1]}"
    print(
        f"open {address}/ to draw digits; Ctrl-C stops the server\n"
        f"programs send pictures to {address}/predict, explained at {address}/docs; "
        f"{predictor.file} answers"
    )
    try:
        server.serve(app, bound)
    except KeyboardInterrupt:  # the way to end it
        print("stopped")


def latency(config: Config, model: Path | None) -> None:
    """Measures how fast exported nets answer, side by side."""
    from benchmarks.latency import measure
    from competition.tables import print_table

    print_table(measure(model or paths.OutputPaths(config.name).export))


def kaggle_notebook(config: Config, accelerator: str, push: bool) -> None:
    """Writes a notebook that trains on Kaggle; with `push`, runs it there and fetches its jobs."""
    from competition.kaggle.notebook import train_on_kaggle, write_notebook

    folder = write_notebook(config, accelerator)
    if not push:
        print(
            f"open {folder / paths.NOTEBOOK} in Kaggle's editor (File, Import notebook), and run "
            "all; or PUSH=1 sends it, waits, and fetches the finished jobs"
        )
        return
    from competition.data.run import load_run

    if placed := train_on_kaggle(load_run(config), folder, accelerator):
        print(
            f"{count_of(len(placed), 'job')} from Kaggle, each whole and checked\n"
            "next: `make ensemble` with the same CONFIG and SET"
        )


def scores() -> None:
    """Prints every submission in the history, after asking Kaggle for missing scores."""
    from competition.kaggle.submissions import (
        DIFFERENCE_NOTE,
        read_history,
        refresh_scores,
        scoreboard,
    )
    from competition.tables import Table, print_table

    try:
        refresh_scores()
    except UserError as error:
        print(f"asking for pending scores failed: {error}", file=sys.stderr)
    shown = scoreboard(read_history())
    if shown.empty:
        print("nothing was submitted from this folder yet; `make submit` sends a submission")
    else:
        print_table(Table("scores", "Submissions", shown, note=DIFFERENCE_NOTE))


def doctor() -> None:
    """Checks whether this machine can download and submit, and prints what to fix."""
    from competition.kaggle.doctor import FIX, examine

    to_fix = []
    for finding in examine():
        print(f"{finding.state:8}  {finding.what:12}  {finding.text}")
        if finding.state == FIX:
            to_fix.append(finding.what)
    if to_fix:
        raise UserError(f"fix first: {', '.join(to_fix)}")


def components() -> None:
    """Prints what a configuration can name: the text of `docs/components.md`."""
    from competition.config.components import components_page

    print(components_page(), end="")


def bench(config: Config, long: bool) -> None:
    """Measures how fast this machine trains, compared with stock Keras; prints tables."""
    from benchmarks import race, throughput
    from competition.data.run import load_run

    nets = {name: variant for name, variant in config.variants.items() if variant.is_net}
    if not nets:
        raise UserError(f"'{config.name}' has no net whose training could be measured")
    run = load_run(config.model_copy(update={"variants": nets}))
    kept = paths.OutputPaths(config.name).bench
    try:
        with storage.only_one(paths.OutputPaths(config.name).folder, f"measuring '{config.name}'"):
            print(throughput.benchmark(run))
            if long:
                print(f"\n{race.benchmark(run)}")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; finished parts are in {kept}") from None
    print(f"\nall figures are in {kept}")


def distil(config: Config, jobs: int | None, force: bool = False) -> None:
    """Trains the students of an ensemble; compares them with it and with labels alone."""
    from competition.data.run import load_run
    from competition.deployment.distillation import distil, judge, student_run, teacher_of
    from competition.ensemble.comparison import combine
    from competition.tables import print_table

    result = combine([run := load_run(config)])
    students = student_run(run, teacher_of(result))
    _raise_failures(distil(students, jobs, force))
    print()
    print_table(judge(result, students).table())
    print()


def export(
    config: Config, form: str | None, variant: str | None = None, sparsity: float = 0
) -> None:
    """Writes a trained net as files that other programs open, and prints a table of them."""
    from competition.data.run import load_run
    from competition.deployment import export as exporting
    from competition.deployment.distillation import student_run, teacher_of
    from competition.ensemble.comparison import combine
    from competition.pages.overview import refresh
    from competition.tables import print_table

    formats = (form,) if form else tuple(paths.EXPORTED)
    exporting.require_libraries(formats)
    run = load_run(config)
    if variant:
        folder, table = exporting.export_variant(run, variant, formats)
    else:
        students = student_run(run, teacher_of(result := combine([run])))
        folder, table = exporting.export_student(result, students, formats, sparsity)
    refresh(config.name)
    print_table(table)
    print(f"\n{folder}/ has the files and {paths.MODEL_CARD}")


def clean() -> None:
    """Removes caches, augmented epochs and leftovers of killed commands; keeps results and data."""
    with storage.exclusive(paths.POOLS_LOCK) as is_free:
        if not is_free:
            raise UserError(
                f"a training in this folder reads {paths.POOLS}/; wait until it has finished, or "
                "interrupt it, and clean again"
            )
        folders = [*filter(Path.exists, [paths.POOLS, *paths.cache_folders()])]
        for folder in folders:
            clear_folder(folder)
            print(f"removed {folder}/")
        if not folders:
            print("no caches and no augmented images are left; results are kept")
        for top in (paths.INPUT, paths.OUTPUT, paths.SUBMISSIONS):
            remove_partials(top, ABANDONED_SECONDS)


def _raise_failures(failures: list) -> None:
    if failures:
        names = ", ".join(str(failure.job) for failure in failures)
        failed = count_of(len(failures), "job")
        raise UserError(f"{failed} failed: {names}; the others are finished and kept")
