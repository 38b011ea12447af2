"""Learners that are not nets: their mistakes are in other rows than those of nets.

A function returns an unfitted learner. It takes images uint8 `[n, 28, 28]`, 0 for the background,
and keeps all that it has learnt in named arrays.
"""

import math
from abc import ABC, abstractmethod
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.svm import SVC

CLASSES = 10
SIDE = 28
# Images handled at a time, for the memory that their gradients take.
BLOCK = 500


class Learner(ABC):
    """What every learner can do; its arrays are all that it has learnt."""

    arrays: dict[str, np.ndarray]

    @abstractmethod
    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Learns from images uint8 `[n, 28, 28]` and labels uint8 `[n]`."""

    @abstractmethod
    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities, float32 `[n, 10]`."""

    def count_params(self) -> int:
        """Returns how many numbers it keeps, as Keras counts the weights of a net."""
        return sum(array.size for array in self.arrays.values())

    def save(self, path: Path) -> None:
        """Writes its arrays to a compressed `.npz` file, without pickle."""
        np.savez_compressed(path, allow_pickle=False, **self.arrays)

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Takes what another learner of the same settings has saved."""
        self.arrays = arrays


def gradient_svm(
    cells: int = 7,
    components: int = 120,
    penalty: float = 10.0,
    virtual: bool = True,
    sharpness: float = 3.0,
):
    """A support vector machine on the directions of strokes (C. Cortes and V. Vapnik, 1995).

    Moments normalise each image, so that size, aspect and slant hardly count; its gradients are
    split on eight directions and sampled on a coarse grid (C.-L. Liu et al., "Handwritten digit
    recognition: investigation of normalization and feature extraction techniques", Pattern
    Recognition 37, 2004). Principal components of these go to a machine with a Gaussian kernel.

    Args:
        cells: of the grid, per side.
        components: kept of the 8 · cells² features.
        penalty: on rows within the margin, scikit-learn's `C`.
        virtual: learns again from the support vectors and six copies of each, moved and turned
            (C. J. C. Burges and B. Schölkopf, "Improving the Accuracy and Speed of Support Vector
            Machines", NIPS 1997).
        sharpness: turns votes of pairs of classes into probabilities; it changes no prediction.
    """
    most = DIRECTIONS * cells**2
    if not 1 <= components <= most:
        raise ValueError(f"components is {components}, expected a number from 1 to {most}")
    if penalty <= 0 or sharpness <= 0:
        raise ValueError(f"penalty is {penalty} and sharpness {sharpness}, expected more than 0")
    return GradientSVM(cells, components, penalty, virtual, sharpness)


class GradientSVM(Learner):
    """See `gradient_svm`."""

    def __init__(self, cells, components, penalty, virtual, sharpness):
        self.cells, self.components, self.penalty = cells, components, penalty
        self.virtual, self.sharpness = virtual, sharpness

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        features = gradient_features(images, self.cells)
        # A tiny data set has fewer rows than components.
        reduction = PCA(min(self.components, len(features)), random_state=0).fit(features)
        reduced = reduction.transform(features)
        gamma = 1 / (reduced.shape[1] * reduced.var())
        machine = SVC(C=self.penalty, gamma=gamma, cache_size=1000).fit(reduced, labels)
        if self.virtual:
            support = machine.support_
            copies = virtual_features(images[support], self.cells)
            rows = np.concatenate([reduced[support], *map(reduction.transform, copies)])
            machine.fit(rows, np.tile(labels[support], 1 + len(copies)))
        self.load(
            {
                "mean": reduction.mean_,
                "components": reduction.components_,
                "gamma": np.array(gamma),
                "classes": machine.classes_.astype(np.uint8),
                "support_vectors": machine.support_vectors_.astype(np.float32),
                "pair_weights": pair_weights(machine),
                "pair_offsets": machine.intercept_.astype(np.float32),
            }
        )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        logits = np.full((len(images), CLASSES), -math.inf)
        for start in range(0, len(images), BLOCK):
            features = gradient_features(images[start : start + BLOCK], self.cells)
            votes = self.sharpness * self.votes(features)
            logits[start : start + BLOCK, self.arrays["classes"]] = votes
        return softmax(logits, axis=1).astype(np.float32)

    def votes(self, features: np.ndarray) -> np.ndarray:
        """Returns the votes for each class that was learnt, float64 `[n, c]`.

        They are scikit-learn's `decision_function`, by matrix products, which takes a tenth of the
        time.
        """
        kept = self.arrays
        reduced = ((features - kept["mean"]) @ kept["components"].T).astype(np.float32)
        vectors = kept["support_vectors"]
        squares = (reduced**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1)
        distances = (squares - 2 * reduced @ vectors.T).clip(0)
        kernel = np.exp(np.float32(-kept["gamma"]) * distances)
        decisions = kernel @ kept["pair_weights"] + kept["pair_offsets"]
        return counted_votes(decisions, len(kept["classes"]))


def pair_weights(machine: SVC) -> np.ndarray:
    """Returns the weight of each support vector for each pair of classes, float32 `[v, pairs]`.

    Positive decisions are for the pair's first class. libsvm keeps the vectors class by class; one
    of class i has its weight against class j in row j - 1 of `dual_coef_` if j > i, else in row j.
    """
    ends = np.cumsum(machine.n_support_)
    own = [slice(end - count, end) for end, count in zip(ends, machine.n_support_, strict=True)]
    pairs = list(combinations(range(len(ends)), 2))
    weights = np.zeros((ends[-1], len(pairs)), np.float32)
    for column, (first, second) in enumerate(pairs):
        weights[own[first], column] = machine.dual_coef_[second - 1, own[first]]
        weights[own[second], column] = machine.dual_coef_[first, own[second]]
    # With two classes, scikit-learn turns the sign: positive decisions are for the second one.
    return weights if len(pairs) > 1 else -weights


def counted_votes(decisions: np.ndarray, classes: int) -> np.ndarray:
    """Returns how many pairs each class wins, and for ties up to a third of a vote more or less for
    its summed distance from the borders, float64 `[n, c]`.

    Args:
        decisions: `[n, pairs]`, positive for the pair's first class.
    """
    votes = np.zeros((len(decisions), classes))
    distances = np.zeros_like(votes)
    for column, (first, second) in enumerate(combinations(range(classes), 2)):
        decision = decisions[:, column]
        votes[:, first] += decision >= 0
        votes[:, second] += decision < 0
        distances[:, first] += decision
        distances[:, second] -= decision
    return votes + distances / (3 * (np.abs(distances) + 1))


# Edges point in one of these; opposite ones are the two sides of a stroke.
DIRECTIONS = 8
# Pixels per side of a normalised image, as Liu et al. choose.
NORMALISED_SIDE = 35
# Square pixels, of a line as thin as a pixel: it would be blown up to a blot.
LEAST_VARIANCE = 0.3


def gradient_features(images: np.ndarray, cells: int) -> np.ndarray:
    """Returns the gradients of normalised images on a grid, float32 `[n, 8 · cells²]`."""
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    return np.concatenate([directions_on_grid(moment_normalised(each), cells) for each in blocks])


def virtual_features(images: np.ndarray, cells: int) -> list[np.ndarray]:
    """Returns the features of six copies: moved by a quarter of a cell to each side, and turned by
    10 degrees to each side.
    """
    copies = []
    step = NORMALISED_SIDE / cells / 4
    normalised = moment_normalised(images)
    for right, down in ((step, 0), (-step, 0), (0, step), (0, -step)):
        moved = warped(normalised, np.array([[1, 0, right], [0, 1, down]]))
        copies.append(directions_on_grid(moved, cells))
    for degrees in (-10, 10):
        middle = (SIDE - 1) / 2
        turned = warped(images, cv2.getRotationMatrix2D((middle, middle), degrees, 1))
        copies.append(gradient_features(turned, cells))
    return copies


def warped(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns images `[n, h, w]` warped by an affine matrix `[2, 3]`, in the same type."""
    size = images.shape[2], images.shape[1]
    return np.stack([cv2.warpAffine(image, matrix, size) for image in images])


def moment_normalised(images: np.ndarray) -> np.ndarray:
    """Returns images float32 `[n, 35, 35]` of one size, without slant, centred by mass.

    The longer side is four standard deviations of the ink; the shorter one keeps some of its
    shortness: the root of the sine of a quarter turn times the ratio (Liu et al., 2004).
    """
    side, middle = NORMALISED_SIDE, (NORMALISED_SIDE - 1) / 2
    down, right = (each.ravel() for each in np.mgrid[:SIDE, :SIDE])
    powers = np.stack([np.ones(SIDE**2), right, down, right**2, down**2, right * down], axis=1)
    sums = images.reshape(len(images), -1) @ powers
    mass = sums[:, 0].clip(1)  # 1 only in an empty image, which stays empty
    x, y, xx, yy, xy = sums[:, 1:].T / mass
    height = (yy - y**2).clip(LEAST_VARIANCE)
    slant = (xy - x * y) / height
    width = (xx - x**2 - slant**2 * height).clip(LEAST_VARIANCE)
    spread = np.sqrt([width, height])
    ratio = np.sqrt(np.sin(np.pi / 2 * spread / spread.max(axis=0)))
    scale_x, scale_y = 4 * spread / (side * ratio)  # pixels of the image per pixel of the result
    # From a pixel of the result to its place in the image.
    places = np.zeros((len(images), 2, 3))
    places[:, 0, 0], places[:, 0, 1], places[:, 1, 1] = scale_x, slant * scale_y, scale_y
    places[:, :, 2] = np.stack([x, y], axis=1) - middle * places.sum(axis=2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result = np.empty((len(images), side, side), np.float32)
    for target, image, place in zip(result, images.astype(np.float32), places, strict=True):
        target[:] = cv2.warpAffine(image, place, (side, side), flags=flags)
    return result


def directions_on_grid(images: np.ndarray, cells: int) -> np.ndarray:
    """Returns the roots of the blurred and sampled gradients, float32 `[n, 8 · cells²]`.

    The blur fits the distance of the samples (Liu et al., 2004).
    """
    planes = direction_planes(*sobel(images))
    blur = sampling(images.shape[1], cells)
    features = blur @ (planes @ blur.T)
    return np.sqrt(features.reshape(len(images), -1))


def sampling(side: int, cells: int) -> np.ndarray:
    """Returns a Gaussian blur at the centres of cells as a matrix, float32 `[cells, side]`."""
    distance = side / cells
    width = math.sqrt(2) * distance / math.pi
    centres = (np.arange(cells)[:, None] + 0.5) * distance - 0.5
    weights = np.exp(-((np.arange(side) - centres) ** 2) / (2 * width**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def sobel(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns horizontal and vertical gradients of images `[n, h, w]`, which have 0 around them."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return down[:, :, 2:] - down[:, :, :-2], across[:, 2:] - across[:, :-2]


@njit
def direction_planes(x, y):
    """Returns gradients `[n, h, w]` split on eight directions, float32 `[n, 8, h, w]`.

    Each is the sum of two along its neighbouring directions, the sides of a parallelogram.
    """
    count, height, width = x.shape
    planes = np.zeros((count, DIRECTIONS, height, width), np.float32)
    step = 2 * np.pi / DIRECTIONS
    for image in range(count):
        for row in range(height):
            for column in range(width):
                right, down = x[image, row, column], y[image, row, column]
                if right == 0 and down == 0:
                    continue
                turn = math.atan2(down, right) / step % DIRECTIONS
                first = int(turn)
                length, beyond = math.hypot(right, down) / math.sin(step), turn - first
                first %= DIRECTIONS  # rounding may give a whole turn
                second = (first + 1) % DIRECTIONS
                planes[image, first, row, column] += length * math.sin((1 - beyond) * step)
                planes[image, second, row, column] += length * math.sin(beyond * step)
    return planes


def distortion_neighbours(
    warp: int = 2, candidates: int = 20, neighbours: int = 3, sharpness: float = 5.0
):
    """Nearest neighbours under the image distortion model.

    Each pixel may move by `warp` pixels, independently of all others, to where its gradient and
    those of its eight neighbours fit best (D. Keysers et al., "Deformation Models for Image
    Recognition", IEEE PAMI 29, 2007). A class's probability falls with a power of the mean distance
    to its nearest images.

    An image is compared with those of each class that are nearest as blurred pixels; if the first
    three of each class leave no doubt, with these only.

    Args:
        warp: pixels to each side.
        candidates: images of each class to compare with.
        neighbours: nearest images of each class whose distances are averaged.
        sharpness: the power; it changes no prediction.
    """
    if warp < 0 or not 1 <= neighbours <= candidates or sharpness <= 0:
        raise ValueError(
            f"expected warp of at least 0, neighbours from 1 to candidates, and sharpness above 0, "
            f"not {warp}, {neighbours} of {candidates}, and {sharpness}"
        )
    return DistortionNeighbours(warp, candidates, neighbours, sharpness)


class DistortionNeighbours(Learner):
    """See `distortion_neighbours`."""

    def __init__(self, warp, candidates, neighbours, sharpness):
        self.warp, self.candidates = warp, candidates
        self.neighbours, self.sharpness = neighbours, sharpness

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.load({"images": images, "labels": labels})

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        references, blurred_references = self.arrays["images"], blurred(self.arrays["images"])
        planes = gradient_planes(references, self.warp + 1, self.warp)
        distances = []
        for start in range(0, len(images), BLOCK):
            block = images[start : start + BLOCK]
            nearest = self._nearest(blurred(block), blurred_references)
            tests = gradient_planes(block, 1, self.warp)
            distances.append(class_distances(tests, planes, nearest, self.neighbours, self.warp))
        powers = -self.sharpness * np.log(np.concatenate(distances))
        return softmax(powers, axis=1).astype(np.float32)

    def _nearest(self, images: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Returns positions of each class's nearest references, int64 `[n, 10, candidates]`, the
        nearest first; -1 where a class has fewer.
        """
        nearest = np.full((len(images), CLASSES, self.candidates), -1)
        for label in np.unique(self.arrays["labels"]):
            own = np.flatnonzero(self.arrays["labels"] == label)
            squares = (references[own] ** 2).sum(axis=1) - 2 * images @ references[own].T
            count = min(self.candidates, len(own))
            found = np.argpartition(squares, count - 1, axis=1)[:, :count]
            order = np.take_along_axis(squares, found, axis=1).argsort(axis=1)
            nearest[:, label, :count] = own[np.take_along_axis(found, order, axis=1)]
        return nearest


def blurred(images: np.ndarray) -> np.ndarray:
    """Returns images blurred by a Gaussian of one pixel, every second pixel, float32 `[n, 196]`."""
    kept = [cv2.GaussianBlur(image, (0, 0), 1)[::2, ::2] for image in images.astype(np.float32)]
    return np.stack(kept).reshape(len(images), -1) / 255


def gradient_planes(images: np.ndarray, border: int, warp: int) -> np.ndarray:
    """Returns horizontal and vertical gradients with zeros around them, float32 `[n, 2, p]`.

    Both kinds of planes, of tests and of references, have the same row length, so that one number
    is the distance between a pixel and its displaced one.
    """
    length = row_length(warp)
    height = SIDE + 2 * border + 1  # loops read a few pixels beyond the last row
    planes = np.zeros((len(images), 2, height, length), np.float32)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        inner = planes[block, :, border : border + SIDE, border : border + SIDE]
        inner[:] = np.stack(sobel(images[block].astype(np.float32) / 255), axis=1)
    return planes.reshape(len(images), 2, -1)


@njit
def row_length(warp):
    """Returns the pixels per row of a plane: an image, and the reach of a warp and its context."""
    return SIDE + 2 * (warp + 1)


# Stands for the distance to a class without images; infinity has no part in fast arithmetic.
VERY_FAR = np.float32(1e30)
# Of each class, the images that everything is compared with.
FIRST = 3
# There is no doubt where the second class's nearest image is this many times as far.
NO_DOUBT = 1.5


@njit
def class_distances(tests, references, nearest, neighbours, warp):
    """Returns the mean distance to the nearest references of each class, float32 `[n, 10]`.

    Args:
        tests, references: planes of gradients.
        nearest: int64 `[n, 10, candidates]`, positions of the references to compare with, or -1.
    """
    count, classes, candidates = nearest.shape
    means = np.empty((count, classes), np.float32)
    work = np.zeros((3, SIDE * row_length(warp) + 2 * row_length(warp)), np.float32)
    for row in range(count):
        found = np.full((classes, candidates), VERY_FAR)
        best, second = VERY_FAR, VERY_FAR
        begin, end = 0, min(FIRST, candidates)
        while begin < end:
            best, second = VERY_FAR, VERY_FAR
            for label in range(classes):
                for place in range(begin, end):
                    position = nearest[row, label, place]
                    if position >= 0:
                        distance = distortion(tests[row], references[position], warp, work)
                        found[label, place] = distance
                own = found[label].min()
                if own < best:
                    best, second = own, best
                elif own < second:
                    second = own
            is_clear = second > NO_DOUBT * best
            begin, end = end, end if is_clear else candidates
        for label in range(classes):
            closest = np.sort(found[label])[:neighbours]
            known = closest[closest < VERY_FAR]
            means[row, label] = known.mean() if len(known) else VERY_FAR
    return np.maximum(means, np.float32(1e-3))


@njit(fastmath=True)
def distortion(test, reference, warp, work):
    """Returns the sum over all pixels of the least squared difference between the gradients in a
    3x3 context and those of the reference, displaced by up to `warp` pixels.

    All loops run over whole planes, which vectorises; what they compute beyond a row is not used.
    """
    length = row_length(warp)
    pixels = SIDE * length
    squares, columns, least = work[0], work[1], work[2]
    least[:pixels] = VERY_FAR
    for down in range(2 * warp + 1):
        for right in range(2 * warp + 1):
            by = down * length + right
            for i in range(pixels + 2 * length):
                x = test[0, i] - reference[0, i + by]
                y = test[1, i] - reference[1, i + by]
                squares[i] = x * x + y * y
            for i in range(pixels):
                columns[i] = squares[i] + squares[i + length] + squares[i + 2 * length]
            for i in range(pixels - 2):
                least[i] = min(least[i], columns[i] + columns[i + 1] + columns[i + 2])
    total = np.float32(0)
    for row in range(SIDE):
        for column in range(SIDE):
            total += least[row * length + column]
    return total
