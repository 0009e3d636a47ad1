import dataclasses
import inspect
import itertools
import json
import math
import pathlib
import re
import subprocess
import sys

import pytest
from helpers import ROOT

from keras_vae import data
from keras_vae.runs import config, options
from keras_vae.runs import run_dir as run_dirs
from keras_vae.runs.config import Config
from keras_vae.runs.presets import PRESETS
from keras_vae.runs.run_dir import RunDir, default_folders, make_run_dir, run_dir_of

CHOICES = {
    "binarization": ("auto", "dynamic", "static", "threshold", "none"),
    "network": ("mlp", "conv", "resnet", "tfp", "cvae"),
    "activation": ("gelu", "glu", "leaky_relu", "relu", "silu", "tanh"),
    "likelihood": ("bernoulli", "gaussian"),
    "on_bad_image": ("stop", "skip"),
}
MINIMA = {
    "hidden_units": 1,
    "latent_dim": 1,
    "kl_weight": 0,
    "epochs": 1,
    "batch_size": 1,
    "warmup_steps": 0,
    "seed": 0,
    "num_importance_samples": 1,
}
LISTED = {"dilation_rates", "filters", "hidden_units", "upper_hidden_units", "upper_latent_dims"}


def settings(name, value):
    return {name: (value,) if name in LISTED else value}


def refused(name, value):
    """Raises unless `Config` refuses the value with an error that names the field and shows the value."""
    with pytest.raises(ValueError, match=rf"^`{name}` must .*Received: {re.escape(repr(value))}$"):
        Config(**settings(name, value))


@pytest.mark.parametrize(("name", "choice"), [(name, choice) for name in CHOICES for choice in CHOICES[name]])
def test_every_choice_is_accepted(name, choice):
    assert getattr(Config(**{name: choice}), name) == choice


@pytest.mark.parametrize("value", ["other", "", None])
@pytest.mark.parametrize("name", CHOICES)
def test_a_value_that_is_no_choice_is_refused_by_name_with_the_choices(name, value):
    refused(name, value)
    with pytest.raises(ValueError, match=", ".join(CHOICES[name])):
        Config(**{name: value})


@pytest.mark.parametrize("name", MINIMA)
def test_a_minimum_is_accepted(name):
    expected = settings(name, MINIMA[name])
    assert getattr(Config(**expected), name) == expected[name]


