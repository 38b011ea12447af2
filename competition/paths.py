"""The one owner of every file name under `input/`, `output/` and `submissions/`.

All paths are relative to the working folder, which is the root of a checkout.
"""

from pathlib import Path

INPUT = Path("input")
OUTPUT = Path("output")
SUBMISSIONS = Path("submissions")
SUBMISSION_HISTORY = SUBMISSIONS / "history.csv"

# The data set of the competition, by the name that it has at Kaggle.
COMPETITION = "digit-recognizer"

# Augmented epochs; the lock stands beside them and not among them, as it must outlive them.
POOLS = OUTPUT / "pools"
POOLS_LOCK = OUTPUT / ".pools.lock"

# Members of a finished job's folder.
MANIFEST = "manifest.json"
HISTORY = "history.csv"
PROBABILITIES = "probabilities.npz"
MODEL = "model.keras"

# A page that is opened first, in each folder that is to be looked at.
PAGE = "index.html"

# Members of a gallery's folder; marks are exported from the page, and perhaps saved beside it.
LABEL_ERRORS = "label-errors.csv"
MARKS_PATTERN = "marks*.csv"

# A member of the folder of an explanation.
NEIGHBOURS = "neighbours.csv"

# Members of an exploration's folder.
CLASS_COUNTS = "class_counts.csv"
DUPLICATES = "duplicates.csv"
CONTRADICTIONS = "contradictions.csv"

# Members of a report's folder.
RESULTS = "results.md"
FIGURES = "figures"
TABLES = "tables"


class DataPaths:
    """`input/<data set>/`: the files of one data set."""

    def __init__(self, data_set: str):
        self.folder = INPUT / data_set
        self.train = self.folder / "train.csv"
        self.test = self.folder / "test.csv"
        self.sample_submission = self.folder / "sample_submission.csv"
        self.csv_files = (self.train, self.test, self.sample_submission)
        self.hdf5 = self.folder / "mnist.hdf5"
        # Where an archive grows until it is whole; `clean` removes it by its name.
        self.download = INPUT / f"{data_set}.partial-download"


def cache_folder(data_folder: Path) -> Path:
    """Returns where what was read from a folder of digits is kept as arrays."""
    return data_folder / "cache"


def cache_folders() -> list[Path]:
    """Returns the cache of every data set."""
    return sorted(INPUT.glob("*/cache"))


def pool_folder(identity: str, owner: str = "") -> Path:
    """Returns where augmented epochs are kept: those that all share, or one owner's alone."""
    return POOLS / (f"{identity}.{owner}" if owner else identity)


class OutputPaths:
    """`output/<config>/`: what commands make of one configuration, or of several as one."""

    def __init__(self, config: str):
        self.folder = OUTPUT / config
        self.resolved_config = self.folder / "config.yaml"
        self.lock = self.folder / ".training.lock"
        self.jobs = self.folder / "jobs"
        self.ensemble = self.folder / "ensemble"
        self.gallery = self.folder / "gallery"
        self.why = self.folder / "why"
        self.exploration = self.folder / "exploration"
        self.baselines = self.folder / "baselines.md"  # the same as CSV is beside it
        self.bench = self.folder / "bench.json"

    def job(self, variant: str, seed: int, split: str) -> Path:
        """Returns the folder of a job's result."""
        return self.jobs / variant / f"seed{seed}" / split

    def tensorboard(self, variant: str, seed: int, split: str) -> Path:
        """Returns the folder of a job's training curve for TensorBoard."""
        return self.folder / "tensorboard" / f"{variant}-seed{seed}-{split}"

    def report(self, variant: str | None = None) -> Path:
        """Returns the folder of the ensemble's report, or of that of one variant."""
        return self.folder / (f"report-{variant}" if variant else "report")

    def tuning_summaries(self) -> list[Path]:
        """Returns the summaries of all variants that were tuned."""
        return sorted(self.folder.glob("tuning/*/summary.md"))


class TuningPaths:
    """`output/<config>/tuning/<variant>/`: the study of one variant."""

    def __init__(self, config: str, variant: str):
        self.folder = OUTPUT / config / "tuning" / variant
        self.lock = self.folder / ".tuning.lock"
        self.journal = self.folder / "journal.log"
        self.best_config = self.folder / "best.yaml"
        self.trials = self.folder / "trials.csv"
        self.pictures = self.folder / "pictures"
        self.summary = self.folder / "summary.md"


def ensemble_name(config_names: list[str]) -> str:
    """Returns the name of an ensemble; no configuration has a plus sign in its own."""
    return "+".join(config_names)


def mean_name(name: str) -> str:
    """Returns what the plain mean's submission is called, beside the one of `name`."""
    return f"{name}-mean"


def submission_csv(name: str) -> Path:
    """Returns the submission of a configuration, or of an ensemble of several."""
    return SUBMISSIONS / f"{name}.csv"


def provenance_json(submission: Path) -> Path:
    """Returns the file beside a submission that says where it comes from."""
    return submission.with_suffix(".json")
