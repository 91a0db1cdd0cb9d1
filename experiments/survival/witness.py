"""What each step was fed, and at which rate, written where a kill cannot reach it: the proof that a resume is exact."""

import json
from pathlib import Path

import pytorch_lightning as L


class Witness(L.Callback):
    """One line a step, appended by a single write; a later line for the same step replaces the earlier."""

    def __init__(self, *, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        line = [trainer.current_epoch, batch_idx, batch["index"].tolist(), rate]
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def history(path: Path) -> dict[tuple[int, int], tuple]:
    """(epoch, step) → (photos, rate); a step that a kill undid and a resume repeated must have been the same."""
    told: dict[tuple[int, int], tuple] = {}
    for line in path.read_text().splitlines():
        epoch, step, rows, rate = json.loads(line)
        seen = (tuple(rows), rate)
        if told.setdefault((epoch, step), seen) != seen:
            raise AssertionError(f"epoch {epoch} step {step} was {told[epoch, step]} before the kill and is {seen} now")
    return told
