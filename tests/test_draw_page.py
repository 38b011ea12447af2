"""The drawing page in headless Chromium: its net beside Keras, and real pens, fingers and keys."""

import base64
import json
import shutil

import cv2
import numpy as np
import pytest
from conftest import ROOT, make_project, run_main
from pages import assert_readable

from competition.data.loading import load_data_set
from competition.paths import EXPORTED, OutputPaths

SHIPPED_PAGE = ROOT / "docs" / "draw.html"
SHIPPED_NET = ROOT / OutputPaths("best").export / EXPORTED["keras"]

# How far the page's probabilities may be from Keras's, whose weights are not rounded to int8, and
# how many of 1,000 answers may differ.
FARTHEST, OTHER_ANSWERS = 0.1, 2

# Strokes of digits, in a box of 1 × 1.
STROKES = {
    0: [[(.5, .1), (.3, .2), (.25, .6), (.4, .88), (.6, .88), (.75, .6), (.7, .2), (.5, .1)]],
    1: [[(.5, .1), (.48, .9)]],
    2: [[(.25, .3), (.35, .13), (.6, .13), (.72, .3), (.62, .5), (.25, .85), (.8, .85)]],
    4: [[(.35, .12), (.22, .55), (.8, .57)], [(.62, .3), (.6, .9)]],
    5: [[(.35, .2), (.32, .46), (.55, .43), (.7, .6), (.6, .82), (.25, .85)],
        [(.35, .18), (.75, .16)]],
    7: [[(.2, .15), (.8, .15), (.62, .5), (.45, .88)]],
}  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,000 of scikit-learn's digits at 28 × 28, with their labels."""
    from sklearn.datasets import load_digits

    from competition.data.builtin import mnist_style

    small, labels = load_digits(return_X_y=True)
    images = np.stack([mnist_style(image) for image in small[:1000].reshape(-1, 8, 8)])
    return images, labels[:1000]


@pytest.fixture(scope="module")
def net(digits):
    """A narrow net of every kind of layer that the page knows, trained for a moment."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1), name="images")
    features = layers.Rescaling(1 / 78.7, -33.4 / 78.7)(images)
    for filters, size, settings in [
        (6, 3, {"use_bias": False}), (8, 5, {"strides": 2, "padding": "same"}),
        (12, 4, {"strides": (1, 2), "padding": "same"}),
    ]:  # fmt: skip
        features = layers.Conv2D(filters, size, **settings)(features)
        features = layers.BatchNormalization(momentum=0.9)(features)
        features = layers.Activation("relu")(features)
    features = layers.ReLU()(layers.Conv2D(12, 3, activation="relu")(features))
    features = layers.Dropout(0.1)(layers.MaxPooling2D((2, 1))(features))
    features = layers.Dense(24, activation="relu")(layers.Flatten()(features))
    outputs = layers.Softmax()(layers.Dense(10)(features))
    model = keras.Model(images, outputs)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    model.fit(digits[0][..., None].astype(np.float32), digits[1], 32, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="module", autouse=True)
def keras_as_it_is():
    """Threads cannot be set where TensorFlow has begun already."""
    with pytest.MonkeyPatch.context() as patch:
        name = "competition.deployment.browser_weights.start_keras"
        patch.setattr(name, lambda threads: None)
        yield


@pytest.fixture(scope="module")
def drawn(net, tiny_files, tmp_path_factory):
    """A project whose exported net is drawn with."""
    folder = tmp_path_factory.mktemp("draw")
    make_project(folder, tiny_files)
    exported = folder / OutputPaths("tiny").export / EXPORTED["keras"]
    exported.parent.mkdir(parents=True)
    net.save(exported)
    done = run_main("draw", "--config", "configs/tiny.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    page = folder / OutputPaths("tiny").draw
    assert str(OutputPaths("tiny").draw) in done.stdout
    return page


@pytest.fixture
def browse(open_page, drawn):
    def opened(**settings):
        return open_page(drawn, **settings)

    return opened


def draw(page, digit: int, left: float = 0.2, width: float = 0.6, steps: int = 8) -> None:
    """Draws a digit with the mouse in a part of the paper."""
    box = page.locator("#canvas").bounding_box()
    for stroke in STROKES[digit]:
        places = [
            (box["x"] + (left + x * width) * box["width"], box["y"] + y * box["height"])
            for x, y in stroke
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=steps)
        page.mouse.up()
    settle(page)


def settle(page) -> None:
    """Waits until the drawing was read, which is in the next frame, and then announced."""
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def seen(page) -> list[list[int]]:
    """Returns the pixels of each digit that the page found."""
    return page.evaluate("digits.map(one => [...one.pixels])")


def ink_of(page) -> int:
    return page.evaluate("inkNow().values.reduce((one, other) => one + other, 0)")


def reading(page) -> str:
    return "".join(page.locator("#reading").inner_text().split())


def answers(page, images: np.ndarray) -> np.ndarray:
    """Returns the page's probabilities of images, uint8 `[n, 28, 28]`."""
    script = """([content, count]) => {
        const pixels = asPixels(content);
        const image = (_, at) => pixels.subarray(784 * at, 784 * (at + 1));
        return Array.from({length: count}, image).map(one => [...predict(one)]);
    }"""
    content = base64.b64encode(images.tobytes()).decode()
    return np.array(page.evaluate(script, [content, len(images)]))