@pytest.mark.parametrize("value", ["below", math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", MINIMA)
def test_a_number_below_its_minimum_or_not_finite_is_refused_by_name(name, value):
    refused(name, MINIMA[name] - 1 if value == "below" else value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("validation_fraction", -0.1),
        ("validation_fraction", math.nan),
        *(("test_fraction", value) for value in (0.0, 1.0, -0.1, math.nan)),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", math.inf),
        ("learning_rate", math.nan),
        ("seed", 2**31),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name(name, value):
    refused(name, value)


# What a slip of the keyboard or a script may send.
NUMBERS = (-1, 2**31, 2**64, 10**25, 10**5000, 1e308, -1e308, math.nan, math.inf, -math.inf, "1", None, True)
RANGED = {name: field for name, field in config.FIELDS.items() if field.metadata["low"] is not None}


def test_every_number_has_a_range():
    numbers = {name for name, field in config.FIELDS.items() if type(field.default) in (int, float, tuple)}
    assert set(RANGED) == numbers
    for field in RANGED.values():
        assert field.metadata["low"] < field.metadata["high"] < 2**31


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: str(value)[:9] if value != 10**5000 else "10**5000")
@pytest.mark.parametrize("name", RANGED)
def test_a_number_that_nobody_means_is_one_error_with_the_range(name, value):
    with pytest.raises(
        ValueError, match=rf"^`{name}` must be {options.expected(RANGED[name])}\. Received: .+$"
    ) as raised:
        Config(**settings(name, value))
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("name", RANGED)
def test_the_ends_of_a_range_are_in_it_unless_they_are_said_to_be_excluded(name):
    limits = RANGED[name].metadata
    low, high = limits["low"], limits["high"]
    if limits["open_ends"]:
        for value in (low, high):
            refused(name, float(value))
        low, high = math.nextafter(low, 1), math.nextafter(high, 0)
    for value in (low, high):
        assert getattr(Config(**settings(name, value)), name) == settings(name, value)[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("epochs", "an integer from 1 to 1,000,000"),
        ("kl_weight", "a number from 0 to 1,000,000"),
        ("learning_rate", "a number between 0 and 1,000, both excluded"),
        ("hidden_units", "a tuple of integers from 1 to 1,000,000"),
        ("seed", "an integer from 0 to 2,147,483,647"),
        ("adapt", "True or False"),
        ("strategy", "one of none, mirrored, multi_worker"),
    ],
)
def test_a_range_is_said_in_words(name, said):
    assert options.expected(config.FIELDS[name]) == said


@pytest.mark.parametrize("scale", ["1e-13", "1e13", "1e308", "0", "-1", "nan", "inf", "1" * 400, "wide", ""])
def test_a_scale_that_nobody_means_is_refused_by_name(scale):
    refused("likelihood_scale", scale)
    assert Config(likelihood_scale="1e-12").likelihood_scale == "1e-12"


@pytest.mark.parametrize(("text", "size"), [("", None), ("64", (64, 64)), ("9x13", (9, 13)), ("1x1", (1, 1))])
def test_an_image_size_is_one_number_or_two(text, size):
    assert Config(image_size=text).size() == size


@pytest.mark.parametrize(
    "text", ["0", "x", "65536", "9x99999", "9x", "x9", "9x0", "-9", "9X13", "9x13x3", " 9", "9.5", "1" * 10, "٣"]
)
def test_a_text_that_is_no_image_size_is_refused_by_name(text):
    refused("image_size", text)


@pytest.mark.parametrize("text", ["65536", "9x65536", "999999999"])
def test_a_picture_has_up_to_65535_pixels_a_side(text):
    refused("image_size", text)
    assert Config(image_size="65535x1").size() == (65535, 1)


def test_one_bad_width_among_good_ones_is_refused():
    with pytest.raises(ValueError, match=r"^`hidden_units` must .*Received: 0$"):
        Config(hidden_units=(512, 0, 256))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(pytest.param(name, "4") for name in ("latent_dim", "validation_fraction", "kl_weight")),
        pytest.param("learning_rate", None),
        *(pytest.param(name, 2.5) for name in ("latent_dim", "epochs", "batch_size", "seed")),
        pytest.param("hidden_units", 2.5),
        pytest.param("export", "no"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name, value):
    refused(name, value)


@pytest.mark.parametrize("units", [(), 512])
def test_hidden_units_that_are_no_widths_are_refused_by_name(units):
    with pytest.raises(ValueError, match="`hidden_units`"):
        Config(hidden_units=units)


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="latent_dims"):
        Config(latent_dims=3)


def test_the_settings_of_a_run_from_before_there_was_a_background_are_read_as_white():
    settings = Config(dataset="pets").to_dict()
    assert settings.pop("background") == "white"
    assert Config.from_dict(settings) == Config(dataset="pets", background="white")


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().epochs = 3


def test_the_choices_of_binarization_are_those_of_the_data():
    assert CHOICES["binarization"] == ("auto", *data.BINARIZATIONS)


