"""What weights are counted in: units in words, in a header or in a column of their own → tonnes.

Thousand tonnes that are taken for tonnes look like any other catch, so a unit that is not sure is refused.
"""

import re
from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput

TONNES = r"(?:metric )?(?:mt|t|tons?|tonnes?)"
WEIGHTS = [(TONNES, 1.0), (r"kg|kilograms?", 1e-3), (r"lbs?|pounds?", 0.45359237e-3)]
MANY = [(r"(?:millions?|1 ?000 ?000|10 6)", 1e6), (r"(?:thousands?|1 ?000|000s?|10 3)", 1e3)]
UNITS = [  # in plain words → tonnes; the first that is found
    (r"megatonn?e?s", 1e6),
    (r"kt|ktonn?e?s|kilotonn?e?s?", 1e3),
    *(
        (rf"{many}(?: of)? ?(?:{weight})|(?:{weight})(?: x)? {many}", times * factor)
        for many, times in MANY
        for weight, factor in WEIGHTS
    ),
    *reversed(WEIGHTS),
]
RATE = re.compile(r"(/|\bper\b)(?! ?(yr|year|annum|a)\b)")  # kilograms an hour are no weight
COMPILED_UNITS = [(re.compile(rf"\b(?:{pattern})\b"), factor) for pattern, factor in UNITS]


def plain(header: str) -> str:
    """Lower case words; camel case, signs and brackets are spaces."""
    raised = header.casefold().replace("³", " 3").replace("⁶", " 6")
    return " ".join(re.sub(r"[^a-z0-9]+", " ", raised).split())


def tonnes(words: str) -> float | None:
    """How many tonnes the unit is that these words name; None: they name none."""
    if RATE.search(words):
        return None
    return next((factor for unit, factor in COMPILED_UNITS if unit.search(plain(words))), None)


def without_units(words: str) -> str:
    for unit, _ in COMPILED_UNITS:
        words = unit.sub(" ", words)
    return words


def one_unit(path: Path, units: pd.Series, stated: float) -> float:
    """To tonnes: the factor that the header states or a column of units tells; both must tell the same.

    A table in units that nobody knows is left as it is, but not where some of it is to be multiplied.
    """
    named = [name for name in units.str.strip().unique() if name]
    factors = {tonnes(name) for name in named} | ({stated} if stated != 1 else set())
    if len(factors) > 1 and factors != {1.0, None}:
        said = " and ".join([*([f"its header's (times {stated:g})"] if stated != 1 else []), *map(repr, named[:3])])
        raise BadInput(f"{path} has several units ({said}): give one table to each, or bring it to tonnes.")
    return stated if stated != 1 else next((factor for factor in factors if factor is not None), 1.0)