def assert_same_answers(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-6
    assert np.abs(found - expected).max() <= FARTHEST
    assert (found.argmax(axis=1) != expected.argmax(axis=1)).sum() <= OTHER_ANSWERS


def test_the_page_answers_as_keras_does(browse, net, digits):
    images, labels = digits
    expected = net.predict(images[..., None].astype(np.float32), verbose=0)
    assert (expected.argmax(axis=1) == labels).mean() > 0.8  # else any two nets would agree
    assert_same_answers(answers(browse(), images), expected)


def test_the_page_centres_as_the_vectors_say(browse):
    page = browse()
    vectors = json.loads((ROOT / "tests/vectors/centred.json").read_text())
    script = """({width, height, pixels}) => {
        const found = centred({width, height, values: asPixels(pixels)});
        return found && [...found];
    }"""
    assert len(vectors) >= 10
    for vector in vectors:
        assert page.evaluate(script, vector) == vector["ink"], vector["name"]


def test_a_blank_page_and_a_dot_are_no_digit(browse):
    page = browse()
    assert reading(page) == "nodigit"
    assert page.locator("#classes .value").all_inner_texts() == ["–"] * 10
    assert page.locator("[data-label='3']").is_disabled()
    assert page.locator("#undo").is_disabled()
    assert page.locator("#clear").is_disabled()
    page.locator("#canvas").click()
    settle(page)
    assert reading(page) == "nodigit"
    assert page.locator("#status").inner_text() == "no digit"
    assert page.locator("#undo").is_enabled()


def test_what_is_drawn_is_read_while_the_pen_moves(browse, net):
    page = browse()
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 400, steps=5)
    settle(page)
    assert reading(page).isdigit()  # the pen is still down
    assert page.locator("#status").inner_text() == "no digit"
    page.mouse.up()
    settle(page)
    (pixels,) = seen(page)
    image = np.array(pixels, np.float32).reshape(1, 28, 28, 1)
    expected = net.predict(image, verbose=0)[0]
    assert reading(page) == str(expected.argmax())
    shown = [
        float(text.strip("%")) / 100 for text in page.locator("#classes .value").all_inner_texts()
    ]
    np.testing.assert_allclose(shown, expected, atol=FARTHEST)
    widths = page.locator("#classes .fill").evaluate_all(
        "all => all.map(one => parseFloat(one.style.width))"
    )
    np.testing.assert_allclose(widths, np.array(shown) * 100)
    assert page.locator("#status").inner_text().startswith(f"{expected.argmax()}, ")
    shown = page.evaluate("[...byId('seen').getContext('2d').getImageData(0, 0, 28, 28).data]")
    assert shown[::4] == pixels


def test_a_fast_stroke_has_no_gaps(browse):
    page = browse()
    draw(page, 0, steps=1)
    assert len(seen(page)) == 1
    assert page.evaluate("connected(inkNow()).boxes.length") == 1


