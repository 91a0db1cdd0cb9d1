"""What a column's header says: one variable has many names, and a guess that is not told is worse than none.

A rule is a pattern on the header in plain words (`BdivBmsypref` is `bdivbmsypref`, `Capture fisheries (tonnes)` is
`capture fisheries`); the first that fits decides. The names are those of FAO,
Our World in Data, RAM Legacy and datalimited.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import nearest

from .units import one_unit, plain, tonnes, without_units

# meaning → what it is called on the screen and the page
VALUES = {
    "catch": "catch",
    "aquaculture": "aquaculture",
    "biomass": "biomass",
    "index": "index of biomass",
    "b_bmsy": "B/Bmsy",
    "u_umsy": "F/Fmsy (or U/Umsy)",
    "sustainable": "% of stocks within sustainable levels",
    "overfished": "% of stocks overfished",
}
LABELS = {
    "stock": "stock",
    "entity": "country, region or group",
    "year": "year",
    "name": "name",
    "species": "species",
    "category": "species category",
    "resilience": "resilience",
    "area": "fishing area",
    "code": "country code",
    "variable": "which variable",
    "value": "its value",
    "unit": "unit",
}
MEANINGS = VALUES | LABELS
ATTRIBUTES = ("name", "species", "category", "resilience", "code")

PER_EFFORT = r"(catch(es)?|landings|biomass|numbers?) per unit (of )?effort"
RULES = [
    ("year", r"(ts)?year|yr|annee|year code|time|season"),
    ("stock", r"stock ?id|stock|stock code|assess ?id"),
    ("name", r"stock ?long|stock name|common ?name"),
    ("species", r"scientific ?name|species|asfis species( name| \w+)?|species name|taxon|taxa|latin name"),
    ("category", r"spp category|species category|category|species group|isscaap group( \w+)?|taxonomic group"),
    ("resilience", r"res|resilience"),
    ("area", r"(fao )?(major )?fishing area( name)?|fao area( name)?|area name|area"),
    ("code", r"(country |iso )?code|iso ?3?( code)?|alpha 3"),
    (
        "entity",
        r"entity|country( name)?|country or (area|region)|region|geographic area|location|reporting country|place",
    ),
    ("variable", r"variable|indicator( name)?|element|measure|ts ?id|statistic|series( name)?"),
    ("value", r"value|ts ?value|obs ?value|quantity"),
    ("unit", r"unit( name)?|units|measure unit"),
    (
        "b_bmsy",
        r"b ?bmsy( .*)?|b ?div ?bmsy\w*|b over bmsy|.*biomass relative to bmsy.*|relative biomass.*|ssb ?ssbmsy",
    ),
    (
        "u_umsy",
        r"[ufe]r? ?(div ?)?[ufe]r?msy\w*( .*)?|(relative )?fishing pressure.*|relative fishing mortality",
    ),
    ("overfished", r".*over ?(exploited|fished).*|.*unsustainable.*|.*not sustainable.*"),
    ("sustainable", r".*sustainabl[ey].*"),
    ("aquaculture", r".*aquaculture.*(production)?.*"),
    (
        "catch",
        r"tc ?best|t[cl]( mt)?|rec ?c|(total )?(catch(es)?|landings|captures?)(?P<more> .*)?|.*fisheries produc.*",
    ),
    ("biomass", r"tb ?best|tb( mt)?|((total |spawning )?(stock )?biomass|ssb)(?P<more> .*)?"),
    ("index", rf"((abundance |biomass |survey )?index|cpue|survey|{PER_EFFORT})(?P<more> .*)?"),
]
COMPILED = [(meaning, re.compile(pattern)) for meaning, pattern in RULES]
LOW, HIGH = re.compile(r"\b(q25|lower|low|lcl|p25)\b"), re.compile(r"\b(q75|upper|high|ucl|p75)\b")
GROUPED = re.compile(r"\b(region|regions|taxa|taxon|taxonomic group)$")
WEIGHED = ("catch", "aquaculture", "biomass")
# what may stand behind the name of a variable, beside its unit
QUALIFIERS = (
    "in|of|total|best|pref|all|sum|reported|reconstructed|nominal|estimated?|live|fresh|round|wet|weight|volume|"
    "quantity|production|fisheries|fishery|marine|inland|wild|annual|per|year|yr|annum|ci|90|95"
)
QUALIFIERS_OF_INDEX = (
    QUALIFIERS + "|value|relative|standardi[sz]ed|abundance|biomass|index|survey|cpue|numbers?|n|kg|t|per|tow|haul|set|"
    "hour|h|hooks?|day|km2|ha|1|2"
)
SOMETHING_ELSE = re.compile(
    r"\b(per(?! (?:year|yr|annum)\b)|quota|tac|flag|value|price|usd|eur|dollars|number|count|individuals|share|percent|"
    r"km2|ha|tow|haul)\b"
)
YEAR = re.compile(r"^\W*(?:[Xx]|[Yy]|year ?)?\W*(1[6-9]\d\d|20\d\d)\W*$")


@dataclass(frozen=True)
class Meaning:
    """What a header was taken for."""

    what: str
    side: str = ""  # low, high: the ends of a range
    group: str = ""  # region, taxon: the kind of the row's entity, where a table keeps both in one column
    factor: float = 1.0  # to tonnes
    why: str = ""

    @property
    def column(self) -> str:
        return f"{self.what}_{self.side}" if self.side else self.what

    def __str__(self) -> str:
        words = MEANINGS[self.what]
        words += {"low": ", lower end", "high": ", upper end"}.get(self.side, "")
        words += f", of a {self.group}" if self.group else ""
        words += f", times {self.factor:{',.0f' if self.factor > 1 else '.6g'}}" if self.factor != 1 else ""
        return words + (f" ({self.why})" if self.why else "")


def meaning_of(header: str) -> Meaning | None:
    """None: this header says nothing that we know."""
    outside = plain(re.sub(r"\([^)]*\)", " ", header)) or plain(header)
    side = "low" if LOW.search(outside) else "high" if HIGH.search(outside) else ""
    core = " ".join(HIGH.sub("", LOW.sub("", re.sub(r"\bmean\b|\bmedian\b", "", outside))).split())
    group = ""
    if len(core.split()) > 1 and (found := GROUPED.search(core)):
        group = "region" if found[1].startswith("region") else "taxon"
        core = core[: found.start()].strip()
    for meaning, pattern in COMPILED:
        found = pattern.fullmatch(core)
        if found and _nothing_else(meaning, found, header):
            if meaning not in VALUES:
                return Meaning(meaning)
            return Meaning(meaning, side, group, (tonnes(header) or 1.0) if meaning in WEIGHED else 1.0)
    return None


def _nothing_else(meaning: str, found: re.Match[str], header: str) -> bool:
    """Neither a quota nor a price nor a flag of catches is a catch: more words must be units or known qualifiers."""
    more, words = found.groupdict().get("more") or "", plain(header)
    if meaning == "index":
        return re.fullmatch(rf"( ({QUALIFIERS_OF_INDEX}))*", more) is not None
    if meaning in WEIGHED and (SOMETHING_ELSE.search(words) or ("%" in header and "ci" not in words.split())):
        return False
    return re.fullmatch(rf"( ({QUALIFIERS}))*", " ".join(["", *without_units(more).split()])) is not None


def weighed(path: Path, units: pd.Series, meaning: Meaning | None) -> Meaning | None:
    """The meaning with the factor that its column of units asks for."""
    if meaning is None or meaning.what not in WEIGHED:
        return meaning
    return replace(meaning, factor=one_unit(path, units, meaning.factor))


def year_of(header: str) -> int | None:
    """`1950`, `[1950]` and `X1950`: a wide table's years."""
    found = YEAR.match(header)
    return int(found[1]) if found else None


