"""Photos of a Camtrap DP package that are addresses, as a table of addresses and classes that `collect` takes."""

import csv
from collections import Counter
from pathlib import Path

from fishnet.data.camtrap import Package, is_address, kinds_of, known_of, observed, read_package
from fishnet.data.camtrap_classes import class_of
from fishnet.errors import BadInput
from fishnet.files import replacing

COLUMNS = ("url", "class", "licence", "observation_id", "observer", "taken_on", "lat", "lon")


def write_addresses(file: Path, table: Path) -> Counter[str]:
    """Write the table; returns what is left out of it, by kind.

    Args:
        file: the package's datapackage.json.
        table: of the photos whose filePath is an address and whose class people have given.
    """
    package = read_package(file)
    media = [row for row in package.media if is_address(row["filePath"])]
    left_out = Counter({"photos that lie in the package": len(package.media) - len(media)})
    seen, licence, rows = observed(package, media), licence_of(package), []
    for row in media:
        name, reason = class_of(seen[row["mediaID"]], blanks=False)
        if row.get("fileMediatype", "image/").startswith("image/") and not reason:
            known = known_of(package, row, seen[row["mediaID"]])
            rows.append(known | {"url": row["filePath"], "class": name, "licence": licence})
        else:
            left_out[reason or "media that are no photos"] += 1
    if not rows:
        raise BadInput(f"list={file} holds no address of a photo with a class ({kinds_of(+left_out)}).")
    table.parent.mkdir(parents=True, exist_ok=True)
    with replacing(table, alone=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as opened:
        written = csv.DictWriter(opened, COLUMNS, extrasaction="ignore")
        written.writeheader()
        written.writerows(rows)
    return +left_out


def licence_of(package: Package) -> str:
    """That of the media, in the package's words; empty where it names none."""
    listed = package.about.get("licenses")
    licences = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    of_media = [each for each in licences if each.get("scope", "media") == "media"]
    words = [str(each.get("name") or each.get("path") or each.get("title") or "") for each in of_media]
    return words[0] if len(words) == 1 else ""