@pytest.mark.parametrize("name", ["validation_fraction", "test_fraction", "on_bad_image", "background"])
def test_the_default_split_is_that_of_the_data(name):
    assert getattr(Config(), name) == inspect.signature(data.load).parameters[name].default


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_field_has_a_help_text(field):
    assert field.metadata["help"].strip()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_changes_what_it_names(name):
    made = dataclasses.asdict(Config(**PRESETS[name].settings))
    default = dataclasses.asdict(Config())
    assert {key: value for key, value in made.items() if value != default[key]} == PRESETS[name].settings


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_epochs_that_a_preset_speaks_of_are_its_own(name):
    spoken = re.findall(r"([\d,]+) epochs", PRESETS[name].description)
    assert not spoken or f"{Config(**PRESETS[name].settings).epochs:,}" in spoken


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_all_that_a_preset_sets_has_an_effect(name):
    assert Config(**PRESETS[name].settings).without_effect() == []


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"free_bits": 0.5}, {"objective": "free_bits"}),
        ({"num_samples": 3, "objective": "elbo"}, {"objective": "dreg"}),
        ({"num_components": 7}, {"prior": "vamp"}),
        ({"flow_layers": 7}, {"prior": "flow"}),
        ({"flow_hidden_units": 7}, {"prior": "maf"}),
        ({"flow_hidden_layers": 7, "prior": "vamp"}, {"prior": "maf"}),
        ({"hidden_units": (8,), "network": "conv"}, {"network": "mlp"}),
        ({"dilation_rates": (4,)}, {"text_network": "conv"}),
        ({"embedding_dim": 8, "text_network": "transformer", "text_encoder": "transformer"}, {"text_encoder": "gru"}),
        ({"embedding_dim": 8, "text_network": "transformer", "text_encoder": "transformer"}, {"text_network": "conv"}),
        ({"filters": (8,)}, {"network": "conv"}),
        ({"filters": (8,)}, {"network": "resnet"}),
        ({"blocks": 2, "network": "conv"}, {"network": "resnet"}),
        ({"upper_hidden_units": (8,)}, {"upper_latent_dims": (3,)}),
        ({"kl_schedule": "cosine"}, {"kl_warmup_steps": 10}),
        ({"kl_schedule": "cosine"}, {"kl_warmup": 0.1}),
        ({"kl_start": 0.1}, {"kl_warmup": 0.1}),
    ],
)
def test_what_does_nothing_with_the_other_settings_is_named(settings, needed):
    (sentence,) = Config(**settings).without_effect()
    (name, value), (other, wanted) = next(iter(settings.items())), next(iter(needed.items()))
    now, _, then = sentence.removeprefix(f"{name}={value} does nothing with ").partition(": it acts with ")
    assert f"{other}=" in now
    assert str(wanted) in then or f"{other} other than {getattr(Config(), other)}" in then
    assert Config(**{**settings, **needed}).without_effect() == []


def test_one_of_several_settings_suffices_for_an_effect():
    (sentence,) = Config(kl_schedule="cosine").without_effect()
    assert sentence == (
        "kl_schedule=cosine does nothing with kl_warmup_steps=0 and kl_warmup=0.0: "
        "it acts with kl_warmup_steps other than 0 or kl_warmup other than 0.0"
    )


def test_residual_blocks_are_not_gated():
    with pytest.raises(ValueError, match=r"^`activation` must not be glu with network=resnet, .*Received: 'glu'$"):
        Config(network="resnet", activation="glu")


@pytest.mark.parametrize("name", ["text_network", "text_encoder"])
def test_a_transformer_has_heads_of_one_width(name):
    with pytest.raises(ValueError, match=r"^`text_units` must be a multiple of 4, the heads of .* Received: 10$"):
        Config(**{name: "transformer"}, text_units=10)


def test_a_warm_up_has_one_length():
    with pytest.raises(ValueError, match=r"^`kl_warmup` must be 0 with .*kl_warmup=0\.1, kl_warmup_steps=10$"):
        Config(kl_warmup=0.1, kl_warmup_steps=10)


def test_the_default_preset_changes_nothing():
    assert PRESETS["default"].settings == {}


@pytest.mark.parametrize(
    "made",
    [
        Config(),
        Config(
            hidden_units=(3, 2, 1), upper_latent_dims=(4, 2), epochs=7, kl_weight=0.25, dataset="a/b", image_size="9x13"
        ),
    ],
)
def test_the_dict_of_the_settings_survives_json(made):
    read = json.loads(json.dumps(made.to_dict()))
    assert list(read) == [field.name for field in dataclasses.fields(Config)]
    assert Config.from_dict(read) == made


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_existing_run_folder_is_refused(tmp_path, kind):
    path = tmp_path / "run"
    path.mkdir() if kind == "folder" else path.write_text("precious")
    with pytest.raises(ValueError, match=rf"^`run_dir` must not exist: .*Received: {re.escape(str(path))}$"):
        run_dir_of(Config(run_dir=str(path)))
    assert kind == "folder" or path.read_text() == "precious"


def test_a_run_folder_is_not_made_yet(tmp_path):
    path = run_dir_of(Config(run_dir=str(tmp_path / "a" / "run"))).path
    assert path == tmp_path / "a" / "run"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mnist", "mnist"),
        ("group/name", "group-name"),
        ("group/name:1.0.0", "group-name-1.0.0"),
        ("/data/my photos/", "data-my-photos"),
        ("../x.npz", "x.npz"),
        ("~/Bilder/Küche", "Bilder-Küche"),
        ("/", "data"),
        ("a" * 300, "a" * 60),
    ],
)
def test_a_run_folder_is_named_by_data_set_and_time(monkeypatch, tmp_path, dataset, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_dirs.time, "strftime", lambda form: f"<{form}>")
    assert run_dir_of(Config(dataset=dataset)).path == pathlib.Path("runs", f"{expected}-<%Y%m%d-%H%M%S>")


