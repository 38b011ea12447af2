"""Which parts of a digit a net's answer hangs on: what changes when a patch of it is hidden.

It asks nothing of a net but its answers, so that every architecture can be looked into (M. Zeiler
and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2).
"""

from collections.abc import Iterable

import numpy as np

from competition.digits import SIDE

# A map has a cell for every 2x2 pixels; the patch around each is 6x6, about twice a stroke's width.
CELL, PATCH = 2, 6
CELLS = SIDE // CELL
PATCHES = CELLS**2


def with_hidden_patches(image: np.ndarray, grey: int) -> np.ndarray:
    """Returns a digit once for each cell of a map, with the patch around that cell hidden.

    Args:
        image: uint8 `[28, 28]`.
        grey: what is put in place of the patch's pixels. The mean of all pixels tells a net the
            least: neither that there is ink, nor that there is none.

    Returns:
        uint8 `[196, 28, 28]`, line by line; patches end where the image ends.
    """
    places = np.arange(SIDE)
    starts = np.arange(CELLS)[:, None] * CELL - (PATCH - CELL) // 2
    covered = (places >= starts) & (places < starts + PATCH)
    patches = covered[:, None, :, None] & covered[None, :, None, :]
    return np.where(patches.reshape(PATCHES, SIDE, SIDE), np.uint8(grey), image)


def hidden_and_whole(images: np.ndarray, grey: int) -> np.ndarray:
    """Returns what a net is to be asked for maps of images `[n, 28, 28]`: `[n * 197, 28, 28]`.

    Each image comes with every patch hidden, and then as it is.
    """
    asked = [with_hidden_patches(image, grey) for image in images]
    return np.concatenate([np.append(hidden, image[None], axis=0)
                           for hidden, image in zip(asked, images, strict=True)])  # fmt: skip


def drops(answers: Iterable[np.ndarray], classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how much of a class's probability each patch holds.

    Args:
        answers: the probabilities of `hidden_and_whole`, `[n * 197, 10]`, in pieces.
        classes: int `[n, c]`, the classes that are looked at in each image.

    Returns:
        float32 `[n, c, 14, 14]`, from -1 to 1: positive where hiding the patch costs the class
        probability, negative where it gains; and the probabilities of the whole images,
        float32 `[n, 10]`.
    """
    values = np.concatenate(list(answers)).reshape(len(classes), PATCHES + 1, -1)
    of_classes = np.take_along_axis(values, classes[:, None, :], axis=2)
    lost = of_classes[:, -1:] - of_classes[:, :-1]
    maps = lost.swapaxes(1, 2).reshape(*classes.shape, CELLS, CELLS)
    return maps.astype(np.float32), values[:, -1]
