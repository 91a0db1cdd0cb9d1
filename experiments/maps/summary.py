"""The tables of the README, and a picture of all methods on a few photos.

python -m experiments.maps.summary reef.csv tetrominoes.csv
python -m experiments.maps.summary --picture methods.jpg
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.planted_cues.reefs import as_images
from fishnet.explain.overlay import labelled, overlay, save, sheet

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
    """A part for each network, the best composite first."""
    parts = []
    for network, own in table.groupby("network", sort=False):
        first = own.iloc[0]
        parts.append(
            f"**{network}** (right on {first['accuracy']:.2f}; {first['background independence']:.2f} of the innocent "
            "things mean nothing to it)\n"
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
    """Four photos of four species, the first with the planted cue, under each method's map."""
    reef = plan()
    train, _, measured = split(reef)
    model = trained(reef, train, "cnn", epochs=14)
    rows = [next(row for row in measured if CUE in reef.things(row))]
    rows += [next(row for row in measured if reef.labels[row] == label) for label in (2, 3, 5)]
    photos = np.stack([reef.draw(row) for row in rows])
    images = as_images(photos)
    answers = model(images).argmax(dim=1).detach()
    tiles = [labelled(overlay(photo, np.zeros((1, 1), np.float32)).resize((150, 150)), "photo") for photo in photos]
    for name, method in methods(model, slow=False).items():
        maps = all_maps(method, images, answers)[0].numpy()
        values = np.abs(maps) if name.startswith("Captum") else maps
        tiles += [
            labelled(overlay(photo, own.astype(np.float32)).resize((150, 150)), name)
            for photo, own in zip(photos, values, strict=True)
        ]
    columns = len(tiles) // len(rows)
    turned = [tiles[column * len(rows) + row] for row in range(len(rows)) for column in range(columns)]
    save(sheet(turned, columns=columns), file)


if __name__ == "__main__":
    main()
