"""What the audit costs: seconds and private memory of whole commands, each a process of its own.

    python -m experiments.planted_cues.cost --home FOLDER --csv cost.csv

A ResNet18 is trained on half of 2,040 drawn photos of six species at 128 pixels, and audited on the other half with
everything by default; then on folders of 504 and 5,004 photos of another seed, where no new layer can be learned and so
nothing is said of power; and `check probes=true` is run on the largest. `seconds` is from
start to end of the command, reading the photos for the first time included, `cpu` the seconds of all cores, `private`
the most anonymous memory of the process, in MB.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path

from fishnet.reef import reef_folder

FISHNET = [sys.executable, "-m", "fishnet"]
EACH = (84, 834)  # photos of each of six species
SIDE, SEED = 128, 1000  # of the drawn photos, which the network has not seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="where folders and runs are written")
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.home.mkdir(exist_ok=True)
    os.chdir(chosen.home)
    network = ["experiment=demo", "model.backbone=resnet18", "~model.backbone_args", "callbacks.heatmaps=null"]
    photos = ["data.plant=null", "data.photos=340", "data.val=0.25", "data.test=0.25", f"data.draw_size={SIDE}"]
    if not Path("run").exists():
        subprocess.run([*FISHNET, "train", *network, *photos, "out=run"], check=True)
    audit = ["audit", "checkpoint=run/checkpoints/best.ckpt"]
    folders = [reef_folder("data", photos=each, size=SIDE, seed=SEED) for each in EACH]
    rows = [cost("audit, power included", [*audit, "out=audit-own"])]
    rows += [
        cost(f"audit {6 * each}", [*audit, "part=all", f"data.root={folder}", f"out=audit-{each}"])
        for each, folder in zip(EACH, folders, strict=True)
    ]
    rows.append(cost(f"probes {6 * EACH[-1]}", ["check", f"data.root={folders[-1]}", "probes=true"]))
    with open(chosen.csv, "w", newline="") as opened:
        table = csv.DictWriter(opened, rows[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def cost(what: str, words: list[str]) -> dict:
    """Run the command to its end; what it has cost."""
    started, most = time.monotonic(), 0
    before = os.times()
    process = subprocess.Popen([*FISHNET, *words])
    while process.poll() is None:
        most = max(most, private(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    row = {"command": what, "seconds": round(time.monotonic() - started), "cpu": round(cpu), "private": most // 2**20}
    print(row, flush=True)
    return row


def private(pid: int) -> int:
    """Bytes of anonymous memory that a process holds; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:")), 0)


if __name__ == "__main__":
    main()
