"""Class names as people write them, and the ASCII slugs under which metrics and files may speak of them."""

import re
import unicodedata
from collections.abc import Sequence


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


def nearest(word: str, choices: list[str], count: int = 3) -> str:
    """A half-sentence naming the choices that were probably meant, or all of them when they are few."""
    import difflib

    close = difflib.get_close_matches(word, choices, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "choose from " + ", ".join(choices) if len(choices) <= 12 else "no name is near it"
