"""What a user may hand in, drawn at random: it works, or one `ValueError` names what is wrong."""

import contextlib
import dataclasses
import io
import re

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from fuzz import EXAMPLES, FUZZ, HOSTILE, outcome
from hypothesis import example, given, settings
from hypothesis import strategies as st

import keras_vae as kv
import train
from keras_vae.runs.config import Config
from keras_vae.runs.run_dir import RunDir
from keras_vae.utils import flags as flag_parser
from keras_vae.utils.json_files import write_json

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
MANY = settings(FUZZ, max_examples=10 * EXAMPLES)
FEW = settings(FUZZ, max_examples=EXAMPLES)


def good(field):
    """Returns a strategy of values that a field may have."""
    choices, kind = field.metadata["choices"], type(field.default)
    if choices:
        return st.sampled_from(choices)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(field.metadata["low"], field.metadata["high"])
    if kind is float:
        return st.floats(0, 1, exclude_min=True, exclude_max=True)
    if kind is tuple:
        return st.lists(st.integers(1, 4096), min_size=1, max_size=4).map(tuple)
    return {"image_size": st.from_regex("[1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?", fullmatch=True)}.get(
        field.name,
        st.sampled_from(["1", "0.5", "shared", "per_value"]) if field.name == "likelihood_scale" else st.text(),
    )


def consistent(values):
    """Returns settings without those that do not go with others."""
    if values.get("upper_latent_dims"):
        layers = {"posterior": "diagonal", "prior": "mixture", "objective": "elbo", "kl_estimator": "monte_carlo"}
        values = {**values, **layers}
    if values.get("without_z"):
        layers = {"posterior": "diagonal", "prior": "normal", "upper_latent_dims": (), "conditional": False}
        values = {**values, **layers, "baseline": False}
    if values.get("conditional"):
        values = {**values, "baseline": False}
    if values.get("network") == "resnet":
        values = {**values, "activation": "silu"}
    if "transformer" in (values.get("text_network"), values.get("text_encoder")):
        values = {**values, "text_units": 64}
    if values.get("kl_warmup_steps"):
        values = {**values, "kl_warmup": 0.0}
    return {**values, "run_dir": "run"} if values.get("strategy") == "multi_worker" else values


SETTINGS = st.fixed_dictionaries({}, optional={name: good(field) for name, field in FIELDS.items()}).map(consistent)
BAD = st.sampled_from([*HOSTILE, 10**400, float("nan"), float("inf"), b"x"]) | st.text(max_size=5) | st.floats()
BAD |= st.integers() | st.tuples(st.integers() | st.text(max_size=2))


@MANY
@given(values=SETTINGS)
def test_good_settings_are_taken_and_come_back_from_their_file(tmp_path, values):
    config = Config(**values)
    assert {name: getattr(config, name) for name in values} == values
    write_json(tmp_path / "config.json", config.to_dict())
    assert RunDir(tmp_path).config == config


@MANY
@example(values={}, name="batch_size", bad=10**400)  # math.isfinite raises OverflowError
@given(
    values=SETTINGS,
    name=st.sampled_from(sorted(FIELDS)),
    bad=BAD,
)
def test_one_bad_setting_is_named_or_was_good(tmp_path, values, name, bad):
    config, message = outcome(lambda: Config(**{**values, name: bad}))
    if message:
        # A value may be good by itself, and not go with another.
        assert re.fullmatch(
            f"`({name}|upper_latent_dims|without_z|baseline|run_dir|text_units)` (must|needs) .*Received: .*", message
        )
        return
    write_json(tmp_path / "config.json", config.to_dict())
    assert RunDir(tmp_path).config == config


@pytest.fixture
def command_flags():
    """The flags of train.py, defined for a while."""
    before = set(flags.FLAGS)
    train.define_flags()
    yield
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


ARGUMENTS = st.lists(
    st.tuples(
        st.sampled_from([*FIELDS, "preset", "no_such_flag"]),
        st.text(max_size=6) | st.sampled_from(["1", "0", "-1", "1e9", "nan", "true", "conv", "8,8", "1x2", "flax"]),
    ),
    max_size=3,
)


def settings_of(argv):
    """Returns the settings of a command line; what ends the command is a `ValueError`."""
    with io.StringIO() as said, contextlib.redirect_stderr(said):
        try:
            flag_parser.parse(argv, "")
        except SystemExit as end:
            raise ValueError(said.getvalue().strip() if end.code == 2 else f"code {end.code}") from end
    return train.make_config()


