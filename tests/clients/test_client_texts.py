"""Exported models of texts in tflite-runtime 2.14 and in headless Chromium: both draw and encode what Python does."""

import json
import logging
import pathlib
import shutil

import keras
import numpy as np
import pytest
from client_models import (
    NUM_SAMPLES,
    OTHER_PICTURES,
    SEEDS,
    TOLERANCE,
    count_other_texts,
    export_files,
    make_codes,
    prepared_folder,
    relative_difference,
    run,
)
from client_pages import drive, served
from texts import make_text_vae
from trained_tokenizers import PIECES, TRAINED

import keras_vae as kv
from export import vocabulary, webpage

LOG = logging.getLogger(__name__)
CLIENTS = prepared_folder()
# The markup is a word like any other, and must be shown as it is.
TEXTS = ["a cat sat", "the dog sat down", "the <b>cat</b> sat", "a dog ran", "no <img/src=x/onerror=alert(1)> ran"]
SENTENCES = ["the dog ran", "a\u00a0cat \t ran", "a zebra sat <unk>", "a b c d e f", "a\ufeffcat\x1cran", ""]
PATHS = [
    ("the dog ran", "a <b>cat</b> sat"),
    ("a zebra sat", "the cat sat down and ran away"),
    ("  ", "a cat sat"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of texts that are split into words, and its files."""
    vae = make_text_vae(tokenizer=kv.data.Tokenizer.of(TEXTS, "words"), latent_dim=3)
    vae.compile(keras.optimizers.Adam(1e-2))
    vae.fit(TEXTS * 8, batch_size=8, epochs=30, verbose=0)
    return export_files(vae, tmp_path_factory.mktemp("texts") / "export", ("decoder", "encoder"), num_checks=16)


@pytest.fixture(scope="module")
def drawn(model):
    """The tokens and the codes of all seeds in Python."""
    return model.samples(SEEDS)


@pytest.fixture(scope="module")
def phone(model, tmp_path_factory):
    """Returns arrays by name that the old runtime makes of the model."""
    folder = tmp_path_factory.mktemp("phone")
    tokens = model.vae.tokenizer.encode(SENTENCES)
    np.savez(folder / "inputs.npz", seeds=np.array(SEEDS), codes=make_codes(model.vae), tokens=tokens)
    script = pathlib.Path(__file__).with_name("old_phone.py")
    files = folder / "inputs.npz", folder / "outputs.npz", model.folder / "encoder.tflite"
    run([CLIENTS / "old_runtime" / "bin" / "python", script, model.folder / "decoder.tflite", *files])
    return dict(np.load(folder / "outputs.npz"))


@pytest.fixture(scope="module")
def url(model, tmp_path_factory):
    package = CLIENTS / "node_modules" / "@litertjs" / "core"
    with served(webpage.write_site(model.folder, tmp_path_factory.mktemp("site") / "web", package)) as url:
        yield url


@pytest.fixture(scope="module")
def browser(model, url):
    """Returns everything that the page computes."""
    texts = [{"seed": seed, "temperature": 1.0, "tokenTemperature": 1.0} for seed in SEEDS]
    texts.append({"seed": 3, "temperature": 0.5, "tokenTemperature": 0.7})
    codes = [{"z": z.tolist()} for z in make_codes(model.vae)]
    return drive("numbers", url, texts=texts, codes=codes, sentences=SENTENCES)


@pytest.fixture(scope="module")
def visit(url):
    """Returns everything that the page shows while somebody uses it."""
    return drive("visitTexts", url, paths=PATHS)


def is_drawn(model, tokens, z, expected):
    """Checks that tokens and codes of all seeds are those of Python; up to 2% of the texts may be others."""
    others = count_other_texts(tokens, expected[0])
    LOG.info("texts that are others: %d of %d", others, len(SEEDS) * NUM_SAMPLES)
    assert others <= OTHER_PICTURES * len(SEEDS) * NUM_SAMPLES
    assert np.max(np.abs(z - expected[1])) < TOLERANCE


def test_the_old_runtime_draws_the_texts_of_python(model, phone, drawn):
    is_drawn(model, phone["mean"], phone["z"], drawn)


def test_the_old_runtime_encodes_and_decodes_as_python_does(model, phone):
    assert count_other_texts(phone["decoded"], model.decoded(make_codes(model.vae))) == 0
    assert relative_difference(phone["encoded"], model.vae.encode(SENTENCES).mean()) < TOLERANCE


def test_the_page_draws_the_texts_of_python(model, browser, drawn):
    tokens, z = (np.array([values[key] for values in browser["texts"][:-1]]) for key in ("tokens", "z"))
    is_drawn(model, tokens.reshape(drawn[0].shape), z.reshape(drawn[1].shape), drawn)
    cold = np.reshape(browser["texts"][-1]["tokens"], drawn[0].shape[1:])
    assert model.vae.tokenizer.decode(cold) == model.vae.generate(NUM_SAMPLES, 3, 0.5, 0.7)
    assert count_other_texts(np.array(browser["decoded"]), model.decoded(make_codes(model.vae))) == 0


def test_the_page_reads_texts_as_python_does(model, browser):
    tokenizer, read = model.vae.tokenizer, browser["encoded"]
    np.testing.assert_array_equal([values["tokens"] for values in read], tokenizer.encode(SENTENCES))
    assert [values["text"] for values in read] == tokenizer.decode(tokenizer.encode(SENTENCES))
    assert [values["count"] for values in read] == tokenizer.lengths(SENTENCES).tolist()
    # The vocabulary's own name for unknown words is itself an unknown word.
    assert [values["unknown"] for values in read[:3]] == [[], [], ["zebra", "<unk>"]]
    z = np.array([values["z"] for values in read])
    np.testing.assert_allclose(z, model.vae.encode(SENTENCES).mean(), atol=TOLERANCE)


def test_the_page_joins_the_pieces_of_trained_tokenizers_as_their_libraries_do(tmp_path):
    folder, jobs, expected = tmp_path / "web", {}, {}
    shutil.copytree(pathlib.Path(webpage.__file__).with_name("web"), folder)
    (folder / "package.json").write_text('{"type": "module"}')
    for name, make in TRAINED.items():
        tokenizer = kv.data.SubwordTokenizer(make(), max_length=40)
        rows = tokenizer.encode([*PIECES[:4], "the zebra \N{UMBRELLA} sees it"]).tolist()
        content = vocabulary.vocabulary(make_text_vae(network=None, tokenizer=tokenizer))
        jobs[name] = {"content": content, "rows": rows}
        # Where no rule gives the texts of the library, the page shows the names of the pieces.
        names = [" ".join(tokenizer.names[token] for token in row if token) for row in rows]
        expected[name] = [text.strip(" ") for text in tokenizer.decode(rows)] if content["exact"] else names
    assert [name for name in jobs if not jobs[name]["content"]["exact"]] == ["without_a_rule"]
    script = """
        import { readFileSync } from "node:fs";
        import { Vocabulary } from "./vocabulary.js";
        const told = ([name, { content, rows }]) => {
          const vocabulary = new Vocabulary(content);
          return [name, rows.map((row) => vocabulary.decode(row))];
        };
        const jobs = JSON.parse(readFileSync(0, "utf-8"));
        console.log(JSON.stringify(Object.fromEntries(Object.entries(jobs).map(told))));
    """
    (folder / "told.js").write_text(script)
    assert json.loads(run(["node", folder / "told.js"], input=json.dumps(jobs))) == expected


def test_console_has_no_errors_and_nothing_is_asked_of_another_host(browser, visit):
    for result in (browser, visit):
        assert (result["console"], result["elsewhere"]) == ([], [])


# The page.


def test_it_can_be_used_on_a_phone(visit):
    assert visit["overflow"] == {width: {"excess": 0, "elements": []} for width in ("phone", "desk")}
    assert visit["unusable"] == {"nameless": [], "small": []}
    assert set(visit["shown"]) == {"texts"}


def shown(texts):
    """Returns what the page shows for texts; if one has no words, it says so."""
    return [text or "(no words)" for text in texts]


def test_it_shows_the_sentences_of_a_seed_at_both_temperatures(model, visit):
    assert visit["drawn"] == shown(model.vae.generate(NUM_SAMPLES, 11))
    assert visit["greedy"] == shown(model.vae.generate(NUM_SAMPLES, 11, token_temperature=0.0))
    assert visit["saved"] == {
        "name": "samples-seed-11.txt",
        "text": "".join(f"{text}\n" for text in model.vae.generate(NUM_SAMPLES, 11, token_temperature=0.0)),
    }
    assert "texts of up to 4 tokens" in visit["about"]
    assert visit["note"].startswith("Each word is drawn given those before it;")


def test_a_slider_changes_the_sentence(model, visit):
    z, _ = model.vae.sample_latent(NUM_SAMPLES, 11)
    assert [visit["chosen"]] == shown(model.vae.texts_of(z[2:3]))
    moved = z.numpy()[2]
    moved[0] = visit["changed"]["z"][0]
    assert [visit["changed"]["text"]] == shown(model.vae.texts_of(moved[None]))


def test_a_path_leads_from_one_typed_sentence_to_the_other(model, visit):
    assert visit["fields"] == model.vae.generate(2, 11, token_temperature=0.0)
    first = kv.measure.latent.interpolate(*model.vae.sample_latent(NUM_SAMPLES, 11)[0].numpy()[:2], 9)
    before = {"ends": "From sentence 1 of seed 11 to sentence 2 of seed 11.", "path": shown(model.vae.texts_of(first))}
    for (start, end), found in list(zip(PATHS, visit["paths"], strict=True))[:2]:
        ends = model.vae.encode([start, end]).mean().numpy()
        path = shown(model.vae.texts_of(kv.measure.latent.interpolate(*ends, 9)))
        after = {"ends": f"From \u201c{start}\u201d to \u201c{end}\u201d.", "path": path}
        # The page was drawing the path before when the two were typed: no path it shows has points of both.
        assert found["paths"][-1] == after
        assert all(shown_then in (before, after) for shown_then in found["paths"])
        before = after


def test_words_it_does_not_know_are_named(visit):
    fine, unknown, empty = visit["paths"]
    assert fine["notes"] == ["", ""]
    assert unknown["notes"] == [
        "The vocabulary lacks \u201czebra\u201d, read as unknown.",
        "The sentence has 7 words; the model reads the first 4.",
    ]
    assert empty == {"notes": ["Type a sentence.", ""], "same": True}
