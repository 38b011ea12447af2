"""What commands say at their end: where things are, and what to do next."""

from pathlib import Path

from competition import paths


def where_ensemble_is(name: str, submission: Path, method: str) -> str:
    """Returns where to find what `ensemble` made of a configuration of that name by a method."""
    mean = paths.submission_csv(paths.mean_name(name))
    beside = "has the same" if method == "mean" else "has the plain mean, to compare"
    return f"""\
{paths.ensemble_folder(name)}/ holds these tables, what was fitted, and the probabilities;
test-confidence.csv there begins with the test rows that are least certain
{submission} is written and checked, by the method {method}; {mean} {beside}"""


def demo_summary(name: str) -> str:
    """Returns what the demonstration, a configuration of that name, made, and what to try next."""
    return f"""
What you have now, all of it made from scikit-learn's small digits:
  {paths.jobs_folder(name)}/
      a folder a trained net: manifest, history, probabilities, model
  {paths.gallery_folder(name) / paths.PAGE}
      mistakes, likely label errors and uncertain digits, to open in a browser; PNG sheets beside it
  {paths.report_folder(name) / paths.PAGE}
      the results: tables, learning curves, confusions; CSV, SVG and PNG files beside it
  {paths.submission_csv(name)}
      a submission in Kaggle's format; the .json beside it says where it comes from

What to try next, with the competition's digits:
  make download                            (needs a Kaggle token; or ZIP=path of the archive)
  make train-folds CONFIG=configs/fast.yaml
  make ensemble    CONFIG=configs/fast.yaml
  make gallery     CONFIG=configs/fast.yaml

And to see what these small nets looked at: make why CONFIG=configs/demo.yaml"""
