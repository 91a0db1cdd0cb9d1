"""`fishnet study`: what is refused before anything runs, and whole studies as a user runs them."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fishnet.errors import BadInput
from fishnet.tracking.store import open_store
from tests.support.processes import ONE_THREAD, environment

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
QUICK = [
    "trainer=smoke",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "callbacks.report.resamples=50",
    "callbacks.views.photos=0",
    "data.photos=12",
]
FEW_MAPS = ["callbacks.heatmaps.photos=1", "callbacks.heatmaps.per_class=1"]

PROTOCOL = """
title: Tried
score: val/accuracy
stages:
  rate:
    set:
      model: {backbone: cnn, backbone_args: {filters: [8, 16]}}
      data: {image_size: 32}
    search:
      space: {model: {lr: [0.01, 0.1]}}
  seeds:
    seeds: 2
    test: true
"""


MINE = """
# @package _global_
model: {backbone: resnet10t}
data: {image_size: 32}
"""


@pytest.fixture
def tried(tmp_path):
    """A protocol of the user's own, in a folder of configurations."""
    folder = tmp_path / "mine" / "study"
    folder.mkdir(parents=True)
    (folder / "tried.yaml").write_text(PROTOCOL)
    return ["study=tried", "--config-dir", str(tmp_path / "mine")]


def refused(ended, *words: str) -> None:
    assert ended.status == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "Traceback" not in ended.err
    for word in words:
        assert word in line, line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["study", "one_animal"]),
        (["-m", "study=one_animal,dog_breeds"], ["-m", "one protocol"]),
        (["study=one_animl"], ["one_animl", "one_animal"]),
        (["study=dog_breeds", "study.stages.arms.from=cn"], ["stage arms", "from=cn", "cnn"]),
        (["study=fish_species", "study.folds=1"], ["folds=1", "two or more"]),
        (["study=fish_species", "study.fold=3"], ["no key fold", "folds"]),
        (["study=dog_breeds", "study.score=val/f1"], ["val/f1", "val/f1_macro"]),
        (["study=dog_breeds", "study.score=test/accuracy"], ["test split chooses nothing"]),
        (["study=dog_breeds", "study.stages.cnn.search.space.model.lrr=[1]"], ["model.lrr", "model.lr"]),
        (["study=dog_breeds", "study.stages.cnn.sarch=1"], ["sarch", "search"]),
        (["study=dog_breeds", "study.stages.cn.top=3"], ["no stage cn", "cnn"]),
        (["study=dog_breeds", "study.stages.cnn.top=30"], ["top=30", "20 trials"]),
        (["study=dog_breeds", "study.stages.cnn.limit={best/relianc: 0.1}"], ["best/relianc", "best/reliance"]),
        (["study=dog_breeds", "study.stages.cnn.limit={best/reliance: 0.1}"], ["no callback", "callbacks: reliance"]),
        (["study=reliance", "study.stages.arms.set.callbacks=default"], ["arms", "deep_none", "no callback"]),
        (["study=dog_breeds", "study.stages.cnn.test=true"], ["last stage alone"]),
        (["study=dog_breeds", "study.stages.cnn.search.space.seed=[0,1]"], ["seed", "repeat"]),
        (["study=dog_breeds", "study.stages.cnn.search.kind=gird"], ["gird", "grid"]),
        (["study=dog_breeds", "model.lr=0.1"], ["model.lr", "stage cnn"]),
        (["study=fish_species", "study.folds=40", "data.photos=30"], ["30 photos", "40 folds"]),
        (["study=one_animal", "folds=1"], ["folds=1"]),
        (["study=one_animal", "jobs=0"], ["jobs=0"]),
        (["study=one_animal", "limit=-1"], ["limit=-1"]),
        (["study=fish_species", "executor=slurm"], ["executor=slurm", "submitit"]),
        (["study=fish_species", "executor_args={gpu: [0, 1]}"], ["gpus: [0, 1]"]),
        (["study=fish_species", "executor=submitit", "executor_args={cluster: lokal}"], ["executor_args", "lokal"]),
        (["study=fish_species", "executor_args=null"], ["executor_args=", "braces"]),
        (["study=one_animal", "resume=abc"], ["resume", "the same command"]),
        (["study=one_animal", "trainer.max_epochs=many"], ["trainer.max_epochs=many"]),
        (["study=one_animal", "data=folder", "data.root=nowhere"], ["nowhere"]),
        (["study=fish_species", "deliver=true"], ["no trials"]),
        (["study=fish_species", "deliver=true", "executor=submitit", "executor_args={cluster: lokal}"], ["no trials"]),
        (["study=one_animal", "memory=inf"], ["memory=inf"]),
        (["study=inf"], ["there is no study=inf"]),
        (["study=one_animal", "test=true"], ["test=true", "study.stages.NAME.test=true"]),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_is_written(fishnet, tmp_path, arguments, words):
    refused(fishnet("study", *arguments), *words)
    assert not (tmp_path / "outputs").exists()


