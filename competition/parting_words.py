"""What a command says at its end: where things are, and what to do next."""

from pathlib import Path

from competition import paths
from competition.config import Config


def where_own_data_goes(data_set: str) -> str:
    """Returns how to bring data that cannot be downloaded."""
    return (
        f"nothing is known of where the data set '{data_set}' comes from; put it into "
        f"{paths.data_folder(data_set)}/: train.csv, test.csv and sample_submission.csv in the "
        "competition's format, or MNIST's IDX files, one .npz or HDF5 file, or folders of images "
        '(the README says how, under "Other digits, other splits"); or set data: to '
        f"{Config.model_fields['data'].default}"
    )


def where_ensemble_is(name: str, submission: Path) -> str:
    """Returns where the files of an ensemble are."""
    mean = paths.submission_csv(paths.mean_name(name))
    return f"""\
{paths.ensemble_folder(name)}/ holds these tables, what was fitted, and the probabilities;
test_confidence.csv there begins with the test rows that are least certain
{mean} is the plain mean, to compare
{submission} is written and checked"""


def demo_summary(config: Config) -> str:
    """Returns what the demo left, and what to try next."""
    return f"""
What you have now, all of it made from scikit-learn's small digits:
  {paths.jobs_folder(config.name)}/
      a folder a trained net: manifest, history, probabilities, model
  {paths.gallery_folder(config.name) / paths.PAGE}
      mistakes, likely label errors and uncertain digits, to open in a browser; PNG sheets beside it
  {paths.report_folder(config.name) / paths.PAGE}
      the results: tables, learning curves, confusions; CSV, SVG and PNG files beside it
  {paths.submission_csv(config.name)}
      a submission in Kaggle's format; the .json beside it says where it comes from

What to try next, with the competition's digits:
  make download                            (needs a Kaggle token; or ZIP=path of the archive)
  make train-folds CONFIG=configs/fast.yaml
  make ensemble    CONFIG=configs/fast.yaml
  make gallery     CONFIG=configs/fast.yaml

And to see what these small nets looked at: make why CONFIG=configs/demo.yaml"""
