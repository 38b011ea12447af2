"""The one owner of every file name under `input/`, `output/` and `submissions/`.

All paths are relative to the working folder, which is the root of a checkout.
"""

from pathlib import Path

INPUT = Path("input")
OUTPUT = Path("output")
SUBMISSIONS = Path("submissions")

# The data set of the competition, by the name that it has at Kaggle.
COMPETITION = "digit-recognizer"

# Members of a finished job's folder.
MANIFEST = "manifest.json"
HISTORY = "history.csv"
PROBABILITIES = "probabilities.npz"
MODEL = "model.keras"

# A page that is opened first, in each folder that is to be looked at.
PAGE = "index.html"

# Members of a gallery's folder.
LABEL_ERRORS = "label-errors.csv"
MARKS_PATTERN = "marks*.csv"  # exported from the page, and perhaps saved beside it

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


def data_folder(data_set: str) -> Path:
    return INPUT / data_set


def train_csv(data_set: str) -> Path:
    return data_folder(data_set) / "train.csv"


def test_csv(data_set: str) -> Path:
    return data_folder(data_set) / "test.csv"


def sample_submission_csv(data_set: str) -> Path:
    return data_folder(data_set) / "sample_submission.csv"


def hdf5_file(data_set: str) -> Path:
    return data_folder(data_set) / "mnist.hdf5"


def download_folder(data_set: str) -> Path:
    """Returns where an archive grows until it is whole; `clean` removes it by its name."""
    return INPUT / f"{data_set}.partial-download"


def csv_files(data_set: str) -> tuple[Path, Path, Path]:
    return train_csv(data_set), test_csv(data_set), sample_submission_csv(data_set)


def cache_folder(folder: Path) -> Path:
    return folder / "cache"


def cache_file(csv: Path) -> Path:
    return cache_folder(csv.parent) / f"{csv.stem}.npz"


def folder_cache_file(folder: Path) -> Path:
    """Returns where all is kept that was read from a folder in another format."""
    return cache_folder(folder) / "digits.npz"


def cache_folders() -> list[Path]:
    return sorted(INPUT.glob("*/cache"))


def pools_folder() -> Path:
    return OUTPUT / "pools"


def pools_lock_file() -> Path:
    """Beside the pools and not among them: a lock must outlive what it guards."""
    return OUTPUT / ".pools.lock"


def pool_folder(identity: str, owner: str = "") -> Path:
    """Returns where a pool is kept: one that all share, or one that is its owner's alone."""
    return pools_folder() / (f"{identity}.{owner}" if owner else identity)


def owned_pool_folders(owner_pattern: str) -> list[Path]:
    return sorted(pools_folder().glob(f"*.{owner_pattern}"))


def output_folder(config_name: str) -> Path:
    return OUTPUT / config_name


def resolved_config_file(config_name: str) -> Path:
    return output_folder(config_name) / "config.yaml"


def folds_file(config_name: str, name: str) -> Path:
    return output_folder(config_name) / name


def lock_file(config_name: str) -> Path:
    return output_folder(config_name) / ".training.lock"


def jobs_folder(config_name: str) -> Path:
    return output_folder(config_name) / "jobs"


def job_folder(config_name: str, variant: str, seed: int, split: str) -> Path:
    return jobs_folder(config_name) / variant / f"seed{seed}" / split


def ensemble_name(config_names: list[str]) -> str:
    """Returns the name of an ensemble; no configuration has a plus sign in its own."""
    return "+".join(config_names)


def mean_name(name: str) -> str:
    """Returns what the plain mean's submission is called, beside the one of `name`."""
    return f"{name}-mean"


def ensemble_folder(name: str) -> Path:
    return output_folder(name) / "ensemble"


def gallery_folder(config_name: str) -> Path:
    return output_folder(config_name) / "gallery"


def why_folder(config_name: str) -> Path:
    return output_folder(config_name) / "why"


def why_sheet(number: int) -> str:
    return f"why-{number:02d}.png"


def exploration_folder(config_name: str) -> Path:
    return output_folder(config_name) / "exploration"


def figure_png(stem: str) -> str:
    return f"{stem}.png"


def report_folder(config_name: str, variant: str | None = None) -> Path:
    """Returns where the report of an ensemble is, or that of one variant."""
    return output_folder(config_name) / (f"report-{variant}" if variant else "report")


def baselines_file(config_name: str) -> Path:
    """Returns the table of a configuration's variants; the same as CSV is beside it."""
    return output_folder(config_name) / "baselines.md"


def tensorboard_folder(config_name: str, variant: str, seed: int, split: str) -> Path:
    return output_folder(config_name) / "tensorboard" / f"{variant}-seed{seed}-{split}"


def bench_json(config_name: str) -> Path:
    return output_folder(config_name) / "bench.json"


def tuning_folder(config_name: str, variant: str) -> Path:
    return output_folder(config_name) / "tuning" / variant


def tuning_lock_file(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / ".tuning.lock"


def journal_file(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / "journal.log"


def best_config_file(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / "best.yaml"


def trials_csv(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / "trials.csv"


def tuning_pictures_folder(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / "pictures"


def tuning_summary(config_name: str, variant: str) -> Path:
    return tuning_folder(config_name, variant) / "summary.md"


def tuning_summaries(config_name: str) -> list[Path]:
    """Returns the summaries of all variants that were tuned."""
    return sorted(output_folder(config_name).glob("tuning/*/summary.md"))


def submission_csv(name: str) -> Path:
    return SUBMISSIONS / f"{name}.csv"


def provenance_json(submission: Path) -> Path:
    return submission.with_suffix(".json")


def submission_history_csv() -> Path:
    return SUBMISSIONS / "history.csv"
