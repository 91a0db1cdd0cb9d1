"""A training by a list of what to leave out: the run keeps the list, and a study knows an edited one."""

import pandas as pd
from mlflow import MlflowClient
from omegaconf import OmegaConf

from fishnet.config.compose import compose
from fishnet.data.curation import curation_digest
from fishnet.studies.trials import digest_of

LIST = "path,action,value\ndisc/photo_000.jpg,drop,\nbox/photo_001.jpg,relabel,disc\nbar/photo_002.jpg,weigh,0.5\n"


def test_the_list_and_its_digest_are_kept_with_the_run(fishnet, tiny, tmp_path):
    file = tmp_path / "my list, edited.csv"
    file.write_text(LIST)
    settings = ["callbacks.heatmaps=null", "trainer.max_epochs=1", "out=run"]
    ended = fishnet("train", *tiny, *settings, f"data.curation={file}")
    assert ended.status == 0, ended.err
    assert "1 dropped, 1 relabelled, 1 weighed" in ended.err
    assert (tmp_path / "run" / "config" / "curation.csv").read_text() == LIST
    split = pd.read_csv(tmp_path / "run" / "split" / "split.csv").set_index("path")
    assert "disc/photo_000.jpg" not in split.index and split.loc["box/photo_001.jpg", "class"] == "disc"
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.data.tags["fishnet.curation_digest"] == curation_digest(str(file))
    ended = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt", tiny[0], f"data.curation={file}", "out=again",
                    "callbacks.heatmaps=null")  # fmt: skip
    assert ended.status == 0, ended.err


def test_a_study_knows_the_list_by_its_content(tmp_path):
    def digest(*overrides: str) -> str:
        config = compose("train", ["data=folder", "data.root=lake", *overrides])
        return digest_of(OmegaConf.to_container(config, resolve=True))

    for name, text in (("a.csv", LIST), ("b.csv", LIST), ("c.csv", f"{LIST}box/photo_003.jpg,drop,\n")):
        (tmp_path / name).write_text(text)
    a, b, c = (digest(f"data.curation={tmp_path / name}") for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c
    assert digest() not in (a, c)
