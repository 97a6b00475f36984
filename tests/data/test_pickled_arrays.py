"""Pickles of arrays are read, and nothing in a pickle is run."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.data.pickled_arrays import read_pickled_arrays

CONTENT = {
    "signal": {"wrist": {"EDA": np.linspace(0, 1, 12).reshape(6, 2), "BIG": np.arange(3, dtype=">i4")}},
    "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "label": np.array([0, 1, 2], np.int32),
    "subject": "S2",
    "rate": np.float64(4.5),
    "flags": [True, None, 7],
}

# as Python 2 and numpy 1 wrote it: {"label": numpy.array([1, 2], dtype="<i2"), "subject": "S3"}
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x05labelq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04"
    b"U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\tU\x02i2q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<"
    b"q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x04\x01\x00\x02\x00q\x0ftq\x10bU\x07subjectq\x11U\x02S3"
    b"q\x12u."
)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "a.pkl"
    file.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    found = read_pickled_arrays(file)
    for name in ("EDA", "BIG"):
        np.testing.assert_array_equal(found["signal"]["wrist"][name], CONTENT["signal"]["wrist"][name])  # type: ignore[index]
    np.testing.assert_array_equal(found["columns"], CONTENT["columns"])
    assert found["label"].dtype == np.int32
    assert (found["subject"], found["rate"], found["flags"]) == ("S2", 4.5, [True, None, 7])


def test_files_of_python_2_are_read(tmp_path: Path) -> None:
    (tmp_path / "S3.pkl").write_bytes(PYTHON_2)
    found = read_pickled_arrays(tmp_path / "S3.pkl")
    assert found["label"].tolist() == [1, 2]
    assert found["subject"] == "S3"


class _Runs:
    def __init__(self, call: object, *given: object) -> None:
        self.call, self.given = call, given

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call, self.given


def test_guarantee_nothing_in_the_file_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "it_ran"
    bad = pickle.dumps({"label": _Runs(os.system, f"touch {trace}")})
    pickle.loads(bad)  # noqa: S301  # the attack works where pickles are simply loaded
    assert trace.exists()
    trace.unlink()
    (tmp_path / "bad.pkl").write_bytes(bad)
    with pytest.raises(DataError, match=r"names (posix|nt)\.system"):
        read_pickled_arrays(tmp_path / "bad.pkl")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"x": np.array([{"a": 1}], dtype=object)}, "not written as bytes"),
        ({"x": np.array(["text"])}, "no type of numbers"),
        ({"x": _Runs(eval, "1")}, "builtins.eval"),
        ({"x": _Runs(np.ndarray, (3,))}, "not known"),
        ({"x": _Runs(np.memmap, "x")}, "numpy"),
        ({"x": {1, 2}}, "set"),
        ({"x": Path("x")}, "pathlib"),
        ([1, 2], "must hold a dictionary"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, value: object, said: str) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=said):
        read_pickled_arrays(tmp_path / "x.pkl")


def test_a_file_cannot_change_what_the_next_one_is_read_with(tmp_path: Path) -> None:
    # sets attributes on the stand-in of numpy.dtype: BUILD with (None, {...})
    hostile = b"\x80\x02cnumpy\ndtype\n(N}U\x05_doesU\x01xstb."
    (tmp_path / "h.pkl").write_bytes(hostile)
    with pytest.raises(DataError):
        read_pickled_arrays(tmp_path / "h.pkl")
    (tmp_path / "good.pkl").write_bytes(PYTHON_2)
    assert read_pickled_arrays(tmp_path / "good.pkl")["label"].tolist() == [1, 2]


def test_broken_and_absent_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(PYTHON_2[:40])
    with pytest.raises(DataError, match="no pickle of arrays"):
        read_pickled_arrays(tmp_path / "x.pkl")
    with pytest.raises(DataError, match="cannot be read"):
        read_pickled_arrays(tmp_path / "absent.pkl")
    outside = io.BytesIO()
    pickler = pickle.Pickler(outside)
    pickler.persistent_id = lambda value: "secret" if value == "x" else None  # type: ignore[method-assign]
    pickler.dump({"a": "x"})
    (tmp_path / "p.pkl").write_bytes(outside.getvalue())
    with pytest.raises(DataError, match="outside the file"):
        read_pickled_arrays(tmp_path / "p.pkl")