def told_columns(text: str | None) -> dict[str, str]:
    """`TL=catch, SSB=biomass`, as the user says it: header → meaning."""
    told: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        header, sign, meaning = (piece.strip() for piece in part.rpartition("="))
        if not sign or not header:
            raise BadInput(f"columns={text}: say it as columns='HEADER=meaning, HEADER=meaning'.")
        if meaning not in MEANINGS and meaning != "nothing":
            raise BadInput(f"columns={text}: {meaning} is no meaning; {nearest(meaning, [*MEANINGS, 'nothing'])}")
        told[header] = meaning
    return told


def one_each(meanings: dict[str, Meaning | None]) -> dict[str, Meaning | None]:
    """Of several columns for one variable, the one that its publisher calls best; what the user said wins."""
    chosen: dict[tuple[str, str], str] = {}
    for header, meaning in meanings.items():
        if meaning is None:
            continue
        key = (meaning.column, meaning.group)
        rank = (bool(meaning.why), "best" in header.lower() or "pref" in header.lower())
        if key not in chosen:
            chosen[key] = header
            continue
        other = meanings[chosen[key]]
        assert other is not None
        if rank > (bool(other.why), "best" in chosen[key].lower() or "pref" in chosen[key].lower()):
            chosen[key] = header
    return {header: meaning if header in chosen.values() else None for header, meaning in meanings.items()}
