"""A data set at a glance: one row a class, its name above, a few of its photos from all over the folder.

Works on any class folder; the photos are cut square from the middle.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from fishnet.errors import BadInput

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif"}
GOLDEN = 0.618
PAPER, INK = (250, 250, 248), (40, 44, 48)


def contact_sheet(root: str | Path, *, columns: int = 6, rows: int = 1, side: int = 160) -> Image.Image:
    """`rows` rows of `columns` photos for each class folder under `root`."""
    classes = _classes(Path(root))
    gap, title = max(4, side // 20), max(14, side // 7)
    font = ImageFont.load_default(max(10, int(title * 0.75)))
    block = title + rows * (side + gap) + gap
    sheet = Image.new("RGB", (gap + columns * (side + gap), gap + block * len(classes)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for k, (name, photos) in enumerate(classes.items()):
        top = gap + k * block
        pen.text((gap, top), f"{name}  ({len(photos)})", fill=INK, font=font)
        for number, photo in enumerate(_spread(photos, rows * columns)):
            row, column = divmod(number, columns)
            place = (gap + column * (side + gap), top + title + gap // 2 + row * (side + gap))
            sheet.paste(_tile(photo, side), place)
    return sheet


def _classes(root: Path) -> dict[str, list[Path]]:
    if not root.is_dir():
        raise BadInput(f"There is no folder {root}; a contact sheet needs one with a folder for each class.")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = {
        folder.name: sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) for folder in folders
    }
    filled = {name: photos for name, photos in found.items() if photos}
    if not filled:
        raise BadInput(f"{root} holds no class folder with photos in it.")
    return filled


def _spread(photos: list[Path], count: int) -> list[Path]:
    """From all over the folder, but at no fixed step: a step would miss whatever recurs with it."""
    if len(photos) <= count:
        return photos
    return [photos[int((k + k * GOLDEN % 1) * len(photos) / count)] for k in range(count)]


def _tile(photo: Path, side: int) -> Image.Image:
    with Image.open(photo) as image:
        image.draft("RGB", (side, side))
        return ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (side, side))
