"""The summary: found, kept, refused and why, and how to go on."""

from pathlib import Path

from fishnet.collect.progress import Bars, ClassResult, Result, table


def test_reasons_are_told_in_kinds_the_most_frequent_first():
    copies = {f"the same bytes as {number}": 1 for number in range(5)}
    reasons = {"deleted (410)": 3, **copies, **{f"rare {number}": 1 for number in range(6)}}
    perch = ClassResult("1-perch", "Perca", 40, 26, 14, reasons, "a sample of 40 observations of 90")
    pike = ClassResult("2-pike", "Esox", 5, 5, 0, {}, "")
    said = table(Result(Path("lake"), [perch, pike], frozenset(), Path("not_kept.csv"), failed=2)).splitlines()
    assert said[1].split() == ["1-perch", "40", "26", "14"]
    assert said[2].strip() == "5 × the same bytes as another" and said[3].strip() == "3 × deleted (410)"
    assert "and 2 for other reasons" in "".join(said) and "a sample of 40" in "".join(said)
    assert "31 photos in 2 class folders" in "".join(said)
    assert said[-2].endswith("not_kept.csv") and "the same command tries again" in said[-1]


def test_a_host_that_does_not_answer_is_named_once(caplog):
    bars = Bars(shown=False)
    with caplog.at_level("INFO", logger="fishnet"):
        for attempt in (2, 3, 4):
            bars.trying("api.example", "no connection", attempt)
        bars.answered("api.example")
        bars.answered("api.example")
    assert [line.partition(";")[0] for line in caplog.messages] == [
        "api.example: no connection",
        "api.example answers again",
    ]
