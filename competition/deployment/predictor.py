"""Digits predicted by an exported net: pictures in, a table out. No TensorFlow but for `.keras`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from competition import paths
from competition.config.loading import Config
from competition.data.loading import read_csv
from competition.data.pictures import ENDINGS, grey_values, read_grey
from competition.deployment.preprocessing import LEAST_CONTRAST, WHOLE, Found, find_digits
from competition.deployment.runtimes import Net, chosen, in_blocks, opened
from competition.digits import CLASSES, SIDE
from competition.errors import UserError
from competition.storage import file_hash, visible_entries
from competition.submission import write_submission

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    # A file, what a file holds, a Pillow image, or uint8 `[height, width]` or `[height, width, 3]`.
    Picture: TypeAlias = str | Path | bytes | Image | np.ndarray

NO_DIGIT = "no digit"
DOUBTFUL = "it is unclear whether its ink is the light or the dark"

PROBABILITIES = [f"p{digit}" for digit in range(CLASSES)]
# A picture, by its file or its number from 1; what was found in it; a note.
Looked: TypeAlias = tuple[str, list[Found], str]


class Predictor:
    """An exported net that predicts pictures.

    Attributes:
        file: what was loaded.
    """

    def __init__(self, file: Path, net: Net):
        self.file, self._net = file, net

    @classmethod
    def load(cls, path: str | Path) -> "Predictor":
        """Opens a file of an export, or the quickest one in its folder that can be opened here.

        Raises:
            UserError: when there is none, its runtime is not installed, or it is damaged.
        """
        file = chosen(Path(path))
        return cls(file, opened(file))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities, float32 `[n, 10]`, of digits uint8 `[n, 28, 28]`."""
        return in_blocks(self._net, images)

    def predict(self, pictures: "Picture | Sequence[Picture]") -> "pd.DataFrame":
        """Predicts the digits in pictures.

        Args:
            pictures: one, or a list of them; or uint8 `[n, 28, 28]`, digits as MNIST shows them,
                which are predicted as they are.

        Returns:
            A row per digit: `picture` (its file, or its number from 1), `position` (in reading
            order from 1; 0 where there is no digit), `digit` (<NA> where there is none),
            `probability`, `p0` … `p9`, and `note`, what a person should look at.

        Raises:
            UserError: when a picture cannot be read.
        """
        return self.examine(pictures)[0]

    def examine(self, pictures: "Picture | Sequence[Picture]") -> tuple["pd.DataFrame", np.ndarray]:
        """Returns what `predict` does, and what the net saw for each row, uint8 `[n, 28, 28]`."""
        import pandas as pd

        rows, images = [], [np.zeros((SIDE, SIDE), np.uint8)]
        for name, found, note in _looked_at(pictures):
            rows += [(name, position, note) for position in range(1, len(found) + 1)]
            images += [digit.image for digit in found]
            if not found:
                rows.append((name, 0, NO_DIGIT))
        frame = pd.DataFrame(rows, columns=["picture", "position", "note"])
        is_digit = frame["position"].to_numpy() > 0
        seen = np.stack(images)[np.where(is_digit, is_digit.cumsum(), 0)]
        values = np.full((len(rows), CLASSES), np.nan, np.float32)
        values[is_digit] = self.probabilities(seen[is_digit])
        digits = pd.array(np.nan_to_num(values).argmax(axis=1), dtype="Int8")
        digits[~is_digit] = pd.NA
        answers = pd.DataFrame(values, columns=PROBABILITIES)
        answers.insert(0, "digit", digits)
        answers.insert(1, "probability", values.max(axis=1))
        frame = pd.concat([frame.drop(columns="note"), answers, frame[["note"]]], axis=1)
        return frame, seen


def picture_files(given: list[Path]) -> list[Path]:
    """Returns the pictures among files and folders; in a folder, those named like pictures.

    Raises:
        UserError: when none is given, a file is missing, or a folder has no picture.
    """
    if not given:
        raise UserError('no picture is given: `make predict IMAGES="photo.png folder/"`')
    files = []
    for path in given:
        inside = [file for file in visible_entries(path) if file.suffix.lower() in ENDINGS]
        if path.is_dir() and not inside:
            raise UserError(f"{path}/ has no picture; expected {', '.join(sorted(ENDINGS))}")
        files += inside if path.is_dir() else [path]
    return files


def _looked_at(pictures: "Picture | Sequence[Picture]") -> Iterator[Looked]:
    if isinstance(pictures, np.ndarray) and pictures.shape[1:] == (SIDE, SIDE):
        _require_bytes(pictures)
        for number, image in enumerate(pictures, start=1):
            has_ink = image.max() >= LEAST_CONTRAST
            yield str(number), [Found(image, WHOLE)] if has_ink else [], ""
        return
    several = pictures if isinstance(pictures, (list, tuple)) else [cast("Picture", pictures)]
    for number, picture in enumerate(several, start=1):
        name = str(picture) if isinstance(picture, (str, Path)) else str(number)
        found, is_clear = find_digits(_grey(picture))
        yield name, found, "" if is_clear else DOUBTFUL


def _grey(picture: "Picture") -> np.ndarray:
    if isinstance(picture, (str, Path)):
        return read_grey(Path(picture))
    if isinstance(picture, bytes):
        return read_grey(picture)
    if isinstance(picture, np.ndarray):
        from PIL import Image

        _require_bytes(picture)
        picture = Image.fromarray(picture)
    return grey_values(picture)


def _require_bytes(values: np.ndarray) -> None:
    if values.dtype != np.uint8:
        raise UserError(f"the pixels are {values.dtype}; expected uint8, from 0 to 255")


def predict_rows(config: Config, rows: Path, model: Path, out: Path | None) -> Path:
    """Writes a checked submission of the competition's test rows by one net; returns its path."""
    digits, predictor = read_csv(rows, labelled=False), Predictor.load(model)
    out = out or paths.submission_csv(paths.exported_name(config.name))
    labels = predictor.probabilities(digits.images).argmax(axis=1)
    data = paths.DataPaths(config.data)
    is_of_data = rows.resolve() == data.test.resolve()
    provenance = {
        "message": f"{config.name}, one exported net ({predictor.file.name})",
        "model": str(predictor.file),
        "model_sha256": file_hash(predictor.file),
    }
    sample = data.sample_submission if is_of_data else None
    write_submission(out, digits.ids, labels, provenance, sample)
    return out