@pytest.mark.long
def test_undo_and_clear_by_keys_and_buttons(browse):
    page = browse()
    draw(page, 4)
    first = ink_of(page)
    draw(page, 1, 0.5)
    both = ink_of(page)
    assert both > first
    page.keyboard.press("Control+z")
    settle(page)
    assert ink_of(page) == first
    page.keyboard.press("Escape")
    settle(page)
    assert ink_of(page) == 0
    assert reading(page) == "nodigit"
    page.locator("#undo").click()  # takes back the clearing, too
    settle(page)
    assert ink_of(page) == first
    page.keyboard.press("Delete")
    settle(page)
    assert ink_of(page) == 0
    page.keyboard.press("Control+z")
    settle(page)
    page.locator("#clear").click()
    settle(page)
    assert ink_of(page) == 0
    assert page.locator("#clear").is_disabled()


@pytest.mark.long
def test_digits_in_a_row_are_read_one_by_one(browse):
    page = browse()
    singles = []
    for digit in (4, 2, 5):
        draw(page, digit, 0.35, 0.3)
        singles += seen(page)
        assert len(seen(page)) == 1  # the strokes of a 4 and of a 5 are one digit
        page.keyboard.press("Escape")
    for place, digit in enumerate((4, 2, 5)):
        draw(page, digit, 0.02 + 0.33 * place, 0.3)
    assert len(seen(page)) == 3
    # The same strokes at another place fall between other pixels.
    assert np.abs(np.array(seen(page)) - singles).mean() < 8
    assert len(reading(page)) == 3
    page.locator("#reading button").nth(0).click()
    assert page.evaluate("chosen") == 0
    assert page.locator("#reading button").nth(0).get_attribute("aria-pressed") == "true"
    said = page.locator("#sureness").inner_text()
    assert said.startswith(f"{reading(page)[0]}: ")


def saved_on(page) -> list[str]:
    """Returns the labels of the saved digits, the newest first."""
    return page.locator("#thumbnails button").all_inner_texts()


def test_saved_digits_survive_a_reload_and_load_as_a_data_set(browse, tmp_path, monkeypatch):
    page = browse()
    draw(page, 7)
    page.keyboard.press("1")
    page.keyboard.press("7")  # a correction
    expected = seen(page)
    page.keyboard.press("Escape")
    for place, digit in enumerate((4, 2)):
        draw(page, digit, 0.05 + 0.5 * place, 0.4)
    page.keyboard.press("4")  # from the left, whichever was drawn last
    page.keyboard.press("2")
    expected += seen(page)
    assert saved_on(page) == ["2", "4", "7"]
    page.reload()
    assert saved_on(page) == ["2", "4", "7"]
    assert page.locator("#remove").is_hidden()
    with page.expect_download() as download:
        page.locator("#export").click()
    assert download.value.suggested_filename == "drawn-digits.csv"
    folder = tmp_path / "input" / "mine"
    folder.mkdir(parents=True)
    download.value.save_as(folder / "train.csv")
    pixels = ",".join(f"pixel{number}" for number in range(784))
    (folder / "test.csv").write_text(f"{pixels}\n{','.join(map(str, expected[0]))}\n")
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    monkeypatch.chdir(tmp_path)
    loaded = load_data_set("mine").train
    np.testing.assert_array_equal(loaded.labels, [7, 4, 2])
    np.testing.assert_array_equal(loaded.images.reshape(-1, 784), expected)
    page.locator("#remove").click()
    assert page.locator("#saved").is_hidden()
    page.reload()
    assert page.locator("#saved").is_hidden()


@pytest.mark.long
def test_a_saved_digit_is_taken_back_by_the_same_label_or_a_click(browse):
    page = browse()
    draw(page, 2)
    two = page.locator("[data-label='2']")
    two.click()
    assert two.get_attribute("aria-pressed") == "true"
    assert saved_on(page) == ["2"]
    two.click()
    assert two.get_attribute("aria-pressed") == "false"
    assert saved_on(page) == []
    two.click()
    page.locator("#thumbnails button").click()
    assert saved_on(page) == []
    assert two.get_attribute("aria-pressed") == "false"


