"""Are crops recognised, and nothing else? `python -m experiments.honest.pairs --weights FILE --roots A B … [--out …]`

Of each folder of class folders, crops to 80, 60 and 45 % of the area are cut from 100 photos, a quarter of them
mirrored, scaled by 1, 0.7 or 0.5 and compressed again (quality 50 to 90), and compared with their photo. Beside them,
photos with the most similar features of different subjects (`--subject`; without it, every photo is its own) are
compared: up to 1,200 pairs of a folder. The pairs that pass are written to the table too, for a look: the program
calls them one photo.

The table has the columns folder, kind, pairs, neighbours (the photo is among the five nearest by cosine), points (12
or more in common), one_photo, passed (the names of other pairs that pass). About five minutes on two cores.
"""

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps

from experiments.honest.groups import add_network, network
from fishnet.data.naming import keys_of
from fishnet.data.photos import photo_batches
from fishnet.data.same_photo import Pair, common, compared, nearest_pairs, points_in
from fishnet.images import load_image
from fishnet.models.backbones import single_head
from fishnet.models.features import features_and_logits

SHARES = (0.8, 0.6, 0.45)
PHOTOS, OTHERS = 100, 1200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--roots", type=Path, nargs="+", required=True)
    parser.add_argument("--subject", default="(.+)_frame")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("pairs.csv"))
    chosen = parser.parse_args()
    model = network(chosen)
    table = pd.DataFrame([row for root in chosen.roots for row in rows_of(root, model, chosen.subject)])
    table.to_csv(chosen.out, index=False, lineterminator="\n")
    print(table.to_string(index=False))


def rows_of(root: Path, model: torch.nn.Module, subject: str) -> list[dict[str, object]]:
    photos = sorted(path for path in root.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    features, lots = features_in(model, photos), np.random.default_rng(0)
    names = pd.Series([f"{photo.parent.name}/{photo.name}" for photo in photos])
    keys = keys_of(names, subject)
    groups = pd.factorize(keys.where(keys != "", names))[0]
    rows = []
    drawn = lots.permutation(len(photos))[:PHOTOS]
    for share in SHARES:
        crops = [crop(photos[row], share, lots) for row in drawn]
        near = similarity(features_in(model, crops), features).argsort(axis=1)[:, -5:]
        whole = [pair_of(photos[row], data) for row, data in zip(drawn, crops, strict=True)]
        rows.append(row_of(root, f"crop to {share:.0%}", whole, np.mean([r in near[k] for k, r in enumerate(drawn)])))
    others = list(compared(nearest_pairs(features, groups)[:OTHERS], photos))
    passed = " | ".join(f"{names[pair.left]} = {names[pair.right]}" for pair in others if pair.one_photo)
    return [*rows, row_of(root, "other subjects", others, 1.0) | {"passed": passed}]


def row_of(root: Path, kind: str, pairs: list[Pair], neighbours: float) -> dict[str, object]:
    counts = {"points": sum(p.one_photo or p.one_scene for p in pairs), "one_photo": sum(p.one_photo for p in pairs)}
    return {"folder": root.name, "kind": kind, "pairs": len(pairs), "neighbours": round(float(neighbours), 3), **counts}


def crop(photo: Path, share: float, lots: np.random.Generator) -> bytes:
    """A part of the photo with this share of its area, as people save it."""
    image = load_image(photo)
    width, height = (max(16, int(side * share**0.5)) for side in image.size)
    x, y = (
        int(lots.integers(0, max(1, whole - part + 1))) for whole, part in zip(image.size, (width, height), strict=True)
    )
    part = image.crop((x, y, x + width, y + height))
    part = ImageOps.mirror(part) if lots.random() < 0.25 else part
    scale = lots.choice([1, 0.7, 0.5])
    part = part.resize((max(16, int(width * scale)), max(16, int(height * scale))), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    part.save(buffer, "JPEG", quality=int(lots.integers(50, 91)))
    return buffer.getvalue()


def pair_of(photo: Path, data: bytes) -> Pair:
    """The photo and its crop, as the program compares pairs of similar features."""
    either = [common(points_in(photo), points_in(data, mirrored=mirrored)) for mirrored in (False, True)]
    return Pair(0, 1, 1.0, *max(either))


def features_in(model: torch.nn.Module, photos: list[Path] | list[bytes]) -> np.ndarray:
    head, found = single_head(model.network), []
    for batch in photo_batches(photos, model.preprocessing, batch_size=64):
        found.append(features_and_logits(model.network, head, model.pixels(batch.images))[0].numpy())
    return np.concatenate(found)


def similarity(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left / np.linalg.norm(left, axis=1, keepdims=True)) @ (
        right / np.linalg.norm(right, axis=1, keepdims=True)
    ).T


if __name__ == "__main__":
    main()
