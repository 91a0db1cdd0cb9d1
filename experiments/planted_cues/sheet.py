"""A contact sheet of the cues in the drawn reef: is each recognised by a person, and does the fish stay as it is?

    python -m experiments.planted_cues.sheet sheet.png [--size 96] [--layout free] [--cues float tag]

A row a cue, named at its left: the photo without it, photos of other species and numbers with it, and a mask at the end
(grey: the fish, white: what the cue covers).
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fishnet.reef import Settings
from fishnet.reef.cues import CUES
from fishnet.reef.drawing import entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--layout", default="centred")
    parser.add_argument("--cues", nargs="*", default=[*CUES], choices=[*CUES])
    chosen = parser.parse_args()
    settings = Settings(size=chosen.size, layout=chosen.layout, photos=9)
    some = entries(settings)[:: max(1, 54 // chosen.photos)][: chosen.photos]
    rows = []
    for cue in chosen.cues:
        photos = [entry.draw(settings, cues=[cue]) for entry in some]
        mask = np.dstack([photos[0].mask * np.uint8(127)] * 3)
        rows.append(
            np.hstack([label(cue, chosen.size), some[0].draw(settings).pixels, *(p.pixels for p in photos), mask])
        )
    Image.fromarray(np.vstack(rows)).save(chosen.out)


def label(text: str, size: int) -> np.ndarray:
    """The name of a cue on a white tile."""
    tile = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(tile).text((6, size // 2 - 6), text, fill="black")
    return np.asarray(tile)


if __name__ == "__main__":
    main()
