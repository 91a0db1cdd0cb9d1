"""Whether a planted cue is under the first two crops that the audit shows of its class.

    python -m experiments.planted_cues.directions --csv directions.csv --cues hand tag hand tag float ruler
    python -m experiments.planted_cues.directions --csv tuning.csv --seed 1 --cues angler background watermark blur

Each cue named is a drawn folder of its own (four species, 96 pixels, 100 training and 80 unseen photos of each, planted
in `--share` of one class), with the seeds from `--seed` on; a minute each. Rules of ranking may be chosen on the cues
and seeds of cases.TUNED. A row a folder and direction of the planted class, in the order of the audit's ranking:

`under_cell`: of the six photos in which the direction is strongest, the share in which the cue covers at least a tenth
of the strongest cell of the last maps; `under`: of the patch whose blurring takes most of the direction away, around
which the page's crop is cut; `by_accident`: of any patch of these photos. `in_crop`: the share of the photos in which
at least half of the cue lies in the crop. `carriers`: the share of them that
carry the cue at all. `auroc`: how well the direction's presence tells the class's photos with the cue from those
without it. `rho`: how much the class's probability rises in photos of other classes when the cue is really drawn.
The mean over all directions is what a ranking that knows nothing would show.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from fishnet.audit.crops import CROPS, OTHERS, crop_box, losses
from fishnet.audit.directions import Directions, directions_of, ranked, spread_over, strongest_photos, traits
from fishnet.audit.evidence import cell_shares
from fishnet.explain.additive import last_maps
from fishnet.models.backbones import single_head

from .bench import append, read, region_of
from .cases import FIRST_SEED, PLANTED_CLASS, Case
from .reefs import DrawnFolder, answers, as_images, draw_folder, reliance
from .training import train

SMALL = {"train": 100, "audit": 80, "species": 4, "epochs": 12}
COVERED = 0.1  # of a cell or patch, from which the cue is under it
IN_CROP = 0.5  # of the cue, from which a person sees it in the crop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="table; folders that it holds are not drawn again")
    parser.add_argument("--cues", nargs="+", required=True)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=FIRST_SEED + 300)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    done = {row["case"] for row in read(chosen.csv)}
    for number, cue in enumerate(chosen.cues):
        case = Case(chosen.seed + number, cue, chosen.share, **SMALL)
        if case.name not in done:
            append(chosen.csv, rows := run_case(case))
            print(pd.DataFrame(rows).to_string(), flush=True)


def run_case(case: Case) -> list[dict]:
    """A row a direction of the planted class."""
    started, folder = time.monotonic(), draw_folder(case)
    model = train(folder, epochs=case.epochs, seed=case.seed)
    unseen = np.flatnonzero(~folder.trained)
    accuracy = (answers(model, folder.pixels[unseen]).argmax(axis=1) == folder.labels[unseen]).mean()
    rho = reliance(model, folder, case.cue)[PLANTED_CLASS]
    own, others = (unseen[(folder.labels[unseen] == PLANTED_CLASS) == wanted] for wanted in (True, False))
    others = others[spread_over(folder.labels[others], OTHERS)]
    maps = {name: last_maps(model, as_images(folder.pixels[rows])) for name, rows in (("own", own), ("others", others))}
    head = single_head(model.network)
    assert head is not None
    weight = head.weight[PLANTED_CLASS].detach().numpy()
    found = directions_of(maps["own"].numpy(), maps["others"].numpy(), weight, 0)
    protected = region_of("learned", model, folder, unseen)[np.isin(unseen, own)]
    inside = cell_shares(protected, maps["own"]).numpy()
    common = {
        "case": case.name, "cue": case.cue, "seed": case.seed, "share": case.share,
        "accuracy": round(float(accuracy), 3), "rho": round(float(rho), 3),
    }  # fmt: skip
    table = ranked(traits(found, inside)).to_dict("records")
    rows = [{**common, **row, **truth_of(model, found, row["direction"], folder, own, case.cue)} for row in table]
    return [{**row, "seconds": round(time.monotonic() - started)} for row in rows]


def truth_of(model, found: Directions, number: int, folder: DrawnFolder, own: np.ndarray, cue: str) -> dict:
    """Where the cue lies in the photos in which a direction is strongest."""
    carrying, side = folder.carries(cue)[own], folder.settings.size
    shown = strongest_photos(found.own[number], folder.groups[own], CROPS)
    lost = losses(model, found.factors, number, as_images(folder.pixels[own[shown]]))
    rows = []
    for position, of_photo in zip(shown, lost, strict=True):
        covered = folder.entries[own[position]].draw(folder.settings).covered.get(cue, np.zeros((side, side), bool))
        mask, cells = torch.from_numpy(covered)[None], found.own[number, position]
        on_cells, on_patches = (cell_shares(mask, torch.from_numpy(grid))[0].numpy() for grid in (cells, of_photo))
        rows.append(
            {
                "under_cell": on_cells.flat[cells.argmax()] >= COVERED,
                "under": on_patches.flat[of_photo.argmax()] >= COVERED,
                "in_crop": covered[crop_box(of_photo, side)].sum() >= IN_CROP * max(covered.sum(), 1),
                "by_accident": (on_patches >= COVERED).mean(), "carriers": carrying[position],
            }
        )  # fmt: skip
    auroc = roc_auc_score(carrying, found.presence[number])
    return pd.DataFrame(rows).astype(float).mean().round(3).to_dict() | {"auroc": round(float(auroc), 3)}


if __name__ == "__main__":
    main()
