"""The only file that reads or writes the state of Lightning's loops, which is private and may change with its version.

Tested by the runs that are stopped and resumed (tests/commands/test_resume.py).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytorch_lightning as L


def at_step_end(trainer: "L.Trainer") -> bool:
    """Not inside an accumulation window (its gradients are not kept), nor behind the epoch's last batch."""
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    return done % trainer.accumulate_grad_batches == 0 and done < trainer.num_training_batches


def validate_again(checkpoint: dict[str, Any]) -> None:
    """Make a checkpoint that is saved in the middle of a validation start that validation anew."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
    progress["total"] = {"ready": 1, "completed": 0, "started": 1, "processed": 0}
    progress["current"] = {"ready": 0, "completed": 0, "started": 0, "processed": 0}


def epochs_begun(checkpoint: dict[str, Any]) -> int:
    return checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["ready"]


def steps_taken(checkpoint: dict[str, Any]) -> int:
    """The steps as loggers count them."""
    return checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