def test_runs_of_one_second_have_names_of_their_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_dirs.time, "strftime", lambda form: "now")
    # Both looked before either made its folder.
    both = [default_folders(Config()) for _ in range(2)]
    looked = [itertools.chain([next(names)], names) for names in both]
    with monkeypatch.context() as patch:
        patch.setattr(run_dirs, "default_folders", lambda config: looked.pop(0))
        made = [make_run_dir(Config()) for _ in range(2)]
    made.append(make_run_dir(Config()))
    assert [str(made.path) for made in made] == ["runs/mnist-now", "runs/mnist-now-2", "runs/mnist-now-3"]
    with pytest.raises(ValueError, match=r"cannot be created\. Received: runs/mnist-now \(File exists\)"):
        make_run_dir(Config(run_dir=str(made[0].path)))


def test_a_run_that_ended_before_its_export_did_awaits_it(tmp_path):
    run_dir = tmp_path / "run"
    made = Config(run_dir=str(run_dir), epochs=3)
    assert not RunDir(made.run_dir).awaits_export(made)
    run_begun(run_dir, epochs=3)
    assert not RunDir(made.run_dir).awaits_export(made)
    (run_dir / "report.json").write_text("{}")
    assert RunDir(made.run_dir).awaits_export(made)
    assert not RunDir(made.run_dir).awaits_export(dataclasses.replace(made, export=False))
    with pytest.raises(ValueError, match="begun with epochs=3, now 4"):
        RunDir(made.run_dir).awaits_export(dataclasses.replace(made, epochs=4))
    with pytest.raises(ValueError, match=r"has ended: nothing .*run; `keras-vae export .*run` exports it$"):
        run_dir_of(made, resume=True)
    (run_dir / "export").mkdir()
    assert not RunDir(made.run_dir).awaits_export(made)
    with pytest.raises(ValueError, match=r"has ended: nothing is overwritten\. Received: .*run$"):
        run_dir_of(made, resume=True)


def test_what_the_command_line_reads_first_is_imported_at_once():
    code = (
        "import sys\n"
        "from keras_vae.runs import config, presets, run_dir\n"
        "from keras_vae.utils import console, flags, signals\n"
        "assert not {'keras', 'numpy', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=100)


def run_begun(folder, **changes):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(Config(run_dir=str(folder), **changes).to_dict()))


def test_a_run_that_did_not_end_may_be_resumed(tmp_path):
    run_begun(tmp_path / "run", epochs=3)
    same = Config(run_dir=str(tmp_path / "run"), epochs=3)
    assert run_dir_of(same, resume=True).path == tmp_path / "run"
    with pytest.raises(ValueError, match="`run_dir` must not exist"):
        run_dir_of(same)
    (tmp_path / "run" / "report.json").write_text("{}")
    with pytest.raises(ValueError, match="has ended"):
        run_dir_of(same, resume=True)


def test_a_run_of_other_settings_is_not_resumed(tmp_path):
    run_begun(tmp_path / "run", epochs=3)
    with pytest.raises(ValueError, match="begun with latent_dim=40, now 2; epochs=3, now 4"):
        run_dir_of(Config(run_dir=str(tmp_path / "run"), latent_dim=2, epochs=4), resume=True)


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0.0), ("epsilon", 0.0), ("epsilon", -1.0)])
def test_rates_are_above_0(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Config(**{name: value})


def test_a_run_begun_before_a_setting_existed_goes_on_with_its_default(tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    config = Config(run_dir=str(run_dir))
    settings = config.to_dict()
    del settings["upper_latent_dims"], settings["strategy"]
    (run_dir / "config.json").write_text(json.dumps(settings))
    assert run_dir_of(config, resume=True).path == run_dir
    with pytest.raises(ValueError, match=r"begun with upper_latent_dims=\[\], now \[2\]"):
        run_dir_of(Config(run_dir=str(run_dir), upper_latent_dims=(2,)), resume=True)
