"""Licences as sources write them, in the few codes that manifests hold.

No licence stated means all rights reserved: that is the law's default, and iNaturalist's. A page that does not speak
of licences at all leaves them unknown, which is not the same.
"""

import re

from fishnet.collect.photo import UNKNOWN
from fishnet.errors import BadInput
from fishnet.names import nearest

RESERVED = "all-rights-reserved"
# Without -nd: a heat-map over a photo is a derivative of it.
OPEN = ("cc0", "pd", "gfdl", "cc-by", "cc-by-sa", "cc-by-nc", "cc-by-nc-sa")
CODES = (*OPEN, "cc-by-nd", "cc-by-nc-nd", RESERVED, UNKNOWN)

_RESERVED = re.compile(r"all[ _-]*rights[ _-]*reserved|^c$|^copyright$")
_CREATIVE = re.compile(r"\bby((?:[ _-]+(?:nc|nd|sa))*)(?![a-z])")


def licence_code(text: str | None) -> str:
    """`CC BY-NC 4.0`, `CC_BY_NC_4_0`, `http://creativecommons.org/licenses/by-nc/4.0/` and `cc-by-nc` are one."""
    if text is None:
        return RESERVED
    plain = text.strip().lower()
    if plain in CODES:
        return plain
    if _RESERVED.search(plain):
        return RESERVED
    if re.search(r"cc[ _-]*0|publicdomain/zero", plain):
        return "cc0"
    if re.search(r"public[ _-]*domain|^pd\b", plain):
        return "pd"
    if "gfdl" in plain or "gnu free documentation" in plain:
        return "gfdl"
    found = _CREATIVE.search(plain.replace("/", " ").replace("_", "-"))
    if found and ("cc" in plain or "creative" in plain):
        parts = [part for part in ("nc", "nd", "sa") if part in re.split(r"[ _-]+", found[1])]
        code = "-".join(["cc-by", *parts])
        return code if code in CODES else UNKNOWN
    return UNKNOWN


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
