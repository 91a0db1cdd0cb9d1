"""The worst photos on one page, each with what is wrong with it: one looks rather than reads."""

from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageDraw

from fishnet.data.findings import Finding
from fishnet.errors import BadInput
from fishnet.fonts import font_for, shown
from fishnet.headers import RefusedImage
from fishnet.images import load_image

PAPER, INK = (250, 250, 248), (40, 44, 48)
SIDE, GAP, COLUMNS, ROWS = 150, 8, 6, 2
LINE = 16
TAIL = 8  # signs of a file's name that are always shown


def sheet(root: Path, findings: list[Finding]) -> Image.Image | None:
    """A block for each finding, a dozen photos each; nothing when no finding names a photo."""
    drawn = [finding for finding in findings if finding.photos]
    if not drawn:
        return None
    tile = SIDE + 3 * LINE + GAP
    rows = [min(ROWS, -(-len(finding.photos) // COLUMNS)) for finding in drawn]
    height = sum(2 * LINE + GAP + count * tile for count in rows) + GAP
    page = Image.new("RGB", (GAP + COLUMNS * (SIDE + GAP), height), PAPER)
    pen, top = ImageDraw.Draw(page), GAP
    for finding, count in zip(drawn, rows, strict=True):
        _write(pen, (GAP, top), f"{finding.check}: {finding.text}", page.width - 2 * GAP, 15)
        top += 2 * LINE
        for number, (path, what) in enumerate(finding.photos[: count * COLUMNS]):
            row, column = divmod(number, COLUMNS)
            left, upper = GAP + column * (SIDE + GAP), top + row * tile
            page.paste(_tile(root / path), (left, upper))
            folder, _, name = path.partition("/")
            for line, (text, tail) in enumerate(((what, 0), (folder, 0), (name, TAIL))):
                _write(pen, (left, upper + SIDE + 2 + line * LINE), text, SIDE, 12, tail)
        top += count * tile + GAP
    return page


def save_sheet(page: Image.Image, file: Path) -> None:
    """Write the page; a place that takes no file is the user's to mend."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        page.save(file, quality=88)
    except OSError as error:
        raise BadInput(f"out={file} cannot be written ({error.strerror or error}).") from error


def _tile(photo: Path) -> Image.Image:
    """The whole photo, so that what is at its edge is seen too."""
    tile = Image.new("RGB", (SIDE, SIDE), "white")
    with suppress(RefusedImage):
        image = load_image(photo, min_side=SIDE)
        image.thumbnail((SIDE, SIDE))
        tile.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return tile


def _write(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, width: int, size: int, tail: int = 0) -> None:
    """As much of the text as fits, with its last `tail` signs: files of one animal differ only there."""
    line = shown(text, length=max(1, len(text) * 10))
    font = font_for(line, size)
    if font.getlength(line) > width:
        begin, end = line[: len(line) - tail], line[len(line) - tail :]
        while begin and font.getlength(f"{begin}…{end}") > width:
            begin = begin[:-1]
        line = f"{begin}…{end}"
    pen.text(at, line, fill=INK, font=font)
