"""Loss of power: whatever nobody has flushed is gone, and nothing half lies under a final name."""

import pytest

from experiments.survival.power import WRITERS, Losses


@pytest.mark.slow
@pytest.mark.parametrize("control", [False, True], ids=["flushed", "not flushed"])
def test_a_lost_disk_leaves_nothing_half_and_a_missing_flush_would_be_seen(tmp_path, monkeypatch, control):
    for name in ("LD_PRELOAD", "LOST_WRITES_DISK", "LOST_WRITES_KEPT", "LOST_WRITES_CONTROL"):
        monkeypatch.setenv(name, "")  # as they were, afterwards
    losses = Losses(tmp_path, control=control)
    writers = [WRITERS[name] for name in WRITERS if name != "a training's checkpoints"]
    assert [[*losses.of(writer, 1, seed=18)] for writer in writers] == [[""], [""], [""]]
