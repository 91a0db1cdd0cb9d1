"""Three short runs on one folder, two of which differ in their seed alone: made once for all who compare runs."""

from pathlib import Path

import pytest

from .verbs import in_this_process

TINY = [
    *("data=folder", "model.backbone=cnn", "data.image_size=32", "data.batch_size=8", "data.test=0.4", "data.seed=0"),
    *("trainer.max_epochs=2", "trainer.accelerator=cpu", "trainer.precision=32-true"),
    *("callbacks.report.resamples=20", "callbacks.heatmaps.photos=0", "callbacks.heatmaps.per_class=0"),
]
RUNS = {
    "small": ["model.backbone_args.filters=[4,8]", "seed=0"],
    "large": ["model.backbone_args.filters=[8,16]", "seed=0"],
    "large-again": ["model.backbone_args.filters=[8,16]", "seed=1"],
}


def make_three_runs(photos: Path, home: Path) -> Path:
    """The folder `home` with the runs and their store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name, settings in RUNS.items():
            typed = [f"data.root={photos}", *TINY, *settings, "model.lr=0.05", f"name={name}", f"out={name}"]
            assert in_this_process("train", *typed) == 0
    return home
