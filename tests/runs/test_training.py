import keras
import numpy as np
import pytest

from keras_vae.engine.keras_compat import layers_of
from keras_vae.engine.precision import precision_of
from keras_vae.runs import build, optimizer
from keras_vae.runs.build import build_model
from keras_vae.runs.config import Config
from keras_vae.runs.presets import PRESETS


@pytest.fixture(scope="module")
def mnist():
    return build.load_data(Config())


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        # 784-500-(2 x 20), 20-500-784: weights and biases.
        ("flax", 784 * 500 + 500 + 500 * 40 + 40 + 20 * 500 + 500 + 500 * 784 + 784),
        # 784-200-200-(2 x 50), 50-200-200-784, and 784-512-512-(2 x 40), 40-512-512-784.
        ("iwae-paper", 425_284),
        # Its layers of 100 in place of 50, and (100-100-100-(2 x 50)) up, 50-100-100-(2 x 100) down.
        ("iwae-paper-2-layers", 425_284 + 200 * 100 + 100 + 50 * 200 + 30_300 + 35_400),
        # Encoder and decoder; test_networks has the layers.
        ("tfp-advi", 390_840 + 358_465),
        ("cvae-tutorial", 28_036 + 41_953),
        # 784-(2 x 300)-(2 x 300)-(2 x 40), 40-(2 x 300)-(2 x 300)-784, and 500 pseudo-inputs.
        ("vamp", 471_000 + 180_600 + 24_080 + 24_600 + 180_600 + 235_984 + 500 * 784),
        ("vamp-dreg", 471_000 + 180_600 + 24_080 + 24_600 + 180_600 + 235_984 + 500 * 784),
        # As in the row of benchmarks/published that it is.
        ("best", 2_544_032),
        ("default", 1_391_456),
    ],
)
def test_a_preset_has_as_many_parameters_as_its_network(mnist, preset, parameters):
    vae = build_model(Config(**PRESETS[preset].settings), mnist)
    assert sum(int(np.prod(v.shape)) for v in vae.trainable_variables) == parameters


@pytest.mark.parametrize(
    ("settings", "shape", "filters", "maps"),
    [
        ({"network": "conv"}, (28, 28, 1), [32, 64], [64, 32]),
        ({"network": "conv"}, (64, 48, 3), [32, 64, 128], [128, 64, 32]),
        ({"network": "conv", "filters": (5, 6, 7)}, (28, 28, 1), [5, 6, 7], [7, 6, 5]),
        # Two convolutions a block; in the decoder, four times the channels before each change of size.
        ({"network": "resnet", "filters": (5, 6), "blocks": 0}, (9, 9, 1), [5, 6], [20, 20]),
        ({"network": "resnet", "filters": (5, 6)}, (9, 9, 1), [5, *[5] * 2, 6, *[6] * 2], [6, 6, 20, 5, 5, 20, 5, 5]),
    ],
)
def test_the_filters_of_a_network_are_those_of_the_flag_or_follow_the_size(settings, shape, filters, maps):
    trunks = build._trunks(Config(**settings), shape)
    for trunk, inputs, expected in zip(trunks, ((None, *shape), (None, 4)), (filters, maps), strict=True):
        trunk.build(inputs)
        convolutions = [layer for layer in layers_of(trunk) if "Conv" in type(layer).__name__]
        assert [layer.filters for layer in convolutions] == expected


def test_a_network_halves_an_image_down_to_one_pixel_and_no_further():
    build._trunks(Config(network="conv", filters=(1,) * 4), (9, 7, 1))
    with pytest.raises(ValueError, match=r"^`filters` must be up to 4 integers for images of 9 x 7 .* Received: 5$"):
        build._trunks(Config(network="resnet", filters=(1,) * 5), (9, 7, 1))