def test_a_study_of_other_photos_asks_for_a_folder_of_its_own(fishnet, tmp_path, shapes):
    folder = tmp_path / "outputs" / "study_one_animal"
    folder.mkdir(parents=True)
    written = json.dumps({"study": "one_animal", "given": ["data.root=/lakes", "data=folder"], "stages": {}})
    (folder / "study.json").write_text(written)
    settings = ["data=folder", f"data.root={shapes}", "data.positive=disc"]
    refused(fishnet("study", "study=one_animal", *settings), "data.root=/lakes", "out=outputs/study_NAME")
    assert (folder / "study.json").read_text() == written


def test_what_was_typed_before_is_what_is_retried(tmp_path):
    from fishnet.commands.study import final_overrides, typed_before

    written = {"study": "x", "given": ["data.root=/lake", "seed=1"], "own": ["trials=2"], "stages": {}}
    (tmp_path / "study.json").write_text(json.dumps(written))
    now = final_overrides([*typed_before(tmp_path), "study=x", "retry=true", "seed=2"])
    assert now == ["data.root=/lake", "retry=true", "seed=2", "study=x", "trials=2"]


ON_PHOTOS = ("one_animal", "dog_breeds", "product_images")  # their scripts take a folder and weights of two networks
PROTOCOLS = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_composes_and_says_its_command(name):
    from omegaconf import OmegaConf

    from fishnet.config.compose import compose
    from fishnet.config.composing import Composer
    from fishnet.config.validate import MONITORS
    from fishnet.studies.planning import decided, plan
    from fishnet.studies.protocol import parse

    assert (CONF / "study" / f"{name}.yaml").read_text().startswith(f"# fishnet study study={name}")
    tree = OmegaConf.to_container(compose("study", [f"study={name}"]).study, resolve=True)
    protocol = parse(name, tree, scores=MONITORS)
    composer = Composer(["trainer=smoke", "model.pretrained=true"], decided=decided(protocol))
    plan(protocol, composer)
    assert [stage.test for stage in protocol.stages] == [False] * (len(protocol.stages) - 1) + [True]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_script_of_each_experiment_is_understood(name, tmp_path):
    from omegaconf import OmegaConf

    from fishnet.config.compose import compose
    from fishnet.config.composing import Composer, is_own
    from fishnet.config.quoting import quoted
    from fishnet.config.validate import MONITORS
    from fishnet.studies.planning import decided, plan
    from fishnet.studies.protocol import parse

    shim = tmp_path / "bin" / "fishnet"
    shim.parent.mkdir()
    shim.write_text("#!/bin/bash\nprintf '%s\\0' \"$@\"\n")
    shim.chmod(0o755)
    weights = tmp_path / "some weights.pth"
    weights.touch()
    given = [str(tmp_path), str(weights), str(weights)] if name in ON_PHOTOS else []
    said = subprocess.run(
        ["bash", str(ROOT / "experiments" / name / "run.sh"), *given],
        env={**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    verb, *arguments = said.stdout.split("\0")[:-1]
    overrides = [quoted(one, verb) for one in arguments]
    config = compose(verb, overrides)
    protocol = parse(name, OmegaConf.to_container(config.study, resolve=True), scores=MONITORS, folds=config.folds)
    plan(protocol, Composer([one for one in overrides if not is_own(one)], decided=decided(protocol)))


@pytest.mark.parametrize("study", ["fine_tune_with", "fine_tune_rates"])
def test_the_studies_of_fine_tune_are_understood(fishnet, shapes, study):
    folder = ["--config-dir", str(ROOT / "experiments" / "accuracy" / "conf")]
    keys = ["data=folder", f"data.root={shapes}", "model.pretrained=true", "deliver=true"]
    refused(fishnet("study", f"study={study}", *folder, *keys), "no trials")  # planned, and nothing else is wrong


@pytest.mark.parametrize(
    ("base", "settings", "words"),
    [
        ("one_animal/basline", {}, "did you mean one_animal/baseline"),
        ("one_animal/baseline", {"model.optimizer": "adamm"}, "adamm is unknown: did you mean adam"),
        ("one_animal/baseline", {"model.backbone_args.fliters": [8]}, "fliters.*did you mean filters"),
        ("one_animal/baseline", {"model.backbone_args.activation": "rleu"}, "this takes relu or"),
        ("one_animal/baseline", {"model.backbone_args.filters": ["8"]}, "a list of whole numbers"),
    ],
)
def test_a_training_is_refused_before_there_is_one(base, settings, words):
    from fishnet.config.composing import Composer

    with pytest.raises(BadInput, match=words):
        Composer([], decided={})(base, {}, settings)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({}, {"set": {"data": {"positive": "bandfin_perhc"}}}, "stage second.*did you mean 'bandfin_perch'"),
        ({}, {"set": {"data": {"classes": ["bandfin_perch"]}}}, "stage second.*at least two"),
        ({"set": {"data": {"photos": 4, "positive": None}}}, {"folds": 5}, "stage second.*4 photos.*5 folds"),
    ],
)
def test_photos_are_counted_for_the_settings_that_a_stage_receives(first, second, words):
    from fishnet.commands.study import check_photos
    from fishnet.config.composing import Composer
    from fishnet.config.validate import MONITORS
    from fishnet.studies.planning import plan
    from fishnet.studies.protocol import parse

    stages = {"first": {"base": "one_animal/baseline", **first}, "second": second}
    protocol = parse("tried", {"stages": stages}, scores=MONITORS)
    with pytest.raises(BadInput, match=words):
        check_photos(plan(protocol, Composer([], decided={})))


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("seed=3", "study.seeds=3"),
        ("++test=true", "in the last stage alone"),
        ("monitor=val/loss", "study.score"),
        ("tune=lr", "keep=lr"),
        ("experiment=demo", "base"),
        ("data.fold=1", "folds=5"),
        ("prefetch=true", "prefetch"),
        ("model.lr=0.1", "the stage rates decides model.lr itself"),
        ("++model.backbone_args={filters: [4]}", "the stage cnn decides model.backbone_args.filters itself"),
        ("model.backbone_args=null", "the stage cnn"),
        ("data.augment=photo", "the stage augmented decides data.augment itself"),
    ],
)
def test_nobody_speaks_for_a_stage(word, words):
    from fishnet.config.composing import Composer

    stages = {"model.lr": "rates", "model.backbone_args.filters": "cnn", "data.augment": "augmented"}
    with pytest.raises(BadInput, match=re.escape(words)):
        Composer(["data=reef", word], decided=stages)


