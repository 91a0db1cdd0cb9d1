"""trainer.compile=true: it trains, goes on, is explained and exported, and answers as if it had not been compiled."""

import pytest
import torch

from fishnet import ImageClassifier


@pytest.mark.slow
def test_a_compiled_training_goes_on_and_its_model_answers_like_any_other(fishnet, tiny, tmp_path):
    compiled = [*tiny, "model.backbone=cnn", "trainer.compile=true", "trainer.precision=32-true"]
    done = fishnet("train", *compiled, "trainer.max_epochs=1", "out=run")
    assert done.status == 0, done.err
    assert done.out.count("Compiling the network") + done.err.count("Compiling the network") == 1
    again = fishnet("train", "resume=run", "trainer.max_epochs=2")
    assert again.status == 0, again.err
    plain = fishnet("train", *compiled, "trainer.compile=false", "trainer.max_epochs=2", "out=plain")
    assert plain.status == 0, plain.err
    ours, others = (
        ImageClassifier.load_from_checkpoint(tmp_path / run / "checkpoints" / "best.ckpt") for run in ("run", "plain")
    )
    size = ours.preprocessing.size
    photos = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
    assert torch.allclose(ours(photos), others(photos), atol=0.05)
    assert list((tmp_path / "run" / "gradcam").glob("*.*"))
    exported = fishnet("export", "checkpoint=run/checkpoints/best.ckpt", "out=bundle")
    assert exported.status == 0, exported.err
