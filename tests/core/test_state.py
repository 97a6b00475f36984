"""What a method has fitted comes back from arrays and text, and from nothing else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Array


@dataclass(frozen=True)
class Scale:
    factor: float
    kind: Literal["even", "odd"] = "even"


@dataclass(frozen=True)
class Fitted:
    rows: Array
    by_name: Mapping[str, Array]
    scales: tuple[Scale, ...]
    one: Scale | None = None
    none: Array | None = None
    _own: Array | None = None


@dataclass(frozen=True)
class Other:
    names: tuple[str, ...]


class Method:
    def fit(self) -> Fitted | Other: ...


FITTED = Fitted(
    rows=np.arange(6).reshape(2, 3),
    by_name={"a.b": np.ones(2, dtype=np.float32)},
    scales=(Scale(np.float64(0.1)), Scale(2, "odd")),
    one=Scale(3.0),
    _own=np.zeros(3),
)


def test_everything_comes_back_but_what_is_not_to_leave(tmp_path):
    tensors, about = state_of(FITTED)
    assert set(tensors) == {"rows", "by_name.a.b"}
    save_weights(tmp_path / "it.safetensors", tensors, about | {"note": "more"})
    again = restored(Method(), *load_weights(tmp_path / "it.safetensors"))
    assert np.array_equal(again.rows, FITTED.rows)
    assert np.array_equal(again.by_name["a.b"], FITTED.by_name["a.b"])
    assert (again.scales, again.one, again.none, again._own) == (FITTED.scales, FITTED.one, None, None)


def test_what_was_fitted_of_several_kinds_is_told_by_its_name():
    assert restored(Method(), *state_of(Other(names=("x", "y")))) == Other(names=("x", "y"))


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"state": "no json"},
        {"state": "[]"},
        {"state": '{"class": "os.system"}'},
        {"state": json.dumps({"class": "Other"})},
        {"state": json.dumps({"class": "Fitted", "rows": "absent", "by_name": {}, "scales": []})},
        {"state": json.dumps({"class": "Other", "names": [], "more": 1})},
    ],
)
def test_what_is_something_else_is_refused(about):
    with pytest.raises(DataError, match="not the state of what Method fits"):
        restored(Method(), {}, about)


def test_a_method_may_know_better():
    class Own:
        def fit(self): ...

        def restore(self, tensors, about):
            return tensors, about

        def state(self):
            return {"a": np.ones(1)}, {"b": "c"}

    assert restored(Own(), *state_of(Own())) == ({"a": np.ones(1)}, {"b": "c"})


def test_weights_come_back_as_they_were(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": np.arange(4.0)[::2], "b": np.array(7)}, {"size": "16"})
    weights, about = load_weights(path)
    assert np.array_equal(weights["a"], [0.0, 2.0])
    assert weights["b"].shape == () and weights["b"] == 7
    assert about == {"size": "16"}
    assert [f.name for f in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_that_cannot_be_read_or_written(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    for name in ("bad", "absent"):
        with pytest.raises(DataError, match=f"{name}.safetensors cannot be read"):
            load_weights(tmp_path / f"{name}.safetensors")
    with pytest.raises(DataError, match="cannot be written"):
        save_weights(tmp_path / "absent" / "w.safetensors", {"a": np.zeros(1)}, {})


Model = TypeVar("Model")


@dataclass(frozen=True)
class Sampler(Generic[Model]):
    model: Model
    count: int


def test_a_class_with_a_parameter_is_built_with_it():
    class Generator:
        def fit(self) -> Sampler[Scale]: ...

    fitted = Sampler(model=Scale(2.0), count=3)
    assert restored(Generator(), *state_of(fitted)) == fitted
    with pytest.raises(DataError, match="Other"):
        restored(Generator(), *state_of(Other(("a",))))
