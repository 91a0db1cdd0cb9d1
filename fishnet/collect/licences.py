"""Licences as sources write them → the few codes that manifests hold.

No licence stated means all rights reserved: that is the law's default, and iNaturalist's. A page that does not mention
licences at all leaves them unknown, which is not the same.
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

_DASHES = "\u2212\u00ad"  # a minus and a soft hyphen; Unicode knows all others as dashes
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
    """`cc-by-nc` for `CC BY-NC 4.0`, `CC_BY_NC_4_0` and `http://creativecommons.org/licenses/by-nc/4.0/`."""
    if text is None:
        return RESERVED
    lower = unicodedata.normalize("NFKC", text).strip().lower()
    plain = "".join("-" if unicodedata.category(sign) == "Pd" or sign in _DASHES else sign for sign in lower)
    if plain in CODES:
        return plain
    if _RESERVED.search(plain):
        return RESERVED
    for code, pattern in _FREE.items():
        if pattern.search(plain):
            return UNKNOWN if _BUT.search(plain) else code
    return _creative_code(plain)


def _creative_code(plain: str) -> str:
    """The code of a Creative Commons licence; an unknown word may be a condition, and makes the licence unknown."""
    spaced = re.sub(r"[\s/_.,;:()\[\]+&|'\"#?=-]+", " ", plain)
    for part, pattern in _SPELT_OUT.items():
        spaced = pattern.sub(part, spaced)
    words = spaced.split()
    version = " ".join(word for word in words if word not in {*_SPELT_OUT, *_COMMONS} and not _AROUND.fullmatch(word))
    if "by" not in words or not _COMMONS & {*words} or not _VERSION.fullmatch(version):
        return UNKNOWN
    code = "-".join(["cc-by", *(part for part in ("nc", "nd", "sa") if part in words)])
    return code if code in CODES else UNKNOWN


def wanted_licences(choice: str | list[str]) -> frozenset[str]:
    """The codes of a choice: `open`, `any`, or codes by name."""
    if choice in ("open", "any"):
        return frozenset(OPEN if choice == "open" else CODES)
    codes = [choice] if isinstance(choice, str) else list(choice)
    for code in codes:
        if code not in CODES:
            raise BadInput(f"licences={code}: {nearest(str(code), ['open', 'any', *CODES])}")
    if not codes:
        raise BadInput(f"licences=[]: choose open, any, or from {', '.join(CODES)}.")
    return frozenset(codes)