@pytest.mark.parametrize(
    ("settings", "kind", "sizes"),
    [
        ({"prior": "flow"}, "Flow", (6, 64, 1)),
        ({"prior": "flow", "flow_layers": 2, "flow_hidden_units": 9, "flow_hidden_layers": 3}, "Flow", (2, 9, 3)),
        ({"prior": "maf", "flow_layers": 2, "flow_hidden_units": 9, "flow_hidden_layers": 3}, "MAF", (2, 9, 3)),
        ({"prior": "maf", "flow_layers": 2, "upper_latent_dims": (3,)}, "MAF", (2, 64, 1)),
    ],
)
def test_a_flow_has_the_sizes_of_its_flags(mnist, settings, kind, sizes):
    vae = build_model(Config(hidden_units=(8,), latent_dim=2, adapt=False, **settings), mnist)
    prior = vae.prior.top if "upper_latent_dims" in settings else vae.prior
    assert type(prior).__name__ == kind
    assert (prior.num_layers, prior.hidden_units, prior.hidden_layers) == sizes
    assert prior.latent_dim == (3 if "upper_latent_dims" in settings else 2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_networks_compute_in_the_precision_of_the_flag_and_nothing_else_does(mnist, precision):
    before = keras.config.dtype_policy()
    vae = build_model(Config(hidden_units=(8,), latent_dim=2, prior="flow", precision=precision), mnist)
    assert keras.config.dtype_policy() == before
    assert precision_of(vae) == precision
    trunks = layers_of(vae.encoder.trunk) + layers_of(vae.decoder.trunk)
    assert {layer.compute_dtype for layer in trunks} == {precision}
    dense = [layer for layer in layers_of(vae.prior) if isinstance(layer, keras.layers.Dense)]
    assert {layer.compute_dtype for layer in dense} == {"float32"}
    assert {weight.dtype for weight in vae.trainable_weights} == {"float32"}
    vae.compile(optimizer.optimizer(Config(ema=0.9), 100))
    assert isinstance(vae.optimizer, keras.optimizers.LossScaleOptimizer) == (precision == "float16")


@pytest.mark.parametrize("adapt", [True, False])
def test_a_model_starts_from_the_data_if_it_is_to(mnist, adapt):
    settings = {"hidden_units": (8,), "latent_dim": 2, "prior": "vamp", "num_components": 3, "adapt": adapt}
    vae = build_model(Config(**settings), mnist)
    np.testing.assert_allclose(vae.encoder.input_mean, adapt * mnist.train.mean(), rtol=1e-5, atol=1e-7)
    mean = vae.decode(np.zeros((1, 2), np.float32)).mean().numpy()
    assert (abs(mean.mean() - mnist.train.mean().mean()) < 0.05) == adapt
    # Examples are drawn as 0 or 1; before that, uniform numbers.
    assert np.isin(vae.prior.pseudo_inputs, (0.0, 1.0)).all() == adapt


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # 55,000 images in batches of 250 are 220 steps an epoch; a tenth of ten epochs is 220 steps.
        ({"kl_warmup": 0.1, "kl_start": 0.1}, {"num_steps": 220, "start": 0.1, "end": 2.0}),
        ({"kl_warmup_steps": 7}, {"num_steps": 7, "start": 0.0, "end": 2.0}),
        ({"kl_warmup": 1e-6}, {"num_steps": 1, "start": 0.0, "end": 2.0}),
        ({}, {"value": 2.0}),
    ],
)
def test_the_kl_weight_rises_in_a_number_of_steps_or_a_share_of_the_run(mnist, settings, expected):
    small = {"hidden_units": (8,), "latent_dim": 2, "batch_size": 250, "epochs": 10, "kl_weight": 2.0, "adapt": False}
    assert len(mnist.train) == 55_000
    assert build_model(Config(**small, **settings), mnist).kl_weight.get_config() == expected
    capacity = build_model(Config(**small, **settings, objective="capacity", capacity=2.0), mnist)
    assert capacity.objective.capacity.get_config() == expected


def rate(schedule, num_images=3280, steps=(), **settings):
    made = optimizer.learning_rate(Config(learning_rate_schedule=schedule, **settings), num_images)
    return [float(made(step)) for step in steps] if steps else made


def test_stages_are_three_times_as_long_as_the_one_before_and_fall_tenfold():
    # One step an epoch: the paper's 3,280 epochs.
    ends = np.cumsum([3**i for i in range(8)])
    steps = [0, *(step for end in ends[:-1] for step in (int(end) - 1, int(end))), 3279]
    found = rate("stages", 20, steps, batch_size=20, epochs=3280, learning_rate=1e-3)
    stages = np.repeat(np.arange(8), 2)
    np.testing.assert_allclose(found, 1e-3 * 10.0 ** (-stages / 7), rtol=1e-6)


def test_a_constant_rate_is_the_number():
    assert rate("constant", learning_rate=3e-4) == 3e-4


def test_a_cosine_rises_and_falls_to_0():
    found = rate("cosine", 1000, (0, 5, 10, 55, 100), batch_size=100, epochs=10, warmup_steps=10, learning_rate=1.0)
    np.testing.assert_allclose(found, [0.0, 0.5, 1.0, 0.5, 0.0], atol=1e-6)
