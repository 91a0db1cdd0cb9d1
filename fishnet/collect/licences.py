"""Licences as sources write them, in the few codes that manifests hold.

No licence stated means all rights reserved: that is the law's default, and iNaturalist's. A page that does not speak
of licences at all leaves them unknown, which is not the same.
"""

import re
import unicodedata

from fishnet.collect.photo import UNKNOWN
from fishnet.errors import BadInput
from fishnet.text import nearest

RESERVED = "all-rights-reserved"
# Without -nd: a heat-map over a photo is a derivative of it.
OPEN = ("cc0", "pd", "gfdl", "cc-by", "cc-by-sa", "cc-by-nc", "cc-by-nc-sa")
CODES = (*OPEN, "cc-by-nd", "cc-by-nc-nd", RESERVED, UNKNOWN)

_DASHES = "\u2212\u00ad"  # a minus and a soft hyphen; the rest are known as dashes
_RESERVED = re.compile(r"all[ _-]*rights[ _-]*reserved|^c$|^copyright$")
_FREE = {
    "cc0": re.compile(r"cc[ _-]*0|publicdomain/zero"),
    "pd": re.compile(r"public[ _-]*domain|^pd\b"),
    "gfdl": re.compile(r"gfdl|gnu free documentation"),
}
_BUT = re.compile(
    r"\b(not|never|except|unless|nc|nd|sa|cc[ _-]*by)\b|n['’]t\b|no longer|non?[ -]*(commercial|deriv)|commercial use"
)
_SPELT_OUT = {
    "by": re.compile(r"\battribution\b"),
    "nc": re.compile(r"\bnon? ?commercial\b"),
    "nd": re.compile(r"\bnon? ?deriv(ative|atives|s)?( works?)?\b"),
    "sa": re.compile(r"\bshare ?alike\b"),
}
_COMMONS = frozenset({"cc", "creative", "creativecommons"})
_AROUND = re.compile(
    r"commons|https?|www|org|licen[cs]es?|legalcode|deed|the|public|some|rights|reserved|v|version|"
    r"int|international|unported|generic|universal|igo|scotland"
)
_VERSION = re.compile(r"([0-9]+( [0-9]+| [a-z]{2})*)?")  # and the countries it was ported to, as in 3.0 de


def licence_code(text: str | None) -> str:
    """`CC BY-NC 4.0`, `CC_BY_NC_4_0`, `http://creativecommons.org/licenses/by-nc/4.0/` and `cc-by-nc` are one."""
    if text is None:
        return RESERVED
    plain = _plain(text)
    if plain in CODES:
        return plain
    if _RESERVED.search(plain):
        return RESERVED
    for code, pattern in _FREE.items():
        if pattern.search(plain):
            return UNKNOWN if _BUT.search(plain) else code
    return _creative_code(plain)


def _plain(text: str) -> str:
    """Small letters, and one dash for the many that look like it."""
    folded = unicodedata.normalize("NFKC", text).strip().lower()
    return "".join("-" if unicodedata.category(one) == "Pd" or one in _DASHES else one for one in folded)


def _creative_code(plain: str) -> str:
    """A word that is not known may be a condition, and then the licence is unknown."""
    said = re.sub(r"[\s/_.,;:()\[\]+&|'\"#?=-]+", " ", plain)
    for part, pattern in _SPELT_OUT.items():
        said = pattern.sub(part, said)
    words = said.split()
    rest = " ".join(one for one in words if one not in {*_SPELT_OUT, *_COMMONS} and not _AROUND.fullmatch(one))
    if "by" not in words or not _COMMONS & {*words} or not _VERSION.fullmatch(rest):
        return UNKNOWN
    code = "-".join(["cc-by", *(part for part in ("nc", "nd", "sa") if part in words)])
    return code if code in CODES else UNKNOWN


def wanted_licences(asked: str | list[str]) -> frozenset[str]:
    """`open`, `any`, or codes by name."""
    if asked == "open":
        return frozenset(OPEN)
    if asked == "any":
        return frozenset(CODES)
    codes = [asked] if isinstance(asked, str) else list(asked)
    for code in codes:
        if code not in CODES:
            raise BadInput(f"licences={code}: {nearest(str(code), ['open', 'any', *CODES])}")
    if not codes:
        raise BadInput(f"licences=[]: choose open, any, or from {', '.join(CODES)}.")
    return frozenset(codes)