@pytest.mark.long
def test_without_storage_the_digits_stay_until_the_page_is_closed(browse):
    full = "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }"
    page = browse(script=full)
    draw(page, 2)
    page.keyboard.press("2")
    assert page.locator("#storage-notice").is_visible()
    with page.expect_download() as download:
        page.locator("#export").click()
    assert len(download.value.path().read_text().splitlines()) == 2


GIVE = """([type, name, kind, content]) => {
    const file = new File([asPixels(content)], name, {type: kind});
    const given = new DataTransfer();
    given.items.add(file);
    const event = type === "drop"
        ? new DragEvent(type, {dataTransfer: given, bubbles: true, cancelable: true})
        : new ClipboardEvent(type, {clipboardData: given, bubbles: true});
    byId("paper").dispatchEvent(event);
}"""


def give(page, how: str, image: np.ndarray) -> None:
    """Gives the page a picture as PNG, by `drop`, `paste` or its button."""
    png = cv2.imencode(".png", image)[1].tobytes()
    if how == "button":
        file = {"name": "a.png", "mimeType": "image/png", "buffer": png}
        page.locator("#file").set_input_files(file)
    else:
        page.evaluate(GIVE, [how, "a.png", "image/png", base64.b64encode(png).decode()])
    page.locator("#classes .likeliest").wait_for()


@pytest.mark.parametrize("how", ["drop", "paste", "button"])
def test_a_digit_of_the_data_comes_back_as_it_is(browse, digits, how):
    image = digits[0][3].copy()
    image[image == image.max()] = 255  # fainter ink is made stronger
    page = browse()
    give(page, how, image)
    expected = page.evaluate(
        "values => [...centred({width: 28, height: 28, values})]", image.ravel().tolist()
    )
    assert seen(page) == [expected]
    page.keyboard.press("Control+z")
    settle(page)
    assert ink_of(page) == 0


