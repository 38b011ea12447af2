"""Our own layers do what Keras's do, faster: same results, same weights, same files."""

import keras
import numpy as np
import pytest

from competition.models import layers
from competition.models.layers import FeatureMapDropout, FusedBatchNormalization, SmallMapConv2D

TOLERANCES = {"float32": 1e-4, "mixed_bfloat16": 3e-2}
SHAPES = [(64, 6, 6, 8), (2, 3, 3, 4)]


@pytest.fixture(params=TOLERANCES)
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def layer_and_gradients(layer, inputs: np.ndarray) -> list[np.ndarray]:
    """Returns a training step's outputs, gradients and moving statistics."""
    import tensorflow as tf

    layer.build(inputs.shape)
    layer.gamma.assign(np.linspace(0.5, 2, inputs.shape[-1]))
    layer.beta.assign(np.linspace(-1, 1, inputs.shape[-1]))
    features = tf.cast(inputs, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = layer(features, training=True)
        total = tf.reduce_sum(tf.cast(outputs, "float32") ** 3)
    gradients = tape.gradient(total, [features, layer.gamma.value, layer.beta.value])
    results = [outputs, *gradients, layer.moving_mean.value, layer.moving_variance.value]
    return [as_numpy(result) for result in results]


def as_numpy(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def some_inputs(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 3, shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_training_step_is_that_of_keras(shape, precision):
    fused, stock = (
        FusedBatchNormalization(momentum=0.9),
        keras.layers.BatchNormalization(momentum=0.9),
    )
    inputs = some_inputs(shape)
    pairs = zip(layer_and_gradients(fused, inputs), layer_and_gradients(stock, inputs), strict=True)
    for ours, theirs in pairs:
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=TOLERANCES[precision])


def runs_the_kernel(layer, inputs, **arguments) -> bool:
    """Says whether a training step of a layer runs TensorFlow's fused kernel."""
    import tensorflow as tf

    step = tf.function(lambda features: layer(features, training=True, **arguments))
    graph = step.get_concrete_function(inputs).graph
    return "FusedBatchNormV3" in {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("dtype", [*TOLERANCES, "mixed_float16"])
def test_the_fused_kernel_is_what_training_runs(dtype):
    layer = FusedBatchNormalization(dtype=dtype)
    layer.build((None, 4, 4, 3))
    assert runs_the_kernel(layer, keras.ops.zeros((8, 4, 4, 3), layer.compute_dtype))


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        *[((8, 4, 4, 3), {"dtype": dtype}) for dtype in ("float64", "float16", "bfloat16")],
        ((8, 4, 4, 3), {"center": False}),
        ((8, 4, 4, 3), {"scale": False}),
        ((8, 4, 4, 3), {"renorm": True}),
        ((8, 4, 4, 3), {"axis": 1}),
        ((8, 3), {}),
        ((8, 4, 3), {}),
    ],
    ids=str,
)
def test_what_the_kernel_does_not_take_is_left_to_keras(shape, settings):
    if "renorm" in settings and not hasattr(keras.layers.BatchNormalization(), "renorm"):
        pytest.skip("this Keras does not have it")
    assert_is_keras_own(shape, settings)


def test_rows_behind_a_mask_do_not_count():
    assert_is_keras_own((8, 4, 4, 3), {}, mask=keras.ops.arange(4) < np.ones((8, 4, 1)) * 2)


def test_another_backend_has_no_kernel(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert_is_keras_own((8, 4, 4, 3), {})


def assert_is_keras_own(shape, settings: dict, **arguments) -> None:
    """Asserts that a training step is that of the parent class to the last bit."""
    ours, theirs = FusedBatchNormalization(**settings), keras.layers.BatchNormalization(**settings)
    inputs, found = keras.ops.cast(some_inputs(shape), ours.compute_dtype), []
    for layer in (ours, theirs):
        layer.build(shape)
        outputs = layer(inputs, training=True, **arguments)
        found.append([outputs, layer.moving_mean.value, layer.moving_variance.value])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(as_numpy(one), as_numpy(other))
    assert not runs_the_kernel(ours, inputs, **arguments)


@pytest.mark.parametrize("shape", [(5, 4, 4, 3), (16, 3)], ids=["feature maps", "features"])
def test_inference_is_that_of_keras(shape, precision):
    fused, stock = FusedBatchNormalization(), keras.layers.BatchNormalization()
    inputs = some_inputs(shape)
    for layer in (fused, stock):
        layer.build(shape)
        layer(inputs, training=True)
    ours, theirs = (as_numpy(layer(inputs, training=False)) for layer in (fused, stock))
    assert np.abs(theirs).max() > 1
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCES[precision])


def test_a_frozen_layer_keeps_its_statistics():
    layer = FusedBatchNormalization()
    layer.build((None, 4, 4, 3))
    layer.trainable = False
    inputs = some_inputs((8, 4, 4, 3))
    layer(inputs, training=True)
    np.testing.assert_array_equal(as_numpy(layer.moving_mean), 0)
    stock = keras.layers.BatchNormalization()
    np.testing.assert_allclose(as_numpy(layer(inputs)), as_numpy(stock(inputs)), atol=1e-5)


def test_a_model_with_our_layers_is_saved_loaded_and_exported(tmp_path, precision):
    import tensorflow as tf

    inputs = keras.Input((6, 6, 2))
    features = FeatureMapDropout(0.3)(FusedBatchNormalization(momentum=0.9)(inputs))
    features = SmallMapConv2D(3, 6)(features)
    model = keras.Model(inputs, keras.layers.Flatten(dtype="float32")(features))
    model.compile("sgd", "mse")
    images = some_inputs((8, 6, 6, 2))
    model.fit(images, np.zeros((8, 3)), verbose=0)
    expected = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), expected)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(images), expected, atol=TOLERANCES[precision])


