"""Which letters this machine can draw: class names come in every script, fonts do not.

A letter that no font holds is written as its escape (鱼 → \\u9c7c): ugly, but nothing crashes and two names stay two.
"""

import importlib.util
from functools import cache
from pathlib import Path

from PIL import ImageFont

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
WIDE = ("cjk", "wqy", "droidsansfallback", "unifont", "arial unicode", "hiragino", "pingfang", "msyh", "ipag", "ipaex")
SUFFIXES = (".ttf", ".ttc", ".otf")


@cache
def font_files() -> list[Path]:
    """DejaVu Sans, which matplotlib brings along, then fonts of this machine that hold Chinese, Japanese or Korean."""
    files = [plain_font()]
    for folder in FOLDERS:
        for path in sorted(Path(folder).expanduser().rglob("*")):
            if path.suffix.lower() in SUFFIXES and any(word in path.name.lower() for word in WIDE):
                files.append(path)
    return files[:8]


def plain_font() -> Path:
    """Found beside matplotlib without importing it, which would take longer than drawing."""
    spec = importlib.util.find_spec("matplotlib")
    return Path(str(spec and spec.origin)).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


@cache
def _holds(path: Path, letter: str) -> bool:
    return letter.isspace() or bytes(font(path, 16).getmask(letter)) != bytes(font(path, 16).getmask("\U0010fffe"))


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The first font that holds every letter, else the plain one."""
    for path in font_files():
        if all(_holds(path, letter) for letter in text):
            return font(path, size)
    return font(plain_font(), size)


def shown(name: str, length: int = 24) -> str:
    """A name as it can be drawn in one line: letters without a font escaped, a long one cut in the middle.

    What tells two of a genus apart (species, sex, stage) stands at the end.
    """
    line = " ".join(name.split())
    letters = [
        letter if any(_holds(path, letter) for path in font_files()) else letter.encode("unicode_escape").decode()
        for letter in line
    ]
    text = "".join(letters)
    if len(text) <= length:
        return text
    end = (length - 1) * 2 // 5
    return text[: length - 1 - end].rstrip() + "…" + text[len(text) - end :].lstrip()
