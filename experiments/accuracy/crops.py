"""Class folders of what boxes show against what lies beside them, cut from the same photos.

    python -m experiments.accuracy.crops --photos RACCOON/images --boxes RACCOON/boxes.csv --out CROPS
    python -m experiments.accuracy.recipes --name raccoons --root CROPS --group '(.+)_' --weights MOBILENETV2

A photo's name begins the names of its crops, so that `--group` keeps them on one side of a split. The background is the
largest piece beside all boxes of a photo; where a side is below `--least` pixels, the photo has none.
"""

import argparse
from pathlib import Path

import pandas as pd
from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--boxes", type=Path, required=True, help="columns filename, class, xmin, ymin, xmax, ymax")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--least", type=int, default=80, help="pixels")
    chosen = parser.parse_args()
    for name, rows in pd.read_csv(chosen.boxes).groupby("filename"):
        with Image.open(chosen.photos / str(name)) as photo:
            colours = photo.convert("RGB")
        boxes: list[Box] = list(rows[["xmin", "ymin", "xmax", "ymax"]].itertuples(index=False, name=None))
        for number, (box, label) in enumerate(zip(boxes, rows["class"], strict=True)):
            keep(colours, box, chosen.out / label / f"{Path(str(name)).stem}_{number}.jpg")
        ground = beside(colours.size, boxes)
        if min(ground[2] - ground[0], ground[3] - ground[1]) >= chosen.least:
            keep(colours, ground, chosen.out / "background" / f"{Path(str(name)).stem}_beside.jpg")


def keep(photo: Image.Image, box: Box, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    photo.crop(box).save(file, quality=95)


def beside(size: tuple[int, int], boxes: list[Box]) -> Box:
    """Left, right, above or below of all boxes, in the middle of its strip, as wide for its height as the first box, so
    that the shape tells nothing; empty if there is no room."""
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    width, height = size
    wide, high = boxes[0][2] - boxes[0][0], boxes[0][3] - boxes[0][1]
    strips = [(0, 0, left, height), (right, 0, width, height), (0, 0, width, top), (0, bottom, width, height)]
    scale, (x0, y0, x1, y1) = max((min((s[2] - s[0]) / wide, (s[3] - s[1]) / high), s) for s in strips)
    own_width, own_height = int(wide * scale), int(high * scale)
    x, y = (x0 + x1 - own_width) // 2, (y0 + y1 - own_height) // 2
    return x, y, x + own_width, y + own_height


if __name__ == "__main__":
    main()
