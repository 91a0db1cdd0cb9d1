"""When photos were taken, by their names and their EXIF blocks, and which of them are bursts of one camera."""

import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from fishnet.data.manifest import class_folder

BURST = 5.0  # seconds from one shot to the next
_STOPPED = (20, 0.25)  # photos, and share of a class, above which a burst is a clock that was never set
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.: ]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?:[-_ .T]{0,3}([01]\d|2[0-3])|"
    r" at (\d{1,2}))[-_.:h ]?([0-5]\d)[-_.:m ]?([0-5]\d)(?:\.?(\d{3}))?(?!\d)"
)
_SHOT_OF_TIME = re.compile(r"(?:[-_ .(~]*(?:BURST)?\d{1,4}\)?){0,2}(?:[-_ ]?COVER)?$")
_LONGEST_SHOT = 32  # signs behind the time


def bursts(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """A key for each photo of a burst, by the times in names and by those in EXIF blocks; empty for any other photo."""
    names = times_of(table["path"])
    exif = pd.to_datetime(table["exif_time"], errors="coerce", format="ISO8601")
    seconds = (exif - pd.Timestamp(0)).dt.total_seconds()
    return _bursts(table, names["seconds"], names["clock"]), _bursts(table, seconds, table["exif_camera"])


def _bursts(table: pd.DataFrame, seconds: pd.Series, clock: pd.Series) -> pd.Series:
    """A key for each burst: photos of one class by one clock, each at most `BURST` seconds after the one before."""
    folder = class_folder(table["path"])
    shots = pd.DataFrame({"class": folder, "clock": clock, "seconds": seconds}).dropna()
    shots = shots.sort_values(["class", "clock", "seconds"])
    same_clock = (shots[["class", "clock"]] == shots[["class", "clock"]].shift()).all(axis=1)
    burst = (~(same_clock & (shots["seconds"].diff() <= BURST))).cumsum()
    sizes = shots.groupby(burst)["seconds"].transform("size")
    least, share = _STOPPED
    stopped = sizes > np.maximum(least, share * shots["class"].map(folder.value_counts()))
    return burst[~stopped].astype(object).reindex(table.index, fill_value="")


def times_of(paths: pd.Series) -> pd.DataFrame:
    """The time that each name tells, in seconds (NaN where it tells none), and by whose clock: the rest of the name."""
    rows = []
    for path in paths.tolist():
        base = path.rpartition("/")[2].rpartition(".")[0]
        if (match := time_in(base)) is None:
            rows.append((np.nan, ""))
            continue
        before, behind = base[: match.start()], base[match.end() :]
        shot = _SHOT_OF_TIME.search(behind, max(0, len(behind) - _LONGEST_SHOT))
        clock = "BURST" if before.endswith("BURST") else f"{before}|{behind[: shot.start()] if shot else behind}"
        rows.append((_seconds(match), clock))
    return pd.DataFrame(rows, columns=["seconds", "clock"], index=paths.index)


def time_in(base: str) -> re.Match[str] | None:
    return _TIME.search(base) if "20" in base or "19" in base else None


def _seconds(match: re.Match[str]) -> float:
    year, _, month, day, hour, other_hour, minute, second, fraction = match.groups()
    try:
        date = datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError:  # the 31st of June
        return float("nan")
    clock = 3600 * int(hour or other_hour) + 60 * int(minute) + int(second)
    return date.timestamp() + clock + int(fraction or 0) / 1000
