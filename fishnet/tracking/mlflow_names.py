"""Names and values as MLflow takes them, so that an odd key can never raise inside training."""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000


def safe_key(key: str) -> str:
    """The key itself where MLflow takes it; else its nearest plain form, with a digest so that two never merge."""
    plain = re.sub(r"[^A-Za-z0-9_/. -]", "_", str(key))
    plain = "/".join(part for part in plain.split("/") if part.strip(" ."))
    if plain == key and 0 < len(plain) <= KEY_LENGTH:
        return key
    digest = hashlib.sha256(str(key).encode()).hexdigest()[:6]
    return f"{plain[: KEY_LENGTH - 7]}_{digest}"


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as the columns of a table: `model.lr` → `0.1`; empty branches and nulls make no column."""
    result: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            result.update(flat(value, f"{name}."))
        elif value is not None:
            result[safe_key(name)] = cut(str(value), PARAM_LENGTH)
    return result


def finite(values: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Plain floats, and the keys that were infinite: MLflow would show those as 1.8e308, so they become NaN.

    Seven digits, which is what a float32 holds: MLflow shows all it is given, and 0.1818182 reads in a column.
    """
    plain: dict[str, float] = {}
    infinite = []
    for key, value in values.items():
        number = float(value)
        name = safe_key(key)
        if math.isinf(number):
            infinite.append(name)
            number = math.nan
        plain[name] = float(f"{number:.7g}") if abs(number) < 1e6 else number
    return plain, infinite


FINAL = ("best/", "test/", "test_class/")


def steps(values: Mapping[str, Any], step: int | None) -> dict[int, dict[str, Any]]:
    """Lightning gives one global step and the epoch among the values: what ends in `_step` keeps the former.

    The epoch is then an axis and no longer a metric, so runs of other batch sizes lie on one another in the charts.
    Figures that a run has once go to step 0: MLflow draws those as bars side by side, and any others as lone dots.
    """
    epoch = values.get("epoch")
    result: dict[int, dict[str, Any]] = {}
    for key, value in values.items():
        if key == "epoch":
            continue
        by_step = epoch is None or key.endswith("_step")
        place = step if by_step else 0 if key.startswith(FINAL) else epoch
        result.setdefault(int(place or 0), {})[key] = value
    return result
