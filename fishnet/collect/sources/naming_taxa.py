"""A name as a person types it → the one taxon that is meant, or the candidates."""

import difflib
from collections.abc import Awaitable, Callable

from fishnet.collect.photo import Taxon
from fishnet.errors import BadInput

MOST_OFFERED = 6

Answer = Callable[..., Awaitable[dict]]


async def chosen_taxon(name: str, ask: Answer) -> Taxon:
    """By number, by scientific name, or by an English name that belongs to one taxon alone."""
    if name.isdecimal():
        rows = (await ask(f"taxa/{int(name)}"))["results"]
        if not rows:
            raise BadInput(f"taxa={name}: there is no taxon of this number.")
        return taxon_of(rows[0])
    rows = (await ask("taxa", q=name, is_active="true", per_page=30))["results"]
    wanted = name.casefold()
    exact = [row for row in rows if row["name"].casefold() == wanted]
    exact = exact or [row for row in rows if (row.get("preferred_common_name") or "").casefold() == wanted]
    if len(exact) == 1:
        return taxon_of(exact[0])
    if exact:
        raise BadInput(f"taxa={name}: the name belongs to {_offered(exact)}: give the number of the one you mean.")
    for word in dict.fromkeys([name.split()[0], name.split()[0][:4], name.split()[-1][:4]]):
        if len(rows) < MOST_OFFERED and len(word) > 2:
            rows += (await ask("taxa/autocomplete", q=word, is_active="true", per_page=30))["results"]
    near = nearest_rows(name, rows)
    if not near:
        raise BadInput(f"taxa={name}: no taxon of this name is known, and none that is near it.")
    raise BadInput(f"taxa={name}: no taxon of this name is known; did you mean {_offered(near)}?")


def taxon_of(row: dict) -> Taxon:
    return Taxon(str(row["id"]), row["name"], row.get("preferred_common_name") or "", row.get("rank") or "")


def nearest_rows(name: str, rows: list[dict]) -> list[dict]:
    """The likest first, each taxon once."""
    unlike = {
        row["id"]: (-max(_likeness(name, row["name"]), _likeness(name, row.get("preferred_common_name") or "")), row)
        for row in rows
    }
    ranked = sorted(unlike.values(), key=lambda pair: (pair[0], pair[1]["name"]))
    return [row for score, row in ranked[:MOST_OFFERED] if score < -0.4]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _offered(rows: list[dict]) -> str:
    """`Prunella vulgaris (species, Plantae, 55957)`."""
    said = []
    for row in rows[:MOST_OFFERED]:
        about = ", ".join(filter(None, [row.get("rank"), row.get("iconic_taxon_name"), str(row["id"])]))
        said.append(f"{row['name']} ({about})")
    return " or ".join(said)