def test_weights_fit_keras_own_layer():
    fused, stock = FusedBatchNormalization(), keras.layers.BatchNormalization()
    for layer in (fused, stock):
        layer.build((None, 4, 4, 3))
    fused(some_inputs((8, 4, 4, 3)), training=True)
    stock.set_weights(fused.get_weights())
    np.testing.assert_array_equal(as_numpy(stock.moving_variance), as_numpy(fused.moving_variance))
    assert fused.get_config() == stock.get_config() | {"name": fused.name}


def test_dropout_takes_whole_feature_maps_and_keeps_the_mean(precision):
    ones = np.ones((400, 3, 3, 16), "float32")
    kept = as_numpy(FeatureMapDropout(0.25, seed=1)(ones, training=True))
    assert (kept == kept[:, :1, :1, :]).all()
    assert set(np.unique(kept)) == {0, np.float32(kept.max())}
    np.testing.assert_allclose(kept.max(), 4 / 3, rtol=4e-3)
    np.testing.assert_allclose((kept == 0).mean(), 0.25, atol=0.03)


def test_dropout_does_nothing_at_inference_or_without_a_rate():
    images = some_inputs((4, 3, 3, 2))
    np.testing.assert_array_equal(as_numpy(FeatureMapDropout(0.5)(images)), images)
    np.testing.assert_array_equal(as_numpy(FeatureMapDropout(0.0)(images, training=True)), images)


# Size and channels of the inputs, and a convolution over them: those of our nets, and odd ones.
CONVOLUTIONS = [
    ((3, 3, 40), {"kernel_size": 3, "padding": "same"}),
    ((6, 6, 40), {"kernel_size": 3, "padding": "same", "activation": "relu"}),
    ((8, 8, 40), {"kernel_size": 5, "strides": 2, "padding": "same", "use_bias": False}),
    ((4, 4, 40), {"kernel_size": 4}),
    ((4, 4, 40), {"kernel_size": 1}),
    ((9, 7, 40), {"kernel_size": (4, 3), "strides": (3, 2)}),
    ((5, 9, 40), {"kernel_size": (2, 3), "strides": (1, 2), "padding": "same"}),
]


