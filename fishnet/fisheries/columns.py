"""What a column's header means, and what its weights are counted in.

One variable has many names, so a header is matched against patterns in plain words (`BdivBmsypref` is `bdivbmsypref`,
`Capture fisheries (tonnes)` is `capture fisheries`), and the first that fits decides. The names are those of FAO, Our
World in Data, RAM Legacy and datalimited. Thousand tonnes that are taken for tonnes look like any other catch, so a
unit that is not sure is refused. Whatever is guessed here is shown to the user.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import nearest

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
    **{"stock": "stock", "entity": "country, region or group", "year": "year", "name": "name"},
    **{"species": "species", "category": "species category", "resilience": "resilience"},
    **{"area": "fishing area", "code": "country code"},
    **{"variable": "which variable", "value": "its value", "unit": "unit"},
}
MEANINGS = VALUES | LABELS
ATTRIBUTES = ("name", "species", "category", "resilience", "code")

PER_EFFORT = r"(catch(es)?|landings|biomass|numbers?) per unit (of )?effort"
RULES = {  # meaning → its headers
    "year": r"(ts)?year|yr|annee|year code|time|season",
    "stock": r"stock ?id|stock|stock code|assess ?id",
    "name": r"stock ?long|stock name|common ?name",
    "species": r"scientific ?name|species|asfis species( name| \w+)?|species name|taxon|taxa|latin name",
    "category": r"spp category|species category|category|species group|isscaap group( \w+)?|taxonomic group",
    "resilience": r"res|resilience",
    "area": r"(fao )?(major )?fishing area( name)?|fao area( name)?|area name|area",
    "code": r"(country |iso )?code|iso ?3?( code)?|alpha 3",
    "entity": r"entity|country( name| or area| or region)?|region|geographic area|location|reporting country|place",
    "variable": r"variable|indicator( name)?|element|measure|ts ?id|statistic|series( name)?",
    "value": r"value|ts ?value|obs ?value|quantity",
    "unit": r"unit( name)?|units|measure unit",
    "b_bmsy": r"b ?bmsy( .*)?|b ?div ?bmsy\w*|b over bmsy|.*biomass relative to bmsy.*|relative biomass.*|ssb ?ssbmsy",
    "u_umsy": r"[ufe]r? ?(div ?)?[ufe]r?msy\w*( .*)?|(relative )?fishing pressure.*|relative fishing mortality",
    "overfished": r".*over ?(exploited|fished).*|.*unsustainable.*|.*not sustainable.*",
    "sustainable": r".*sustainabl[ey].*",
    "aquaculture": r".*aquaculture.*(production)?.*",
    "catch": r"tc ?best|t[cl]( mt)?|rec ?c|(total )?(catch(es)?|landings|captures?)(?P<more> .*)?|.*fisheries produc.*",
    "biomass": r"tb ?best|tb( mt)?|((total |spawning )?(stock )?biomass|ssb)(?P<more> .*)?",
    "index": rf"((abundance |biomass |survey )?index|cpue|survey|{PER_EFFORT})(?P<more> .*)?",
}
PATTERNS = {meaning: re.compile(pattern) for meaning, pattern in RULES.items()}
LOW, HIGH = re.compile(r"\b(q25|lower|low|lcl|p25)\b"), re.compile(r"\b(q75|upper|high|ucl|p75)\b")
GROUPED = re.compile(r"\b(region|regions|taxa|taxon|taxonomic group)$")
WEIGHTS = ("catch", "aquaculture", "biomass")
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

TONNES = r"(?:metric )?(?:mt|t|tons?|tonnes?)"
MASSES = [(TONNES, 1.0), (r"kg|kilograms?", 1e-3), (r"lbs?|pounds?", 0.45359237e-3)]
MULTIPLES = [(r"(?:millions?|1 ?000 ?000|10 6)", 1e6), (r"(?:thousands?|1 ?000|000s?|10 3)", 1e3)]
UNITS = [  # in plain words → tonnes; the first that is found
    (r"megatonn?e?s", 1e6),
    (r"kt|ktonn?e?s|kilotonn?e?s?", 1e3),
    *(
        (rf"{many}(?: of)? ?(?:{weight})|(?:{weight})(?: x)? {many}", times * factor)
        for many, times in MULTIPLES
        for weight, factor in MASSES
    ),
    *reversed(MASSES),
]
RATE = re.compile(r"(/|\bper\b)(?! ?(yr|year|annum|a)\b)")  # kilograms an hour are no weight
UNIT_PATTERNS = [(re.compile(rf"\b(?:{pattern})\b"), factor) for pattern, factor in UNITS]


@dataclass(frozen=True)
class Meaning:
    """What a column was taken for."""

    variable: str  # a key of `MEANINGS`
    side: str = ""  # `low` or `high` where the column holds an end of a range
    group: str = ""  # `region` or `taxon`: the kind of the row's entity, where a table keeps both in one column
    factor: float = 1.0  # what its numbers are multiplied with to be tonnes
    reason: str = ""  # why, where the header alone does not say it

    @property
    def column(self) -> str:
        return f"{self.variable}_{self.side}" if self.side else self.variable

    def __str__(self) -> str:
        words = MEANINGS[self.variable]
        words += {"low": ", lower end", "high": ", upper end"}.get(self.side, "")
        words += f", of a {self.group}" if self.group else ""
        words += f", times {self.factor:{',.0f' if self.factor > 1 else '.6g'}}" if self.factor != 1 else ""
        return words + (f" ({self.reason})" if self.reason else "")


Meanings = Mapping[str, Meaning | None]  # by header; None: left alone


def meaning_of(header: str) -> Meaning | None:
    """The meaning of a header, or None where it names nothing that is known."""
    outside = plain_words(re.sub(r"\([^)]*\)", " ", header)) or plain_words(header)
    side = "low" if LOW.search(outside) else "high" if HIGH.search(outside) else ""
    core = " ".join(HIGH.sub("", LOW.sub("", re.sub(r"\bmean\b|\bmedian\b", "", outside))).split())
    group = ""
    if len(core.split()) > 1 and (match := GROUPED.search(core)):
        group = "region" if match[1].startswith("region") else "taxon"
        core = core[: match.start()].strip()
    for variable, pattern in PATTERNS.items():
        match = pattern.fullmatch(core)
        if match and _nothing_else(variable, match, header):
            factor = (tonnes(header) or 1.0) if variable in WEIGHTS else 1.0
            return Meaning(variable, side, group, factor) if variable in VALUES else Meaning(variable)
    return None


def _nothing_else(variable: str, match: re.Match[str], header: str) -> bool:
    """Neither a quota nor a price nor a flag of catches is a catch: more words must be units or known qualifiers."""
    more, words = match.groupdict().get("more") or "", plain_words(header)
    if variable == "index":
        return re.fullmatch(rf"( ({QUALIFIERS_OF_INDEX}))*", more) is not None
    if variable in WEIGHTS and (SOMETHING_ELSE.search(words) or ("%" in header and "ci" not in words.split())):
        return False
    for unit, _ in UNIT_PATTERNS:
        more = unit.sub(" ", more)
    return re.fullmatch(rf"( ({QUALIFIERS}))*", " ".join(["", *more.split()])) is not None


def year_of(header: str) -> int | None:
    """`1950`, `[1950]` and `X1950`: a wide table's years."""
    match = YEAR.match(header)
    return int(match[1]) if match else None


