"""The one owner of every file name under `input/`, `output/` and `submissions/`.

All paths are relative to the working folder, which is the root of a checkout.
"""

from pathlib import Path

INPUT = Path("input")
OUTPUT = Path("output")
SUBMISSIONS = Path("submissions")
SUBMISSION_HISTORY = SUBMISSIONS / "history.csv"
# A submission that is being sent; hidden, so that no configuration's file has its name.
SENDING = SUBMISSIONS / ".sending.json"

# The competition's data set, by its name on Kaggle.
COMPETITION = "digit-recognizer"
# Those that the program makes: scikit-learn's digits, and an example of an own HDF5 file.
EMBEDDED = "embedded"
HDF5_EXAMPLE = "mnist-hdf5"

# Where a notebook on Kaggle has the files of the competitions that it names, read-only.
KAGGLE_INPUTS = (Path("/kaggle/input"), Path("/kaggle/input/competitions"))

# Augmented epochs; the lock is beside their folder, which `clean` removes.
POOLS = OUTPUT / "pools"
POOLS_LOCK = OUTPUT / ".pools.lock"
POOLS_MAKING = OUTPUT / ".pools.making"

# What `compare` writes of runs.
COMPARISON = OUTPUT / "comparison"

# The drawing page that the repository has.
DRAWING_PAGE = Path("docs/draw.html")

# What `predict` writes, unless it is told another file; the sheet is beside it.
PREDICTIONS = Path("predictions.csv")

# Files of a finished job.
MANIFEST = "manifest.json"
HISTORY = "history.csv"
PROBABILITIES = "probabilities.npz"
MODEL = "model.keras"
LEARNER = "model.npz"  # in place of it, of a variant that is not a net

# Files of an export, by format; any may be absent.
EXPORTED = {"keras": "digits.keras", "onnx": "digits.onnx", "litert": "digits.tflite"}
MODEL_CARD = "model_card.md"

# Files of a notebook for Kaggle: what it is, how to run it, what was sent, what it brings back.
NOTEBOOK = "train.ipynb"
NOTEBOOK_METADATA = "kernel-metadata.json"  # the name that Kaggle's client looks for
PUSHED = "pushed.json"
NOTEBOOK_RESULTS = "results.zip"

# The page to open, in every folder that has one.
PAGE = "index.html"

# Files of a gallery; a user may save the marks that its page exports beside it.
LABEL_ERRORS = "label-errors.csv"
MARKS_PATTERN = "marks*.csv"

# A file of an explanation.
NEIGHBOURS = "neighbours.csv"

# Files of an exploration.
PLANE = "plane.csv"
CLASS_COUNTS = "class_counts.csv"
DUPLICATES = "duplicates.csv"
CONTRADICTIONS = "contradictions.csv"

# Files and folders of a report.
RESULTS = "results.md"
FIGURES = "figures"
TABLES = "tables"

# Of a tuned variant.
TUNING_SUMMARY = "summary.md"
PICTURES = "pictures"


class DataPaths:
    """The files of one data set, in `input/<data set>/` or, in a notebook there, where Kaggle has
    them.
    """

    def __init__(self, data_set: str):
        self.folder = INPUT / data_set
        if not self.folder.exists():
            given = (folder / data_set for folder in KAGGLE_INPUTS)
            self.folder = next((folder for folder in given if folder.is_dir()), self.folder)
        self.train = self.folder / "train.csv"
        self.test = self.folder / "test.csv"
        self.sample_submission = self.folder / "sample_submission.csv"
        self.csv_files = (self.train, self.test, self.sample_submission)
        self.hdf5 = self.folder / "mnist.hdf5"
        # An incomplete download; `clean` recognises it by its name.
        self.download = INPUT / f"{data_set}.partial-download"


def cache_folder(data_folder: Path) -> Path:
    """Returns the folder with the cached arrays of a data folder."""
    return data_folder / "cache"


def cache_folders() -> list[Path]:
    """Returns the cache folder of every data set."""
    return sorted(INPUT.glob("*/cache"))


def pool_folder(identity: str, owner: str = "") -> Path:
    """Returns the folder of augmented epochs: shared ones, or those of one `owner` alone."""
    return POOLS / (f"{identity}.{owner}" if owner else identity)


class OutputPaths:
    """The results of one configuration, or of an ensemble of several, in `output/<name>/`."""

    def __init__(self, config: str):
        self.folder = OUTPUT / config
        self.page = self.folder / PAGE
        self.resolved_config = self.folder / "config.yaml"
        self.lock = self.folder / ".training.lock"
        self.jobs = self.folder / "jobs"
        self.ensemble = self.folder / "ensemble"
        self.gallery = self.folder / "gallery"
        self.why = self.folder / "why"
        self.exploration = self.folder / "exploration"
        self.export = self.folder / "export"
        self.draw = self.folder / "draw.html"
        self.students = self.folder / "student"
        self.baselines = self.folder / "baselines.md"  # its CSV file is beside it
        self.bench = self.folder / "bench.json"
        self.kaggle = self.folder / "kaggle"

    def job(self, variant: str, seed: int, split: str) -> Path:
        """Returns the folder of a job's result."""
        return self.jobs / variant / f"seed{seed}" / split

    def tensorboard(self, variant: str, seed: int, split: str) -> Path:
        """Returns the TensorBoard folder of a job."""
        return self.folder / "tensorboard" / f"{variant}-seed{seed}-{split}"

    def report(self, variant: str | None = None) -> Path:
        """Returns the report folder of the ensemble or of one variant."""
        return self.folder / (f"report-{variant}" if variant else "report")

    def tuning_summaries(self) -> list[Path]:
        """Returns the summaries of all tuned variants."""
        return sorted(self.folder.glob(f"tuning/*/{TUNING_SUMMARY}"))


class TuningPaths:
    """The study of one variant, in `output/<config>/tuning/<variant>/`."""

    def __init__(self, config: str, variant: str):
        self.folder = OUTPUT / config / "tuning" / variant
        self.lock = self.folder / ".tuning.lock"
        self.journal = self.folder / "journal.log"
        self.best_config = self.folder / "best.yaml"
        self.trials = self.folder / "trials.csv"
        self.pictures = self.folder / PICTURES
        self.summary = self.folder / TUNING_SUMMARY
        self.page = self.folder / PAGE


def ensemble_name(config_names: list[str]) -> str:
    """Returns the name of an ensemble; a configuration's own name has no plus sign."""
    return "+".join(config_names)


def mean_name(name: str) -> str:
    """Returns the name of the plain mean's submission, written beside that of `name`."""
    return f"{name}-mean"


def submission_csv(name: str) -> Path:
    """Returns the submission file of a configuration or of an ensemble."""
    return SUBMISSIONS / f"{name}.csv"


def exported_name(name: str) -> str:
    """Returns the name of the submission that the exported net of `name` makes alone."""
    return f"{name}-export"


def provenance_json(submission: Path) -> Path:
    """Returns the provenance file beside a submission."""
    return submission.with_suffix(".json")