@pytest.mark.parametrize(("shape", "settings"), CONVOLUTIONS, ids=str)
def test_a_small_maps_step_is_that_of_keras(shape, settings, precision, monkeypatch):
    monkeypatch.setattr(SmallMapConv2D, "_has_faster_products", lambda self, inputs: True)
    ours, theirs = SmallMapConv2D(5, **settings), keras.layers.Conv2D(5, **settings)
    (outputs, of_inputs, *ours_gradients), kinds = convolution_step(ours, shape)
    assert "Conv2DBackpropFilter" not in kinds
    weights = ours.get_weights()
    (expected, of_stock_inputs, *stock_gradients), kinds = convolution_step(theirs, shape, weights)
    assert "Conv2DBackpropFilter" in kinds
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 1e-2}[precision]
    pairs = [(outputs, expected), (of_inputs, of_stock_inputs)]
    for one, other in [*pairs, *zip(ours_gradients, stock_gradients, strict=True)]:
        assert one.shape == other.shape
        scale = np.abs(other).max()
        assert scale > 0
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance)


def convolution_step(layer, shape, weights=None, training=True):
    """Returns a step's outputs and gradients, of inputs and weights, and the kinds of operation."""
    import tensorflow as tf

    features = tf.cast(some_inputs((16, *shape)), layer.compute_dtype)
    layer.build(features.shape)
    if weights:
        layer.set_weights(weights)

    @tf.function
    def step(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features, training=training)
            total = tf.reduce_sum(tf.cast(outputs, "float32") ** 2)
        return outputs, *tape.gradient(total, [features, *(w.value for w in layer.weights)])

    graph = step.get_concrete_function(features).graph
    return [as_numpy(each) for each in step(features)], {op.type for op in graph.get_operations()}


def has_products(shape=(6, 6, 40), dtype="mixed_bfloat16", training=True, **settings) -> bool:
    """Says whether a convolution's kernel gets its gradient from matrix products."""
    layer = SmallMapConv2D(4, **{"kernel_size": 3, "padding": "same", "dtype": dtype} | settings)
    return "MatMul" in convolution_step(layer, shape, training=training)[1]


def test_small_maps_have_products_in_bfloat16_with_amx(monkeypatch):
    monkeypatch.setattr(layers, "has_amx", lambda: True)
    assert has_products()
    assert not has_products(training=False)
    assert not has_products(dtype="float32")
    assert not has_products((7, 6, 40))
    assert not has_products((6, 6, 32))
    assert not has_products(dilation_rate=2)
    assert not has_products(groups=2)
    monkeypatch.setattr(layers, "has_amx", lambda: False)
    assert not has_products()


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_single_position_has_products_on_any_processor(dtype, monkeypatch):
    monkeypatch.setattr(layers, "has_amx", lambda: False)
    assert has_products((3, 3, 2), dtype, padding="valid")
    assert not has_products((3, 4, 2), dtype, padding="valid")


def test_a_gpu_or_another_backend_has_no_products(monkeypatch):
    import tensorflow

    layer, inputs = SmallMapConv2D(4, 3), keras.ops.zeros((2, 3, 3, 2))
    assert layer._has_faster_products(inputs)
    with monkeypatch.context() as patch:
        patch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [kind])
        assert not layer._has_faster_products(inputs)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not layer._has_faster_products(inputs)


@pytest.mark.parametrize(
    ("flags", "expected"), [("amx_tile amx_bf16 avx", True), ("avx512_bf16", False), (None, False)]
)
def test_amx_is_a_flag_of_linux(flags, expected, tmp_path, monkeypatch):
    if flags:
        (tmp_path / "cpuinfo").write_text(f"flags : fpu {flags} sse\n")
    monkeypatch.setattr(layers, "Path", lambda path: tmp_path / path.removeprefix("/proc/"))
    assert layers.has_amx.__wrapped__() is expected


def test_a_small_maps_weights_and_settings_are_those_of_keras():
    ours, theirs = SmallMapConv2D(4, 3, 2, "same"), keras.layers.Conv2D(4, 3, 2, "same")
    for layer in (ours, theirs):
        layer.build((None, 4, 4, 3))
    theirs.set_weights(ours.get_weights())
    assert ours.get_config() == theirs.get_config() | {"name": ours.name}
    assert SmallMapConv2D.from_config(theirs.get_config()).name == theirs.name
