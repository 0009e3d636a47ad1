"""metrics.csv and seconds.csv: read as written, cut after an epoch, and each damage one error."""

import csv

import pytest

from keras_vae.runs import tables

METRICS = ("epoch", "loss", "kl", "val_loss", "val_kl")
ROWS = ((0, 1.5, 0.5, 2.5, 0.25), (1, 0.25, 0.5, float("inf"), 1e-7), (2, 0.125, 0.5, -2.0, 0.0))


@pytest.fixture
def path(tmp_path):
    """A table of three epochs, as Keras's logger writes it."""
    path = tmp_path / "metrics.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([METRICS, *ROWS])
    return path


def test_rows_are_read_as_they_were_written(path):
    expected = dict(zip(METRICS, map(list, zip(*ROWS, strict=True)), strict=True))
    assert tables.read(path) == tables.read(path, 3) == expected
    (path.parent / "seconds.csv").write_text("epoch,seconds\n0,1.250\n")
    assert tables.read(path.parent / "seconds.csv", 1) == {"epoch": [0.0], "seconds": [1.25]}


@pytest.mark.parametrize("tail", [b"", b"3,0.1", b"3,0.1,0.2,0.3,0.4\r\n", b"\r\n\r\n", b"\xff\0,,,"])
def test_a_table_is_cut_after_an_epoch_whatever_follows(path, tail):
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    tables.cut(path, 3)
    assert path.read_bytes() == whole
    tables.cut(path, 2)
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
    assert tables.read(path)["loss"] == [1.5, 0.25]
    tables.cut(path, 0)
    assert path.read_bytes() == b""
    tables.cut(path.with_name("seconds.csv"), 0)  # a run that was killed before it had one


ROW = r"metrics\.csv must have epoch 1 and 4 more numbers in row 2, a whole line\. Received: "


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"\n1,0.25,", b"\n1,0.25,0.5,", ROW + "'1,0.25,0.5,0.5,inf,1e-07'"),
        (b"\n1,0.25,", b"\n1,", ROW + "'1,0.5,inf,1e-07'"),
        (b"\n1,0.25,", b"\n1,x,", ROW + "'1,x,"),
        (b"\n1,0.25,", b"\n1,,", ROW + "'1,,"),
        (b"\n1,", b"\n\xff,", ROW),
        (b"\n1,", b"\n\n1,", ROW + "''"),
        (b"\n1,", b"\n0,1.5,0.5,2.5,0.25\n1,", ROW + "'0,1.5,"),
        (b"\n1,", b"\n2,", ROW + "'2,0.25,"),
        (b"\n1,", b"\n1.5,", ROW + "'1.5,"),
        (b"\n1,", b"\n" + b"9" * 1000 + b",", ROW + r"'9{80}'\.\.\.$"),
        (b"epoch,", b"epoc,", "metrics.csv must have a header: epoch, then .*Received: row 0 'epoc,loss,kl"),
        (b",loss,", b",lost,", "must have a header: epoch, then the loss and its kin"),
        (b",kl,", b",", "must have a header"),
        (b",kl,", b",loss,", "must have a header"),
        (b",val_kl\r\n", b",val\0kl\r\n", "must have a header"),
        (b"epoch,", b"0,1.5,0.5,2.5,0.25\r\nepoch,", "must have a header"),
        (b"epoch,", b"\r\nepoch,", "must have a header"),
    ],
)
def test_damage_is_one_error_that_names_file_and_row(path, before, after, message):
    content = path.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))
    for use in (lambda: tables.read(path), lambda: tables.cut(path, 3)):
        with pytest.raises(ValueError, match=message) as error:
            use()
        assert "\n" not in str(error.value)
    assert path.read_bytes() == content.replace(before, after)


def test_missing_rows_are_one_error_that_says_how_many(path):
    for use in (lambda: tables.read(path, 4), lambda: tables.cut(path, 4)):
        with pytest.raises(ValueError, match=r"metrics\.csv must have a row for each of 4 epochs\. Received: 3"):
            use()
    with pytest.raises(ValueError, match=r"row for each of at least one epochs\. Received: 0"):
        tables.read(path.with_name("none.csv"))
    (path.with_name("seconds.csv")).write_text("epoch,second\n0,1.0\n")
    with pytest.raises(ValueError, match=r"seconds\.csv must have a header: epoch, then seconds\. Received: row 0"):
        tables.read(path.with_name("seconds.csv"))


def test_a_last_line_without_its_end_is_no_whole_row(path):
    path.write_bytes(path.read_bytes()[:-3])  # 0.0 became 0.
    with pytest.raises(ValueError, match=r"epoch 2 and 4 more numbers in row 3, a whole line"):
        tables.read(path)
