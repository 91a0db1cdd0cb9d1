"""What a training left, read from its own lines."""

import json

from fishnet.studies.outcome import read_outcome


def left(folder, *lines) -> None:
    (folder / "offline").mkdir()
    (folder / "offline" / "journal.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "me'
    )


def metrics(step, **values):
    return {
        "kind": "metrics",
        "time": 0,
        "step": step,
        "values": {k.replace("_", "/", 1): v for k, v in values.items()},
    }


def test_figures_are_those_of_the_best_epoch_and_later_words_win(tmp_path):
    left(
        tmp_path,
        metrics(0, val_loss=1.0, train_loss=2.0),
        metrics(1, val_loss=9.0, train_loss=1.0),
        metrics(1, val_loss=0.5, train_loss=1.0),  # resumed: the epoch again
        metrics(2, val_loss=0.7, train_loss=None),
        metrics(3, test_loss=0.6),
        {"kind": "tags", "values": {"fishnet.best_epoch": "1", "fishnet.parameters": "7"}},
        {"kind": "status", "status": "FINISHED", "time": 2000},
    )
    found = read_outcome(tmp_path)
    assert found.figures == {"val/loss": 0.5, "test/loss": 0.6}
    assert (found.best_epoch, found.epochs, found.parameters, found.status) == (1, 2, 7, "FINISHED")
    assert found.curves["val/loss"] == {0: 1.0, 1: 0.5, 2: 0.7}


def test_of_what_was_pruned_the_best_so_far_counts(tmp_path):
    """A search learns from it; without a score there is no best."""
    left(tmp_path, metrics(0, val_loss=1.0), metrics(1, val_loss=0.4, val_accuracy=0.6), metrics(2, val_loss=0.9))
    assert read_outcome(tmp_path).figures == {}
    found = read_outcome(tmp_path, "val/loss")
    assert (found.best_epoch, found.figures) == (1, {"val/loss": 0.4, "val/accuracy": 0.6})


def test_a_range_test_that_found_no_rate_has_none(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "lr.json").write_text('{"lr": null}')
    assert read_outcome(tmp_path).lr is None
    (tmp_path / "report" / "lr.json").write_text('{"lr": 0.01}')
    assert read_outcome(tmp_path).lr == 0.01


def test_nothing_left_is_nothing(tmp_path):
    assert read_outcome(tmp_path / "nowhere").figures == {}