def test_a_stage_that_chooses_a_group_leaves_its_settings_to_the_command_line():
    from fishnet.config.composing import Composer

    composer = Composer(["callbacks.reliance.hosts=2", "callbacks.views=null"], decided={"callbacks": "arms"})
    composed = composer(None, {}, {"callbacks": ["exchange", "reliance"]})
    callbacks = composed.config["callbacks"]
    assert callbacks["reliance"]["hosts"] == 2 and callbacks["views"] is None and callbacks["exchange"] is not None


def test_what_the_study_fixes_is_said_last():
    from fishnet.config.composing import Composer

    composer = Composer(["model.freeze=2", "model.pretrained=true"], decided={})
    before, fixed = {"model.freeze": 1, "model.backbone": "cnn"}, {"test": False, "seed": 3}
    composed = composer("one_animal/baseline", before, fixed)
    assert composed.overrides[-3:-1] == ["test=false", "seed=3"]
    assert (composed.config["test"], composed.config["seed"], composed.config["model"]["freeze"]) == (False, 3, 2)
    assert composed.config["model"]["pretrained"] is False  # the small network has no published weights


def test_the_order_of_words_is_no_other_study():
    from fishnet.commands.study import final_overrides

    whole = final_overrides(["a=1", "b=2", "a=3"])
    assert whole == final_overrides(["b=2", "a=3"]) != final_overrides(["a=1", "b=2"])


