"""Whether a comma in a number stands before decimals or between thousands: all numbers of a table tell it together.

Taken for the other it is wrong by a thousand and looks right, so what cannot be told is said or refused.
"""

from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput

from .columns import VALUES, meaning_of, year_of

FLAG = r"(?:[eE][-+]?\d+)?\s*(?:[A-Za-z*†]{1,2})?\s*"
BEFORE_DECIMALS = rf"\s*-?(?:\d+|\d{{1,3}}(?:[.\u00a0' ]\d{{3}})+),\d+{FLAG}"
BETWEEN_THOUSANDS = rf"\s*-?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?{FLAG}"
POINT_BEFORE_DECIMALS = rf"\s*-?\d+\.\d+{FLAG}"
POINT_BETWEEN_THOUSANDS = rf"\s*-?[1-9]\d{{0,2}}(?:\.\d{{3}})+{FLAG}"


def with_points(path: Path, raw: pd.DataFrame, sign: str, told: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """The table with points before decimals, and what had to be guessed for it."""
    headers = [header for header in raw.columns if _holds_numbers(header, told)]
    cells = pd.Series([cell for header in headers for cell in raw[header].unique()], dtype=object).astype(str)
    comma = _told(cells, BEFORE_DECIMALS, BETWEEN_THOUSANDS)
    point = _told(cells, POINT_BEFORE_DECIMALS, POINT_BETWEEN_THOUSANDS)
    if (comma["first"] and comma["second"]) or (comma["first"] and point["first"]):
        other = comma["second"] or point["first"]
        raise BadInput(
            f"{path} writes numbers in two ways ({comma['first']} and {other}): write a point before decimals and "
            "nothing between thousands."
        )
    if comma["first"]:
        return _pointed(raw, headers), [] if sign == ";" else [f"a comma stands before decimals ({comma['first']})"]
    unsure = comma["either"]
    if sign == ";" and not unsure and point["either"] and not point["first"]:
        return raw, [f"a point was taken to stand before decimals: {point['either']}"]
    if not unsure or comma["second"] or point["first"]:
        return raw, []
    if sign == ",":
        return raw, [f"a comma was taken to stand between thousands: {unsure} is {unsure.replace(',', '')}"]
    if sign == ";":
        note = f"a comma was taken to stand before decimals: {unsure} is {unsure.replace(',', '.')}"
        return _pointed(raw, headers), [note]
    raise BadInput(
        f"{path}: {unsure} may be {unsure.replace(',', '')} or {unsure.replace(',', '.')}: write a point before "
        "decimals and nothing between thousands."
    )


def _holds_numbers(header: str, told: dict[str, str]) -> bool:
    meaning = meaning_of(header)
    what = told.get(header) or (meaning.what if meaning else None)
    return what in VALUES or what in ("value", "year") or year_of(header) is not None


def _told(cells: pd.Series, before_decimals: str, between_thousands: str) -> dict[str, str]:
    """A cell that can be read the first way only, one the second way only, and one that can be read both ways."""
    first, second = cells.str.fullmatch(before_decimals), cells.str.fullmatch(between_thousands)
    kinds = {"first": first & ~second, "second": second & ~first, "either": first & second}
    return {name: str(cells[which].iloc[0]).strip() if which.any() else "" for name, which in kinds.items()}


def _pointed(raw: pd.DataFrame, headers: list[str]) -> pd.DataFrame:
    raw = raw.copy()
    for header in headers:
        text = raw[header]
        comma, point = text.str.fullmatch(BEFORE_DECIMALS), text.str.fullmatch(POINT_BETWEEN_THOUSANDS)
        bare = text.str.replace(r"(?<=\d)[.\u00a0' ](?=\d{3})", "", regex=True)
        raw[header] = text.where(~(comma | point), bare.str.replace(",", ".", n=1))
    return raw
