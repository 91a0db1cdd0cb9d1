"""Runs, journals and studies that a stranger has sent: they are read, and nothing in them runs or is sent away."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.tracking.session import start_run
from fishnet.tracking.store import open_store
from tests.support.processes import environment


def changed(run: Path, change) -> None:
    file = run / "config" / "config.yaml"
    settings = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    change(settings)
    file.write_text(OmegaConf.to_yaml(OmegaConf.create(settings)))


def sentence(ended) -> str:
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "Traceback" not in ended.err
    return line


def test_resume_runs_nothing_that_a_folder_names(fishnet, trained, tmp_path):
    proof = tmp_path / "proof"
    evil = {"_target_": "os.system", "command": f"touch {proof}"}
    changed(trained, lambda settings: settings["callbacks"].update(evil=evil))
    ended = fishnet("train", "resume=run", "trainer.max_epochs=3")
    assert ended.status == 2 and "os.system at callbacks.evil" in sentence(ended)
    assert not proof.exists()


def test_modules_that_lie_in_the_folder_are_not_imported(tmp_path):
    for name in ("yaml", "omegaconf", "hydra", "numpy", "fishnet"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'proof')!r}, 'w')\n")
    command = [str(Path(sys.executable).with_name("fishnet")), "compare"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "No runs are kept" in ended.stderr
    assert not (tmp_path / "proof").exists()


def test_the_photos_of_a_checkpoints_run_are_a_folder_and_never_code(fishnet, trained, tmp_path):
    proof = tmp_path / "proof"
    for root in (
        {"_target_": "os.system", "command": f"touch {proof}"},
        f"${{oc.create:{{_target_: os.system, command: touch {proof}}}}}",
        f"\\${{oc.create:{{_target_: os.system, command: touch {proof}}}}}",
    ):
        changed(trained, lambda settings, root=root: settings["data"].update(root=root))
        ended = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt")
        assert ended.status == 2 and sentence(ended)
        assert not proof.exists()


def test_an_audit_trains_nothing_that_a_run_names(fishnet, trained, shapes, tmp_path):
    proof = tmp_path / "proof"
    evil = {"_target_": "os.system", "command": f"touch {proof}"}
    changed(trained, lambda settings: settings["callbacks"].update(evil=evil))
    ended = fishnet("audit", "checkpoint=run/checkpoints/best.ckpt", f"data.root={shapes}", "spread=1", "donors=4")
    assert ended.status == 2 and "os.system" in sentence(ended)
    assert not proof.exists()


def test_a_store_that_only_the_folder_names_gets_nothing(fishnet, trained, tmp_path):
    other = tmp_path / "elsewhere"
    changed(trained, lambda settings: settings["tracking"].update(uri=str(other)))
    ended = fishnet("train", "resume=run", "trainer.max_epochs=3")
    assert ended.status == 2
    assert f"tracking.uri={other}" in sentence(ended)
    assert not other.exists()
    ended = fishnet("train", "resume=run", "trainer.max_epochs=3", f"tracking.uri={tmp_path}")  # where it was
    assert ended.status == 0, ended.err
    assert f"reporting to {tmp_path / 'mlflow.db'}" in ended.err


def test_retry_takes_settings_of_a_study_but_no_code_and_no_store(fishnet, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    for text in (
        "+callbacks.evil._target_=os.system", "+callbacks.evil={_target_: os.system}", "tracking.uri=http://127.0.0.1:1",
        "hydra.searchpath=[file:///tmp]", "executor=submitit", "packages=[os]", "data.root=${oc.env:HOME}",
    ):  # fmt: skip
        (study / "study.json").write_text(json.dumps({"given": [text], "own": [], "stages": {}}))
        for key in ("retry=true", "deliver=true"):
            ended = fishnet("study", "study=one_animal", f"out={study}", key)
            assert ended.status == 2 and "is not believed of a file" in sentence(ended), text


@pytest.fixture
def journal(migrated, tmp_path, monkeypatch):
    """`journal(lines, uri)`: the run's folder, with a journal that waits, as a stranger could have written it."""
    shutil.copy(migrated / "mlflow.db", tmp_path / "mlflow.db")
    store = open_store(None, home=tmp_path)
    run = start_run(store, experiment="reef", folder=tmp_path / "outputs" / "run", run_name="one")
    run.finish()

    def write(*lines: dict, uri: str = store.uri) -> tuple[Path, str]:
        folder = tmp_path / "outputs" / "run"
        file = folder / "undelivered" / f"{run.run_id}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        first = {"kind": "run", "run_id": run.run_id, "uri": uri}
        file.write_text("".join(json.dumps(line) + "\n" for line in (first, *lines)))
        return folder, run.run_id

    return write


def delivered(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}


def test_artifacts_outside_of_the_runs_folder_are_not_delivered(fishnet, journal, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("a key")
    folder = tmp_path / "outputs" / "run"
    (folder / "linked").mkdir(parents=True)
    (folder / "linked" / "inner.txt").symlink_to(secret)
    (folder / "link.txt").symlink_to(secret)
    (folder / "own.txt").write_text("a page")
    (folder / "whole").symlink_to(tmp_path)
    sources = [secret, folder / ".." / ".." / "secret.txt", folder / "linked", folder / "link.txt", folder / "whole"]
    lines = [{"kind": "artifacts", "source": str(each), "path": "", "within": "/"} for each in sources]
    journal(*lines, {"kind": "artifacts", "source": str(folder / "own.txt"), "path": ""})
    ended = fishnet("compare", "deliver=true")
    assert ended.status == 0, ended.err
    assert delivered(tmp_path) == {"own.txt"}
    (refused,) = (folder / "undelivered").glob("*.refused.jsonl")
    assert refused.read_text().count("lies outside of the run's folder") == len(sources)


def test_a_journal_for_another_store_waits_until_that_one_is_asked_for(fishnet, journal, tmp_path):
    other = tmp_path / "other" / "mlflow.db"
    folder, run_id = journal({"kind": "text", "text": "x", "path": "a.txt"}, uri=f"sqlite:///{other}")
    ended = fishnet("compare", "deliver=true")
    assert ended.status == 0, ended.err
    assert f"Run {run_id}: 1 artifact wait for {other}" in ended.out and f"tracking.uri={other}" in ended.out
    assert not other.parent.exists() and (folder / "undelivered").exists()