@pytest.mark.slow
def test_a_training_finds_the_experiments_of_ones_own(tmp_path):
    """Also in a folder with a person's name. It ends where its weights are missing: its configuration was read."""
    home = tmp_path / "Müller (2)"
    for group, text in (("study", "stages: {only: {base: mein Fisch}}"), ("experiment", MINE)):
        (home / "conf" / group).mkdir(parents=True)
        (home / "conf" / group / "mein Fisch.yaml").write_text(text)
    status, said = ended(command(home, "study=mein Fisch", "--config-dir", "conf", "model.pretrained=true"))
    (result,) = [json.loads(path.read_text()) for path in home.glob("outputs/*/trials/*/result.json")]
    assert (status, result["status"]) == (1, "refused"), said[-3000:]
    assert "resnet10t" in result["cause"] and "prefetch=true" in result["cause"]


def command(home: Path, *arguments: str) -> subprocess.Popen:
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "fishnet", "study", *arguments],
        cwd=home,
        env={**environment(), **ONE_THREAD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen, patience: float = 400.0) -> tuple[int, str]:
    said, _ = process.communicate(timeout=patience)
    return process.returncode, said


SMOKE = {
    "fish_species": ["data.image_size=64", "study.seeds=[0,1]", *FEW_MAPS],
    "one_animal": ["folds=2", "data.image_size=32", *FEW_MAPS],
    "dog_breeds": ["data.image_size=32", *FEW_MAPS],
    "reliance": ["data.image_size=32", *FEW_MAPS],
    "product_images": [
        "~study.stages.sizes.search.points.xception",
        "~study.stages.sizes.search.points.inception_v3",
        "~study.stages.sizes.search.points.inception_resnet_v2",
        "study.stages.sizes.search.space.data.image_size=[48]",
        "study.stages.sizes.search.space.data.batch_size=[16]",
        "study.stages.sizes.search.space.trainer.max_epochs=[1]",
        "study.stages.fine_tuned.search.space.trainer.max_epochs=[1]",
        "data.photos=24",  # of fewer, drawn weights learn nothing that the range test can tell from noise
    ],
}


