import math
import re

from hypothesis import given
from hypothesis import strategies as st

from fishnet.tracking.journal import finite
from fishnet.tracking.logger import metrics_by_step
from fishnet.tracking.names import flat, safe_key


@given(st.text(max_size=400))
def test_any_key_becomes_one_that_mlflow_takes(key):
    import posixpath

    safe = safe_key(key)
    assert re.fullmatch(r"[\w/. -]{1,250}", safe, flags=re.ASCII)
    assert posixpath.normpath(safe) == safe
    assert not safe.startswith("/")


def test_plain_keys_stay_and_odd_ones_never_merge():
    assert safe_key("val_class/perca-fluviatilis/f1") == "val_class/perca-fluviatilis/f1"
    odd = ["f1/鱼", "f1/魚", "f1/a(b)", "f1/a,b", "f1/a_b_", "../x", "/x"]
    assert len({safe_key(key) for key in odd}) == len(odd)


def test_nested_settings_become_dotted_columns_without_empty_ones():
    nested = {"model": {"lr": 0.1, "backbone_args": {}, "image_size": None}, "classes": ["a", "b"], "long": "x" * 9000}
    columns = flat(nested)
    assert columns["model.lr"] == "0.1"
    assert columns["classes"] == "['a', 'b']"
    assert len(columns["long"]) == 6000
    assert set(columns) == {"model.lr", "classes", "long"}


def test_infinite_values_are_nan_and_named():
    values, infinite = finite({"a": math.inf, "b": math.nan, "c": 1})
    assert math.isnan(values["a"])
    assert math.isnan(values["b"])
    assert values["c"] == 1.0
    assert infinite == ["a"]


def test_epoch_figures_lie_on_the_epoch_and_step_figures_on_the_step():
    assert metrics_by_step({"epoch": 3, "val/loss": 0.5, "train/loss_step": 0.4}, 70) == {
        3: {"val/loss": 0.5},
        70: {"train/loss_step": 0.4},
    }
    assert metrics_by_step({"optim/lr": 0.1}, 7) == {7: {"optim/lr": 0.1}}
    assert metrics_by_step({"epoch": 1}, 7) == {}
    assert metrics_by_step({"epoch": 3, "best/val_loss": 0.5, "test/loss": 0.4, "val/loss": 0.6}, 70) == {
        0: {"best/val_loss": 0.5, "test/loss": 0.4},
        3: {"val/loss": 0.6},
    }


def test_a_single_precision_figure_is_told_without_the_noise_of_its_conversion():
    assert finite({"f1": 0.1818181872367859, "photos": 12345678})[0] == {"f1": 0.1818182, "photos": 12345678.0}
