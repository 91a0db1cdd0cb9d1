"""What the names of photos tell of their subjects: numbered shots, series of a camera, copies made from one photo.

`fish7_frame12.png` is shot 12 of fish7, and `cat.12.jpg` is the twelfth cat: the names alone look alike. What tells
them apart is the whole folder: shots have many stems, none of which takes in a class, and counters that lie close
together. Where stems are large or hold no number, the photos decide too: hashes are closer within a stem than between
stems of a class. What is recognised is a regular expression, and grouping by names is nothing but matching it:
typed as `data.group=…` it gives the same groups.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fishnet.data.clocks import time_in
from fishnet.data.manifest import class_folder
from fishnet.data.scan import FLAT

# Words that stand before the number of a shot; any other word is part of the subject's name.
_SHOT = re.compile(r"frames?|frm|image|img|photo|pic|shot|view|crop|still|v|f|t|n|no|nr", re.IGNORECASE)
# Words before a number of four digits or more that a camera counts over all its photos, whatever they show.
_CAMERA = re.compile(
    r"img|image|imag|photo|pic|pict|dsc|dscn|dscf|dscim|dcim|mvi|mov|rcnx|stc|syfw|ptdc|wgi|sam|cimg|imgp|sdc|dji|gopr|"
    r"g|gx|gh|gp|hero|p|pxl|l|wa",
    re.IGNORECASE,
)
_ENDING = re.compile(
    r"(?P<before>[-_ .]*)(?P<word>[A-Za-z]*)(?P<between>[-_ .#(]*)(?<!\d)(?P<count>\d{1,6})(?P<close>\)?)$"
)
_DIGITS = (*"0123456789", *(f"{digit})" for digit in "0123456789"))
_LONGEST_ENDING = 32  # signs
_FRAME = re.compile(rf"(?:{_SHOT.pattern})?[-_ ]?\d{{1,6}}", re.IGNORECASE)
_SERIES = r"(?<=\bG\d{3})\d{4}"  # GoPro: three digits of the series, four of the photo
_SUBFOLDER = r"^([^/]+/.+)/"
# Endings that programs give to what they make of a photo: copies, edits, turned and mirrored ones, Roboflow's versions.
_MADE = (
    r"\.rf\.[0-9A-Za-z]{8,}",
    r"[-_ ]+(?:[Cc]opy|Kopie)(?: ?\(?\d+\)?)?",
    r"[-_](?:edit(?:ed)?|EDIT|bearbeitet)",
    r"_(?:new)?\d{1,3}deg(?:Flip(?:LR|TB))?",
    r"[-_](?:[hv]?[Ff]lip(?:ped|LR|TB)?|mirror(?:ed)?|rot(?:ated?)?_?\d+|aug_?\d*)",
)
_ANY_MADE = re.compile(f"(?:{'|'.join(_MADE)})$")

_FEWEST_STEMS = 4
_LARGEST = 0.5  # of a class, that one stem may take in
_WIDE = 10  # times as many numbers as photos: counters that lie further apart were not counted in one go
_FEW_SHOTS = 8  # in the median stem; larger ones may be categories, so the photos must confirm them
_PAIRS = 30  # of photos, below which hashes say nothing
_CONFIRMED, _CONTRADICTED = 3.0, 0.5  # bits by which hashes are closer within stems than between them


@dataclass(frozen=True)
class Naming:
    """A way of naming shots: what `data.group` takes, and how many photos of how many subjects it joins.

    Only a `sure` one is grouped by; another is worth a question to the user.
    """

    pattern: str
    photos: int
    subjects: int
    sure: bool


def naming_of(table: pd.DataFrame) -> Naming | None:
    """The way in which the photos of the table (path, phash) are named, if it tells of subjects."""
    names, made = _named(table)
    shots = _shots(names)
    verdicts = {ending: _verdict(shots[ending], names) for ending in sorted(shots, key=lambda name: -len(shots[name]))}
    sure = [ending for ending, verdict in verdicts.items() if verdict == "sure"]
    chosen = sure or ([] if made else [ending for ending, verdict in verdicts.items() if verdict == "perhaps"][:1])
    pattern = _pattern(chosen, made, names)
    if pattern is None:
        return None
    keys = keys_of(table["path"], pattern)
    shown = names["made"] | names.index.isin([row for ending in chosen for row in shots[ending].index])
    stated = keys[keys.isin(keys[shown]) & (keys != "")]
    return Naming(pattern, len(stated), stated.nunique(), bool(sure or made)) if stated.duplicated().any() else None


def _named(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Each photo's class, folder, name without an ending of copies, ending, stem, count, digits; and those endings."""
    folders = [path.rpartition("/")[0] for path in table["path"].tolist()]
    bases = [path.rpartition("/")[2].rpartition(".")[0] for path in table["path"].tolist()]
    copies = [_ANY_MADE.search(base) for base in bases]
    made = [ending for ending in _MADE if any(copies) and _joins(folders, bases, ending)]
    stripped = [re.sub(f"(?:{'|'.join(made)})$", "", base) for base in bases] if made else bases
    names = pd.DataFrame({"class": class_folder(table["path"]), "folder": folders, "base": stripped}, table.index)
    names["made"] = names["base"] != bases
    endings = [_ending_of(base) for base in stripped]
    for number, name in enumerate(("ending", "stem", "count", "digits")):
        names[name] = [ending and ending[number] for ending in endings]
    return names.assign(phash=table["phash"].to_numpy(np.uint64)), made