@pytest.mark.slow
def test_a_network_that_rests_on_a_frame_is_beyond_the_limit(tmp_path):
    """The smallest real study: one training, on photos of which a class has frames, and nothing better to choose."""
    others = ("deep_photo", "deep_exchange", "wide_none", "wide_photo", "wide_exchange")
    keys = [
        "data.species=3", "data.photos=150", "data.draw_size=48", "data.image_size=48", "data.val=0.3",
        "data.plant={cue: border, class: bandfin_perch, share: 0.8}", "trainer.max_epochs=4",
        "trainer.precision=32-true", "callbacks.heatmaps=null", "callbacks.views=null",
        "callbacks.report.resamples=50", *(f"~study.stages.arms.search.points.{name}" for name in others),
    ]  # fmt: skip
    status, said = ended(command(tmp_path, "study=reliance", *keys))
    assert status == 0, said[-3000:]
    assert "too few trials have best/reliance of at most 0.2; kept beyond it: deep_none" in said
    folder = tmp_path / "outputs" / "study_reliance"
    (row,) = csv.DictReader((folder / "results.csv").open())
    assert float(row["best/reliance"]) > 0.2 and (row["limit"], row["chosen"]) == ("beyond", "yes")
    assert "beyond the limit" in (folder / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_published_studies_run_from_end_to_end(name, tmp_path_factory):
    home = tmp_path_factory.getbasetemp() / "published"
    status, said = ended(command(home, f"study={name}", *QUICK, *SMOKE[name], "trials=2", "jobs=2"))
    assert status == 0, said[-3000:]
    folder = home / "outputs" / f"study_{name}"
    chosen = json.loads((folder / "selected.json").read_text())
    page = (folder / "report.html").read_text()
    assert all(stage in page for stage in chosen)
    asked = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)""", page)
    assert asked and all("".join(one).startswith(("#", "data:")) for one in asked)
    client = open_store(None, home=home).client()
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = {run.info.run_id: run for run in client.search_runs(experiments, f"tags.`fishnet.study` = '{name}'")}
    depths = set()
    for run in runs.values():
        depth, parent = 0, run.data.tags.get("mlflow.parentRunId")
        while parent:
            depth, parent = depth + 1, runs[parent].data.tags.get("mlflow.parentRunId")
        depths.add(depth)
        assert run.info.status == "FINISHED"
    assert depths == ({0, 1, 2, 3} if name in ("one_animal", "fish_species") else {0, 1, 2})
    (study,) = [run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags]
    assert {one.path for one in client.list_artifacts(study.info.run_id)} >= {"report.html", "selected.json"}


@pytest.mark.slow
def test_what_dies_is_told_and_the_exit_status_is_one(tmp_path):
    """The experiment with the seven ways to die, its first three trials."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "experiments" / "studies" / "run.sh"), "trials=3"],
        cwd=tmp_path,
        env={**environment(), **ONE_THREAD, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr[-3000:]
    assert "1 of 3 trials failed" in done.stderr
    table = [line for line in done.stdout.splitlines() if "finished" in line or "failed" in line]
    assert len(table) == 3 and "a defect in a callback" in table[-1]


@pytest.mark.slow
def test_two_parents_of_one_study_run_no_trial_twice(tmp_path, tried):
    both = [command(tmp_path, *tried, *QUICK) for _ in range(2)]
    for parent in both:
        status, said = ended(parent)
        assert status == 0, said[-3000:]
    results = [json.loads(p.read_text()) for p in tmp_path.glob("outputs/study_tried/trials/*/result.json")]
    assert len(results) == 4
    assert [result["attempts"] for result in results] == [1] * 4
    assert len({result["started"] for result in results}) == 4


@pytest.mark.slow
def test_a_parent_that_is_killed_again_and_again_loses_and_repeats_nothing(tmp_path, tried):
    quiet, disturbed = tmp_path / "quiet", tmp_path / "disturbed"
    words = [*tried, *QUICK, "jobs=2"]
    assert ended(command(quiet, *words))[0] == 0
    for moment in (3.0, 9.0, 14.0):
        process = command(disturbed, *words)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    status, said = ended(command(disturbed, *words))
    assert status == 0, said[-3000:]
    mine, theirs = (home / "outputs" / "study_tried" for home in (disturbed, quiet))
    assert (mine / "selected.json").read_bytes() == (theirs / "selected.json").read_bytes()
    assert sorted(p.name for p in (mine / "trials").iterdir()) == sorted(p.name for p in (theirs / "trials").iterdir())


@pytest.mark.slow
def test_a_server_that_is_away_is_told_later(tmp_path, tried):
    away = "tracking.uri=http://127.0.0.1:9"
    status, said = ended(command(tmp_path / "home", *tried, *QUICK, "jobs=2", away))
    assert status == 0, said[-3000:]
    assert "the study goes on" in said and "deliver=true" in said
    status, said = ended(command(tmp_path / "home", *tried, "deliver=true"))  # its settings are in the study's folder
    assert status == 0 and "are in MLflow" in said, said
    client = open_store(None, home=tmp_path / "home").client()
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 8


@pytest.mark.slow
def test_a_stopped_study_leaves_checkpoints_and_goes_on_from_them(tmp_path, tried):
    words = [*tried, *QUICK, "study.stages.seeds=null", "trainer.max_epochs=60", "callbacks.early_stopping=null"]
    words += ["callbacks.heatmaps=null", "jobs=2"]
    home = tmp_path / "é [x], y"  # also what goes on has to find its folder
    process = command(home, *words)
    deadline = time.monotonic() + 120
    while len(list(home.glob("outputs/study_tried/trials/*/run/checkpoints/last.ckpt"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    status, said = ended(process)
    assert status == 128 + signal.SIGTERM, said[-2000:]
    assert "a checkpoint is left" in said
    assert not list(home.glob("outputs/study_tried/trials/*/result.json"))
    status, said = ended(command(home, *words))
    assert status == 0, said[-2000:]
    for path in home.glob("outputs/study_tried/trials/*/result.json"):
        result = json.loads(path.read_text())
        assert (result["attempts"], result["epochs"]) == (2, 60)
        lines = (path.parent / "log.txt").read_text().splitlines()
        assert ["resume=" in line for line in lines if line.startswith("--- attempt")] == [False, True]