def parse_columns(text: str | None) -> dict[str, str]:
    """`TL=catch, SSB=biomass`, as a user corrects the reader: header → variable."""
    corrections: dict[str, str] = {}
    for part in filter(str.strip, (text or "").split(",")):
        header, sign, variable = (piece.strip() for piece in part.rpartition("="))
        if not sign or not header:
            raise BadInput(f"columns={text}: write it as columns='HEADER=meaning, HEADER=meaning'.")
        if variable not in MEANINGS and variable != "nothing":
            raise BadInput(f"columns={text}: {variable} is no meaning; {nearest(variable, [*MEANINGS, 'nothing'])}")
        corrections[header] = variable
    return corrections


def without_rivals(meanings: Meanings) -> dict[str, Meaning | None]:
    """Of several columns for one variable, the one that its publisher calls best; a user's correction wins."""
    known = [(header, meaning) for header, meaning in meanings.items() if meaning]
    known.sort(key=lambda pair: (not pair[1].reason, not re.search("best|pref", pair[0].lower())))
    winners: dict[tuple[str, str], str] = {}
    for header, meaning in known:
        winners.setdefault((meaning.column, meaning.group), header)
    return {header: meaning if header in winners.values() else None for header, meaning in meanings.items()}


def plain_words(header: str) -> str:
    """Lower case words; camel case, signs and brackets are spaces."""
    raised = header.casefold().replace("³", " 3").replace("⁶", " 6")
    return " ".join(re.sub(r"[^a-z0-9]+", " ", raised).split())


def tonnes(words: str) -> float | None:
    """How many tonnes the unit is that these words name, or None where they name none."""
    if RATE.search(words):
        return None
    plain = plain_words(words)
    return next((factor for unit, factor in UNIT_PATTERNS if unit.search(plain)), None)


def in_tonnes(path: Path, units: pd.Series, meaning: Meaning | None) -> Meaning | None:
    """The meaning with the factor to tonnes that its header states or a column of units does; both must agree.

    A table in units that nobody knows is left as it is, but not where some of it is to be multiplied.
    """
    if meaning is None or meaning.variable not in WEIGHTS:
        return meaning
    stated = meaning.factor
    names = [name for name in units.str.strip().unique() if name]
    factors = {tonnes(name) for name in names} | ({stated} if stated != 1 else set())
    if len(factors) > 1 and factors != {1.0, None}:
        listed = " and ".join([*([f"its header's (times {stated:g})"] if stated != 1 else []), *map(repr, names[:3])])
        raise BadInput(f"{path} has several units ({listed}): give one table to each, or bring it to tonnes.")
    if stated == 1:
        stated = next((factor for factor in factors if factor is not None), 1.0)
    return replace(meaning, factor=stated)
