"""Any picture becomes digits of 28 × 28 as MNIST shows them, or none."""

import base64
import io
import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from competition.data.pictures import bright_ink, read_grey
from competition.deployment.preprocessing import centred, find_digits
from competition.errors import UserError

VECTORS = json.loads((ROOT / "tests/vectors/centred.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_ink_is_centred_as_the_shared_vectors_say(vector):
    pixels = np.frombuffer(base64.b64decode(vector["pixels"]), np.uint8)
    found = centred(pixels.reshape(vector["height"], vector["width"]))
    assert (None if found is None else found.ravel().tolist()) == vector["ink"]


def test_a_centred_digit_stays_as_it_is():
    for vector in VECTORS:
        if vector["ink"] and max(vector["ink"]) == 255:
            digit = np.array(vector["ink"], np.uint8).reshape(28, 28)
            np.testing.assert_array_equal(centred(digit), digit)


def seven(height: int = 240, width: int = 200, pen: int = 22) -> np.ndarray:
    """Returns the ink of a 7, uint8, in the left upper part of a picture."""
    ink = np.zeros((height, width), np.uint8)
    x, y = width // 6, height // 6
    corners = [(x, y), (3 * x, y), (2 * x, 4 * y)]
    return cv2.polylines(ink, [np.array(corners)], False, 255, pen, cv2.LINE_AA)


def encoded(picture: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def on_paper(ink: np.ndarray, paper=(250, 248, 240), pen=(20, 30, 90)) -> np.ndarray:
    share = ink[..., None] / 255
    return (np.array(paper) * (1 - share) + np.array(pen) * share).round().astype(np.uint8)


def with_alpha(colour: np.ndarray, ink: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colour, ink]).astype(np.uint8))


INK = seven()
BLACK, WHITE = np.zeros((*INK.shape, 3)), np.full((*INK.shape, 3), 255)
CARD = np.pad(np.full((200, 160), 255, np.uint8), 20)
TURNED = Image.fromarray(on_paper(np.rot90(INK)))
TURNED.getexif()[0x0112] = 6  # "turn me by 90° clockwise"
GREY16 = Image.fromarray((65535 - 257 * INK.astype(np.uint16)).astype(np.uint16))
ALIKE = {
    "PNG": encoded(Image.fromarray(on_paper(INK))),
    "JPEG": encoded(Image.fromarray(on_paper(INK)), "JPEG", quality=60),
    "WebP": encoded(Image.fromarray(on_paper(INK)), "WEBP"),
    "BMP": encoded(Image.fromarray(on_paper(INK)), "BMP"),
    "TIFF": encoded(Image.fromarray(on_paper(INK)), "TIFF"),
    "CMYK": encoded(Image.fromarray(on_paper(INK)).convert("CMYK"), "JPEG"),
    "grey": encoded(Image.fromarray(255 - INK)),
    "palette": encoded(Image.fromarray(on_paper(INK)).quantize(16)),
    "two colours": encoded(Image.fromarray(255 - INK).convert("1")),
    "16 bit": encoded(GREY16),
    "16 bit TIFF": encoded(GREY16, "TIFF"),
    "fractions": encoded(Image.fromarray((INK / 255).astype(np.float32)), "TIFF"),
    "light on dark": encoded(Image.fromarray(on_paper(INK, (20, 40, 30), (240, 240, 200)))),
    "yellow on white": encoded(Image.fromarray(on_paper(INK, (255, 255, 255), (255, 235, 0)))),
    "black on transparent": encoded(with_alpha(BLACK, INK)),
    "white on transparent": encoded(with_alpha(WHITE, INK)),
    "ink in the alpha channel": encoded(with_alpha(on_paper(INK), INK)),
    "black on transparent in a palette": encoded(with_alpha(BLACK, INK).quantize(8)),
    "a hole in white": encoded(with_alpha(WHITE, 255 - INK)),
    "opaque": encoded(with_alpha(on_paper(INK), np.full_like(INK, 255))),
    "a card on transparent": encoded(with_alpha(on_paper(INK), CARD)),
    "turned by a camera": encoded(TURNED, "JPEG", exif=TURNED.getexif()),
    "large": encoded(Image.fromarray(on_paper(seven(2400, 2000, 220))), "JPEG"),
}


@pytest.mark.parametrize("content", ALIKE.values(), ids=ALIKE.keys())
def test_a_picture_of_any_kind_holds_the_same_digit(content):
    [found], is_clear = find_digits(read_grey(content))
    assert is_clear
    # Where the centre of mass lies between two pixels, a breath decides where it goes.
    moved = [np.roll(found.image, step, axis=1).astype(int) for step in (-1, 0, 1)]
    assert min(np.abs(image - centred(INK)).mean() for image in moved) < 7
    assert found.place == pytest.approx((1 / 3, 5 / 12), abs=0.02)


def light(shadow: float) -> np.ndarray:
    """Returns the light on paper of 600 × 500 pixels, from 0 to 1: a lamp at the left, a shadow."""
    y, x = np.mgrid[0:600, 0:500] / 600
    return (1 - 0.4 * x) * (1 - shadow / (1 + np.exp(-40 * (x + y - 0.9))))


def photographed(ink: np.ndarray, lines: int = 0, shadow: float = 0.35) -> np.ndarray:
    """Returns a photo of ink on paper, uint8 `[600, 500]`, with lines so many pixels apart."""
    paper = np.full(ink.shape, 235.0)
    if lines:
        paper[lines // 2 :: lines] = 120
    grey = (paper * (1 - ink / 255) + 60 * (ink / 255)) * light(shadow)
    grey = cv2.GaussianBlur(grey, (0, 0), 1)
    grey += np.random.default_rng(0).normal(0, 4, ink.shape)
    return grey.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("lines", [0, 90])
@pytest.mark.parametrize("pen", [4, 12, 50])
def test_the_photo_of_a_digit_shows_that_digit_alone(pen, lines):
    [found], is_clear = find_digits(photographed(seven(600, 500, pen), lines))
    assert is_clear
    thick = centred(seven(600, 500, max(pen, 40)))
    shared = np.minimum(found.image, thick).sum() / max(found.image.sum(), thick.sum())
    assert shared > 0.6
    assert found.place == pytest.approx((1 / 3, 5 / 12), abs=0.03)


BLANK = {
    "white": np.full((60, 80), 255, np.uint8),
    "black": np.zeros((60, 80), np.uint8),
    "28 × 28": np.zeros((28, 28), np.uint8),
    "faint noise in 28 × 28": np.full((28, 28), [3, 0] * 14, np.uint8),
    "noise": np.random.default_rng(1).normal(200, 12, (300, 400)).clip(0, 255).astype(np.uint8),
    "paper in uneven light": photographed(np.zeros((600, 500))),
    "ruled paper": photographed(np.zeros((600, 500)), lines=70, shadow=0.1),
    "one pixel": np.full((1, 1), 7, np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("grey", BLANK.values(), ids=BLANK.keys())
def test_a_blank_picture_has_no_digit(grey):
    assert find_digits(grey)[0] == []


def test_digits_come_in_reading_order_and_a_digit_of_several_parts_is_one():
    ink = np.zeros((400, 600), np.uint8)
    for text, place in (("7", (40, 150)), ("1", (260, 170)), ("3", (450, 140)), ("2", (60, 370))):
        cv2.putText(ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, 4, 255, 14, cv2.LINE_AA)
    cv2.putText(ink, ".", (190, 150), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 4)  # a speck
    # A 5 whose bar does not touch it.
    cv2.ellipse(ink, (330, 320), (45, 40), 0, -90, 150, 255, 14)
    cv2.line(ink, (325, 225), (325, 280), 255, 14)
    cv2.line(ink, (345, 205), (400, 205), 255, 14)
    found, _ = find_digits(255 - ink)
    assert len(found) == 5
    places = [digit.place for digit in found]
    assert [round(x, 1) for x, _ in places] == [0.1, 0.5, 0.8, 0.2, 0.6]
    assert [y > 0.5 for _, y in places] == [False, False, False, True, True]
    assert found[4].image[:8].any()  # the bar


def test_28_pixels_of_mnist_stay_as_they_are(tiny):
    for image in tiny.train.images:
        for grey in (image, 255 - image):
            [found], is_clear = find_digits(grey)
            np.testing.assert_array_equal(found.image, image)
            assert is_clear


def test_half_light_and_half_dark_is_said_to_be_unclear():
    halves = np.full((90, 120), [30] * 60 + [220] * 60, np.uint8)
    assert not bright_ink(halves[:28, 46:74])[1]
    assert bright_ink(seven())[1]


def bomb() -> bytes:
    """A PNG of a few bytes that promises 30,000 × 30,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    content = encoded(Image.new("L", (4, 4)))
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


def real_bomb() -> bytes:
    return encoded(Image.new("1", (9000, 9000)))


BAD = {
    "nothing": b"",
    "text": b"no picture",
    "page": b"<html>403 Forbidden",
    "gif": encoded(Image.new("L", (4, 4)), "GIF"),
    "cut PNG": ALIKE["PNG"][:300],
    "cut JPEG": ALIKE["JPEG"][:900],
    "cut TIFF": ALIKE["TIFF"][:500],
    "cut WebP": ALIKE["WebP"][:200],
    "cut BMP": ALIKE["BMP"][:2000],
    "head alone": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_picture_is_refused(content, tmp_path):
    with pytest.raises(UserError, match="the picture cannot be read as a picture; expected PNG"):
        read_grey(content)
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png cannot be read as a picture"):
        read_grey(tmp_path / "a.png")


@pytest.mark.parametrize("content", [bomb(), real_bomb()], ids=["promised", "real"])
def test_a_picture_bomb_is_refused(content):
    with pytest.raises(UserError, match="has more than 50,000,000 pixels; make it smaller"):
        read_grey(content)
    assert len(content) < 100_000


def test_what_is_not_there_or_a_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no .*nowhere\.png"):
        read_grey(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match="is a folder; expected a picture"):
        read_grey(tmp_path)