@MANY
@given(pairs=ARGUMENTS)
def test_any_flags_are_settings_or_one_line(command_flags, pairs):
    argv = ["train.py", *(f"--{name}={value}" for name, value in pairs)]
    with flagsaver.flagsaver():
        config, message = outcome(settings_of, argv)
    if message:
        assert re.match("`.+` must |error: ", message)
        assert "\n" not in message
        return
    given = dict(pairs)
    for name in ("latent_dim", "epochs", "seed"):
        if name in given:
            assert getattr(config, name) == int(given[name])


TEXTS = (
    "-1",
    "2147483648",
    "18446744073709551616",
    "1" + "0" * 25,
    "9" * 5000,
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "1e999",
)
NUMBERS = [name for name, field in FIELDS.items() if field.metadata["low"] is not None]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*NUMBERS, "image_size"])
def test_a_huge_number_for_any_flag_is_one_error_that_names_it(command_flags, name):
    for text in TEXTS:
        with flagsaver.flagsaver():
            _, message = outcome(settings_of, ["train.py", f"--{name}={text}"])
        assert re.match(f"(error: flag --{name}=|`{name}` must )", message), text
        assert "\n" not in message


PARTS = [
    (kv.posteriors.DiagonalGaussian, {"latent_dim": 2}),
    (kv.posteriors.Flow, {"latent_dim": 2}),
    (kv.posteriors.IAF, {"latent_dim": 2}),
    (kv.priors.MixtureOfGaussians, {"latent_dim": 2, "num_components": 3}),
    (kv.priors.Flow, {"latent_dim": 2}),
    (kv.priors.MAF, {"latent_dim": 2}),
    (kv.priors.VampPrior, {"latent_dim": 2, "event_shape": (2, 2, 1), "num_components": 3}),
    (kv.likelihoods.Bernoulli, {"event_shape": (2, 2, 1)}),
    (kv.likelihoods.Gaussian, {"event_shape": (2, 2, 1), "scale": 1.0}),
    (kv.likelihoods.Categorical, {"event_shape": (2, 2, 1), "num_levels": 4}),
    (kv.likelihoods.DiscretizedLogisticMixture, {"event_shape": (2, 2, 1), "num_components": 2}),
    (kv.objectives.IWAE, {"num_samples": 2}),
    (kv.objectives.FreeBits, {"nats": 0.1}),
    (kv.schedules.Linear, {"num_steps": 3}),
]


@MANY
@given(data=st.data())
def test_any_argument_of_a_part_is_taken_and_given_back_or_named(data):
    make, arguments = data.draw(st.sampled_from(PARTS))
    name = data.draw(st.sampled_from(sorted(arguments)))
    value = data.draw(BAD)
    part, message = outcome(lambda: make(**{**arguments, name: value}))
    if message:
        assert re.match(f"`{name}` must ", message), (make, name, value)
        return
    kept = part.get_config()[name]
    # An integer given for a float comes back as the nearest float, and a shape of one dimension as an integer.
    same = kept == float(value) if isinstance(kept, float) else kept == value or list(np.ravel(kept)) == list(value)
    assert same, (make, name, value)
    assert make.from_config(part.get_config()).get_config()[name] == kept


@FEW
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    count=st.integers(1, 3),
    dtype=st.sampled_from([np.float32, np.float64, np.float16, np.uint8, np.bool_]),
    seed=st.integers(0, 99),
)
def test_the_log_likelihood_is_that_of_all_pixels_at_any_shape_and_type(shape, count, dtype, seed):
    vae = kv.VAE(
        kv.Encoder(kv.networks.mlp((4,)), kv.posteriors.DiagonalGaussian(2)),
        kv.Decoder(kv.networks.mlp((4,)), kv.likelihoods.Bernoulli(shape)),
        seed=seed,
    )
    random = np.random.default_rng(seed)
    x = (random.random((count, *shape)) < 0.5).astype(dtype)
    z = random.normal(size=(count, 2)).astype(np.float32)
    p = vae.decode(z)
    mean = np.asarray(p.mean(), np.float64)
    expected = np.where(x.astype(bool), np.log(mean), np.log1p(-mean)).sum((1, 2, 3))
    np.testing.assert_allclose(p.log_prob(x.astype(np.float32)), expected, rtol=1e-4)
    # What the encoder is given has the values, whatever holds them.
    np.testing.assert_array_equal(vae.encode(x).mean(), vae.encode(x.astype(np.float32)).mean())
