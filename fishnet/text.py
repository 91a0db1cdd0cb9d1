"""Class names as people write them, and the ASCII slugs under which metrics and files may speak of them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def slug(text: str) -> str:
    """The nearest plain word: lower case ASCII letters, digits and hyphens; `class` when nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "class"


def slugs(names: list[str]) -> list[str]:
    """One slug a name, unique, so that two names that differ only in stripped signs never share a metric."""
    taken: set[str] = set()
    result = []
    for name in names:
        base = candidate = slug(name)
        number = 2
        while candidate in taken:
            candidate = f"{base}-{number}"
            number += 1
        taken.add(candidate)
        result.append(candidate)
    return result


def counted(count: int, single: str, several: str = "") -> str:
    """`1 photo`, `2 photos`, `2 classes`.

    Args:
        count: how many.
        single: what a single thing is called, with its verb where there is any.
        several: what more or none are called; by default with the plural's ending.
    """
    ending = "es" if single.endswith(("s", "x", "tch", "sh")) else "s"
    return f"{count} {single if count == 1 else several or single + ending}"


def few_of(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def reasons_in_lines(refused: Iterable[tuple[str, str]], what: str = "photo", most: int = 10) -> list[str]:
    """Each reason once, the most frequent first, with how many it holds for and the first of their names.

    Args:
        refused: name and reason of each.
        what: they are.
        most: lines; what stands in none of them is counted in a last one.
    """
    named: dict[str, list[str]] = {}
    for name, reason in refused:
        named.setdefault(reason, []).append(name)
    ranked = sorted(named.items(), key=lambda pair: -len(pair[1]))
    lines = [
        f"{names[0]}: {reason}" if len(names) == 1 else f"{counted(len(names), what)}: {reason} ({few_of(names, 3)})"
        for reason, names in ranked[:most]
    ]
    others = sum(len(names) for _, names in ranked[most:])
    return [*lines, f"and {counted(others, what)} for other reasons"] if others else lines


def nearest(word: str, choices: list[str], count: int = 3) -> str:
    """A half-sentence naming the choices that were probably meant, or all of them when they are few."""
    import difflib

    close = difflib.get_close_matches(word, choices, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "choose from " + ", ".join(choices) if len(choices) <= 12 else "no name is near it"