def _joins(folders: Sequence[str], bases: Sequence[str], ending: str) -> bool:
    """Whether a copy with this ending lies beside what it was made from, or beside another copy of it."""
    search = re.compile(f"(?:{ending})$").search
    matches = [search(base) for base in bases]
    stems = Counter(
        (folder, base[: copy.start()] if copy else base)
        for folder, base, copy in zip(folders, bases, matches, strict=True)
    )
    return any(
        copy and stems[folder, base[: copy.start()]] > 1
        for folder, base, copy in zip(folders, bases, matches, strict=True)
    )


def _shots(names: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """For each ending the photos that carry it, with stem and count, and those that are called by a stem alone."""
    shots = {}
    called = pd.MultiIndex.from_frame(names[["folder", "base"]])
    for ending, carriers in names[names["ending"].notna()].groupby("ending"):
        plain = names[called.isin(pd.MultiIndex.from_frame(carriers[["folder", "stem"]])) & (names["ending"] != ending)]
        shots[str(ending)] = pd.concat([carriers, plain.assign(stem=plain["base"], count=np.nan)])
    is_nested = [
        "/" in folder and bool(_FRAME.fullmatch(base))
        for folder, base in zip(names["folder"], names["base"], strict=True)
    ]
    nested = names[np.array(is_nested, bool)]
    if len(nested) > len(names) / 2 and nested["base"].duplicated().mean() > 0.5:  # each folder counts anew
        count = nested["base"].str.extract(r"(\d+)$")[0].astype(float)
        shots[_SUBFOLDER] = nested.assign(stem=nested["folder"], count=count)
    return shots


def _ending_of(base: str) -> tuple[str, str, float, int] | None:
    """The ending of a numbered shot as a regular expression, what stands before it, the number and its digits."""
    if re.fullmatch(r"G\d{7}", base):
        return _SERIES, base[:4], float(base[4:]), 4
    if not base.endswith(_DIGITS):
        return None
    time = time_in(base)
    match = _ENDING.search(base, max(time.end() if time else 0, len(base) - _LONGEST_ENDING))
    if match is None:
        return None
    before, word, between, count, close = match.groups()
    start = match.start()
    if _CAMERA.fullmatch(word) and len(count) >= 4:
        return None
    if word and between and not _SHOT.fullmatch(word):  # the word belongs to the stem
        start = match.start("between")
    elif not (before or between) and not (word and _SHOT.fullmatch(word) and base[start - 1 : start].isdigit()):
        return None
    if start == 0:
        return None
    text = re.sub(r"([.()#])", r"\\\1", base[start : match.start("count")])
    return f"{text}\\d+{re.escape(close)}", base[:start], float(count), len(count)


def _verdict(shots: pd.DataFrame, names: pd.DataFrame) -> str:
    """`sure`, `perhaps`, or nothing: whether the stems of these photos are subjects."""
    sizes = shots.groupby(["class", "folder", "stem"])["count"].agg(["size", "min", "max"])
    several = sizes[sizes["size"] > 1]
    if len(several) < _FEWEST_STEMS or several["size"].sum() < len(shots) / 2:
        return ""
    largest = several["size"].groupby("class").max() / names.groupby("class").size()
    if (largest > _LARGEST).sum() > len(largest.dropna()) / 2:
        return ""
    spread = several["max"] - several["min"]
    whole = shots.groupby("class")["count"].agg(lambda counts: counts.max() - counts.min())
    close = (spread <= _WIDE * several["size"]) | (spread <= whole.reindex(several.index, level="class") / _WIDE)
    gain, pairs = _likeness(shots)
    confirmed = pairs >= _PAIRS and gain >= _CONFIRMED
    if close.mean() < 0.7 and not confirmed:
        return ""
    contradicted = pairs >= _PAIRS and gain < _CONTRADICTED
    numbered = several.index.get_level_values("stem").str.contains(r"\d[^/]*$").mean() > 0.9
    few = several["size"].median() <= _FEW_SHOTS
    return "sure" if confirmed or (numbered and few and not contradicted) else "perhaps"


def _likeness(shots: pd.DataFrame) -> tuple[float, int]:
    """By how many bits hashes of neighbours in a stem are closer than those of a class's stems; over how many pairs."""
    ordered = shots[shots["phash"] != FLAT].sort_values(["class", "folder", "stem", "count"])
    stem = ordered.groupby(["class", "folder", "stem"], sort=False).ngroup().to_numpy()
    label, hashes = pd.factorize(ordered["class"])[0], ordered["phash"].to_numpy(np.uint64)
    same = np.flatnonzero(stem[1:] == stem[:-1])
    first = np.flatnonzero(np.diff(stem, prepend=-1, append=stem.max(initial=-1) + 1))  # of each stem, and the end
    other = first[np.minimum(stem + 1, len(first) - 1)]
    apart = np.flatnonzero(other < len(stem))
    apart = apart[label[apart] == label[other[apart]]]
    if not len(same) or not len(apart):
        return 0.0, 0
    within = np.bitwise_count(hashes[same] ^ hashes[same + 1])
    between = np.bitwise_count(hashes[apart] ^ hashes[other[apart]])
    return float(between.mean() - within.mean()), len(same)


def _pattern(chosen: list[str], made: list[str], names: pd.DataFrame) -> str | None:
    """One regular expression for the endings; None where it would match other names too, or there are none."""
    if chosen == [_SUBFOLDER]:
        return _SUBFOLDER
    counted = [ending for ending in chosen if ending != _SUBFOLDER]
    if not counted and not made:
        return None
    own, either, matched = names["ending"].isin(counted), "", pd.Series(False, names.index)
    for digits in ("+", f"{{1,{names.loc[own, 'digits'].max():.0f}}}") if counted else ():
        either = "|".join(counted).replace(r"\d+", rf"\d{digits}")
        search = re.compile(f"(?:{either})$").search
        matched = pd.Series([bool(search(base)) for base in names["base"]], names.index)
        if matched.equals(own):
            break
    if not matched.equals(own):  # it would take in digits of a time, say
        return None
    body = either if matched.all() and len(counted) == 1 else f"(?:{either}){'' if matched.all() else '?'}"
    body = (body if counted else "") + (f"(?:{'|'.join(made)})?" if made else "")
    restarted = (names.groupby("base")["folder"].nunique() > 1).any()
    return rf"^({'.+/' if restarted else ''}.+?){body}\.\w+$"


def keys_of(paths: pd.Series, pattern: str) -> pd.Series:
    """What the pattern (or the first group in it) matches of each file's name; empty where it does not match.

    A pattern that holds a `/` is matched with the path below the data set's folder instead.
    """
    search = re.compile(pattern).search
    whole = "/" in pattern
    matches = [search(path if whole else path.rpartition("/")[2]) for path in paths.tolist()]
    keys = [(match[1 if match.re.groups else 0] or "") if match else "" for match in matches]
    return pd.Series(keys, index=paths.index, dtype=object)
