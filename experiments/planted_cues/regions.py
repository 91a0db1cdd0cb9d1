"""How much of the animal each way of estimating its region covers, and how much of the photo it takes.

    python -m experiments.planted_cues.regions boxes --photos RACCOON/images --boxes RACCOON/boxes.csv \\
        --weights mobilenetv2_100=MOBILENETV2.pth tf_efficientnet_lite0=LITE0.pth --csv regions.csv
    python -m experiments.planted_cues.regions reef --layout free --seed 5000 --csv regions.csv

`boxes`: photos with boxes that somebody drew, regions by ImageNet networks. `reef`: drawn fish whose masks are known,
regions by a model that was trained on them. A row a way and threshold: `point`, how often the strongest place lies on
the animal; `covered`, the mean share of the animal inside; `nearly_all`, the photos of which 95 % are; `protected`, the
mean share of the photo. A region that knows nothing covers what it protects.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from fishnet.audit.boxes import box_regions, read_boxes
from fishnet.audit.kinds import blurred
from fishnet.audit.regions import Likeness, above, animal_evidence, early_cells, ellipse, own_evidence
from fishnet.data.views import PlainPreprocessing, centre, working, working_image
from fishnet.explain.maps import batch_maps
from fishnet.images import load_pixels
from fishnet.models.backbones import load_local_weights

from .cases import Case
from .reefs import as_images, draw_folder
from .training import train

SHARES = (0.6, 0.5, 0.4, 0.3, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=["boxes", "reef"])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--weights", nargs="+", default=[], help="NAME=FILE of networks for ImageNet's classes")
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 384], help="at which these networks look")
    parser.add_argument("--layout", default="free")
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    animals, evidence = of_boxes(chosen) if chosen.source == "boxes" else of_reef(chosen)
    name = chosen.source if chosen.source == "boxes" else f"reef {chosen.layout}"
    side = animals.shape[-1]
    append(chosen.csv, [(name, "ellipse", "", *measured(ellipse(side)[None].expand_as(animals), animals))])
    for way, values in evidence:
        rows = []
        for share in SHARES:
            for boxed in (True, False):
                about = f"{'box' if boxed else 'cells'} above {share:g}"
                rows.append((name, way, about, *measured(above(values, share, side, boxed=boxed), animals, values)))
                print(*rows[-1], flush=True)
        append(chosen.csv, rows)


def append(file: Path, rows: list[tuple]) -> None:
    new = not file.exists()
    with open(file, "a", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        if new:
            table.writerow(["animals", "way", "region", "covered", "nearly_all", "protected", "point"])
        table.writerows(rows)


def measured(region: Tensor, animals: Tensor, evidence: Tensor | None = None) -> list[float]:
    covered = (region * animals).sum(dim=(1, 2)) / animals.sum(dim=(1, 2)).clamp(min=1)
    point = float("nan")
    if evidence is not None:
        large = interpolate(evidence[:, None], animals.shape[1:], mode="bilinear").flatten(1)
        point = float(animals.flatten(1).gather(1, large.argmax(dim=1)[:, None]).mean())
    values = float(covered.mean()), float((covered >= 0.95).float().mean()), float(region.mean()), point
    return [round(value, 3) for value in values]


def of_boxes(chosen: argparse.Namespace) -> tuple[Tensor, Iterator[tuple[str, Tensor]]]:
    """Regions of the boxes, and each network's evidence for animals at each size."""
    look = PlainPreprocessing(224, 1.0)
    files = sorted(chosen.photos.iterdir())
    sizes = [load_pixels(file)[1] for file in files]
    table = pd.DataFrame({"path": [file.name for file in files]}).assign(
        width=[width for width, _ in sizes], height=[height for _, height in sizes]
    )
    animals = box_regions(read_boxes(chosen.boxes), table, look).regions
    photos = [working_image(file, sha256="", how=working(look)) for file in files]
    images = as_images(np.stack([centre(photo, look.size) for photo in photos]))

    def evidence() -> Iterator[tuple[str, Tensor]]:
        for name, _, file in (pair.partition("=") for pair in chosen.weights):
            arguments = {"pad_type": "same"} if name.startswith("mobilenetv2") else {}
            network = timm.create_model(name, num_classes=1000, **arguments).eval()
            load_local_weights(network, Path(file))
            mean, std = (torch.tensor(network.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
            for size in chosen.sizes:
                parts = [interpolate(part, (size, size), mode="bilinear") for part in images.split(16)]
                yield f"{name} at {size}", torch.cat([animal_evidence(network, (part - mean) / std) for part in parts])

    return animals, evidence()


def of_reef(chosen: argparse.Namespace) -> tuple[Tensor, Iterator[tuple[str, Tensor]]]:
    """Masks of the unseen photos, and what the model that was trained on the others takes for a fish."""
    case = Case(chosen.seed, control="clean", layout=chosen.layout)
    folder = draw_folder(case)
    model = train(folder, epochs=case.epochs, seed=case.seed)
    unseen = np.flatnonzero(~folder.trained)
    parts = as_images(folder.pixels[unseen]).split(32)
    labels = torch.from_numpy(folder.labels[unseen])
    likeness, own = Likeness(case.species), []
    for part, of_part in zip(parts, labels.split(32), strict=True):
        own.append(own_evidence(model, part, of_part))
        likeness.learn(early_cells(model, part), own[-1], of_part)
    weights = likeness.weights()
    alike = torch.cat([likeness.score(early_cells(model, part), of_part, weights)
                       for part, of_part in zip(parts, labels.split(32), strict=True)])  # fmt: skip
    every = torch.cat([batch_maps(model, part, all_classes=True)[0].clamp(min=0).amax(dim=1) for part in parts])
    ways = {
        "evidence for its class": torch.cat(own), "evidence for any class": every,
        "learned from the other classes": blurred(alike[:, None], 1.0)[:, 0],
    }  # fmt: skip
    return torch.from_numpy(folder.fish[unseen]).float(), iter(ways.items())


if __name__ == "__main__":
    main()