def photo(digit: int, dark: bool) -> np.ndarray:
    """Returns a photo of a small digit, grey, with a shadow and the paper's texture."""
    ink = np.zeros((600, 800))
    for stroke in STROKES[digit]:
        places = np.array([(300 + x * 160, 180 + y * 220) for x, y in stroke], np.int32)
        cv2.polylines(ink, [places], False, 1, 16, cv2.LINE_AA)
    paper = np.linspace(0.55, 0.95, 800)[None] * np.linspace(1, 0.8, 600)[:, None]
    values = paper * (1 - 0.75 * ink) + np.random.default_rng(0).normal(0, 0.02, ink.shape)
    return (np.clip(values if dark else 1 - values, 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("dark", [True, False])
def test_a_photo_is_read_as_the_digit_drawn(browse, dark):
    page = browse()
    give(page, "drop", photo(2, dark))
    (found,) = np.array(seen(page), float)
    page.keyboard.press("Escape")
    settle(page)
    give(page, "drop", np.where(photo(2, True) < 90, 0, 255).astype(np.uint8))
    (clean,) = np.array(seen(page), float)
    assert np.corrcoef(found, clean)[0, 1] > 0.95


def test_what_is_no_picture_is_told(browse):
    page = browse()
    content = base64.b64encode(b"no picture").decode()
    page.evaluate(GIVE, ["drop", "notes.txt", "text/plain", content])
    page.locator("#trouble").wait_for()
    assert "“notes.txt” is not a picture" in page.locator("#trouble").inner_text()
    draw(page, 1)
    assert reading(page).isdigit()


def test_a_finger_draws_on_a_phone_and_does_not_scroll(browse):
    page = browse(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#canvas").bounding_box()
    touch = page.context.new_cdp_session(page)
    for kind, y in [
        ("touchStart", 40),
        *(("touchMove", y) for y in range(60, 240, 30)),
        ("touchEnd", 0),
    ]:
        points = [] if kind == "touchEnd" else [{"x": box["x"] + 150, "y": box["y"] + y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    settle(page)
    assert reading(page).isdigit()
    assert page.evaluate("scrollY") == 0
    reached = page.evaluate("digits[0].box.bottom - digits[0].box.top") * 2 / 600 * box["height"]
    assert 150 < reached < 220  # from 40 to 210, and the pen's width


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_are_readable_and_ink_stands_out_in_both_themes(browse, theme):
    page = browse(color_scheme=theme)
    draw(page, 4, 0.05, 0.4)
    draw(page, 2, 0.55, 0.4)
    page.keyboard.press("4")
    assert_readable(page, 20)
    ink, paper = page.evaluate(
        "[getComputedStyle(canvas).color, getComputedStyle(byId('paper')).backgroundColor]"
    )
    png = np.frombuffer(page.locator("#canvas").screenshot(), np.uint8)
    shown = {tuple(pixel[::-1]) for row in cv2.imdecode(png, cv2.IMREAD_COLOR) for pixel in row}
    for colour in (ink, paper):
        assert tuple(map(int, colour.strip("rgb()").split(", "))) in shown


def test_all_is_reached_by_keys(browse):
    page = browse()
    draw(page, 2)
    page.keyboard.press("2")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.dataset.label")
        )
    assert {"undo", "clear", "open", "theme", "export", *map(str, range(10))} <= set(reached)


def test_a_prediction_is_fast_enough_to_follow_the_pen(browse, digits):
    """The narrow net, so that a busy machine does not fail; the shipped one takes 12 to 27 ms."""
    page = browse()
    script = """image => {
        const times = Array.from({length: 20}, () => {
            const start = performance.now();
            predict(image);
            return performance.now() - start;
        });
        return Math.min(...times);
    }"""
    assert page.evaluate(script, digits[0][0].ravel().tolist()) < 30


def test_the_page_is_small_and_alone(drawn):
    text = drawn.read_text()
    assert len(text.encode()) < 1_000_000
    assert "src=" not in text.replace("img-src", "")
    assert "https:" not in text


def unknown_layer(layers, features):
    return layers.GlobalAveragePooling2D()(features)


def a_branch(layers, features):
    return layers.Flatten()(layers.Add()([features, layers.ReLU()(features)]))


def another_activation(layers, features):
    return layers.Flatten()(layers.Activation("gelu")(features))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (unknown_layer, "does not know the layer 'global_average_pooling2d"),
        (a_branch, "does not"),
        (another_activation, "does not know the activation 'gelu'"),
    ],
)
def test_a_net_that_the_page_cannot_run_is_refused_in_one_line(project, head, words):
    import keras
    from keras import layers

    images = keras.Input((28, 28, 1))
    features = head(layers, layers.Conv2D(2, 3)(images))
    model = keras.Model(images, layers.Softmax()(layers.Dense(10)(features)))
    exported = project / OutputPaths("tiny").export / EXPORTED["keras"]
    exported.parent.mkdir(parents=True)
    model.save(exported)
    done = run_main("draw", "--config", "configs/tiny.yaml", folder=project)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (project / OutputPaths("tiny").draw).exists()


def test_without_an_export_the_fix_is_named(project):
    done = run_main("draw", "--config", "configs/tiny.yaml", folder=project)
    assert done.returncode == 1
    assert "digits.keras is missing; `make export` with the same CONFIG writes it" in done.stderr


shipped = pytest.mark.skipif(not SHIPPED_NET.exists(), reason="no net is shipped")


@shipped
def test_the_shipped_page_is_the_shipped_net(tmp_path, tiny_files):
    make_project(tmp_path, tiny_files)
    exported = tmp_path / OutputPaths("best").export
    exported.mkdir(parents=True)
    shutil.copy(SHIPPED_NET, exported)
    shutil.copy(ROOT / "configs/best.yaml", tmp_path / "configs")
    assert run_main("draw", folder=tmp_path).returncode == 0
    assert (tmp_path / OutputPaths("best").draw).read_text() == SHIPPED_PAGE.read_text()


@shipped
@pytest.mark.long
def test_the_shipped_page_answers_as_keras_does(open_page, digits):
    import keras

    net = keras.saving.load_model(SHIPPED_NET, compile=False)
    expected = net.predict(digits[0][..., None].astype(np.float32), verbose=0)
    assert_same_answers(answers(open_page(SHIPPED_PAGE), digits[0]), expected)
