"""A trainer that says nothing and leaves nothing: what a test asks of it stands out."""

from pathlib import Path

import pytorch_lightning as L


def quiet_trainer(folder: Path, **more) -> L.Trainer:
    silent = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(**{"accelerator": "cpu", "logger": False, "default_root_dir": folder, **silent, **more})
