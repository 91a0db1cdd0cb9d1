"""The tables of the README, and a picture of all methods on a few photos.

python -m experiments.maps.summary reef.csv tetrominoes.csv
python -m experiments.maps.summary --picture methods.jpg
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from experiments.planted_cues.reefs import as_images
from fishnet.explain.overlay import labelled, overlay, sheet

from .bench import MEASURES
from .methods import all_maps, methods
from .reef import CUE, plan, split, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    for file in chosen.tables:
        table = pd.read_csv(file)
        print(tetrominoes(table) if "scenario" in table else reef(table))
    if chosen.picture:
        draw(chosen.picture)


def reef(table: pd.DataFrame) -> str:
    """A part for each network and seed, the best composite first."""
    parts = []
    for (network, seed), own in table.groupby(["network", "seed"], sort=False):
        first = own.iloc[0]
        parts.append(
            f"**{network}, seed {seed}** (right on {first['accuracy']:.2f}; {first['background independence']:.2f} of "
            "the innocent things mean nothing to it)\n"
        )
        parts.append("| method | **composite** | " + " | ".join(MEASURES) + " | ms a photo |")
        parts.append("|" + "---|" * (len(MEASURES) + 3))
        for _, row in own.sort_values("composite", ascending=False).iterrows():
            cells = [f"{row[name]:.2f}" for name in MEASURES]
            mean = f"**{row['composite']:.3f}** [{row['composite_low']:.3f}, {row['composite_high']:.3f}]"
            parts.append(f"| {row['method']} | {mean} | " + " | ".join(cells) + f" | {1000 * row['seconds']:.0f} |")
        parts.append("")
    return "\n".join(parts)


def tetrominoes(table: pd.DataFrame) -> str:
    """Precision and, in brackets, 1 - EMD; a column a scenario, the best mean first."""
    table = table.assign(
        where=table["scenario"] + ", " + table["ground"],
        text=[f"{p:.2f} ({e:.2f})" for p, e in zip(table["precision"], table["1 - EMD"], strict=True)],
    )
    order = table.groupby("method")["precision"].mean().sort_values(ascending=False).index
    wide = table.pivot(index="method", columns="where", values="text")[list(dict.fromkeys(table["where"]))].loc[order]
    lines = ["| method | " + " | ".join(wide.columns) + " |", "|" + "---|" * (len(wide.columns) + 1)]
    lines += [f"| {name} | " + " | ".join(wide.loc[name].fillna("–")) + " |" for name in wide.index]
    return "\n".join(lines)


def draw(file: Path) -> None:
    """Two photos, the first with the planted cue, under each method's map; two rows of tiles and a bit for each."""
    reef = plan()
    train, _, measured = split(reef)
    model = trained(reef, train, "cnn", epochs=14)
    rows = [next(row for row in measured if CUE in reef.things(row))]
    rows += [next(row for row in measured if reef.labels[row] == 3)]
    photos = np.stack([reef.draw(row) for row in rows])
    images = as_images(photos)
    answers = model(images).argmax(dim=1).detach()
    maps = {"photo": np.zeros((len(rows), 1, 1))}
    maps |= {name: all_maps(each, images, answers)[0].numpy() for name, each in methods(model, slow=False).items()}
    tiles = []
    for number, photo in enumerate(photos):
        for name, own in maps.items():
            picture = overlay(photo, visible(own[number])).resize((TILE, TILE))
            tiles.append(labelled(picture, name.removeprefix("Captum ")))
        blank = labelled(Image.new("RGB", (TILE, TILE), "white"), "")
        tiles += [blank] * (-len(tiles) % COLUMNS)
    sheet(tiles, columns=COLUMNS).save(file, quality=85)


TILE, COLUMNS = 150, 9


def visible(values: np.ndarray) -> np.ndarray:
    """Cut at the highest hundredth: a map of single pixels would be seen as nothing."""
    positive = np.maximum(values, 0).astype(np.float32)
    return np.minimum(positive, np.quantile(positive, 0.99) + 1e-9) if positive.size > 1 else positive


if __name__ == "__main__":
    main()
