import pytest

from fishnet.tracking.names import PARENT
from fishnet.tracking.runs import folder_of, git_commit, run_name, summarise_children
from fishnet.tracking.session import start_run


@pytest.mark.parametrize(
    ("overrides", "how", "name"),
    [
        (["model.lr=0.1", "seed=1"], {"subject": "lake resnet50 frozen"}, "lake resnet50 frozen, lr 0.1, seed 1"),
        (["model.lr=0.1", "model.backbone=resnet101", "data.fold=2"], {"number": 3}, "003 lr 0.1, resnet101, fold 2"),
        (["model.weight_decay=1e-4", "model.freeze=true", "+model.x=false"], {}, "weight decay 1e-4, freeze, no x"),
        (["model.pretrained=/w/mobile.pth", "hydra.launcher=joblib", "out=here"], {}, "pretrained mobile"),
        (["~callbacks.gradcam", "data.group=null"], {"subject": "reef cnn"}, "reef cnn"),
        ([], {"number": 0}, "000"),
        (["data.classes=[É, 'x y']"], {}, "classes É, 'x y"),
    ],
)
def test_names_say_what_was_asked_for(overrides, how, name):
    assert run_name(overrides, **how) == name


def test_a_long_sweep_still_has_a_short_name():
    name = run_name([f"model.key{number}=value" for number in range(50)], subject="lake resnet50")
    assert len(name) <= 80 and name.startswith("lake resnet50, key0 value, ") and name.endswith("value …")


def child(store, parent, folder, number, status="FINISHED", **figures):
    run = start_run(store, experiment="reef", folder=folder, run_name=f"t{number}", parent=parent.run_id)
    run.log_metrics(figures)
    run.finish(status)
    return run


def test_a_parent_sums_up_its_finished_children(store, tmp_path):
    parent = start_run(store, experiment="reef", folder=tmp_path, run_name="sweep")
    best = child(store, parent, tmp_path, 0, **{"best/val_f1_macro": 0.9, "test/accuracy": 0.8})
    child(store, parent, tmp_path, 1, **{"best/val_f1_macro": 0.5, "test/accuracy": 0.6})
    child(store, parent, tmp_path, 2, "FAILED", **{"best/val_f1_macro": 0.99})
    child(store, parent, tmp_path, 3, **{"best/val_f1_macro": float("nan")})
    summarise_children(parent, metric="best/val_f1_macro", largest=True)
    assert parent.finish() == ""
    run = store.client().get_run(parent.run_id)
    figures = run.data.metrics
    assert run.info.status == "FINISHED"
    assert figures["mean/test/accuracy"] == pytest.approx(0.7)
    assert figures["sd/test/accuracy"] == pytest.approx(0.1 * 2**0.5)
    assert figures["n/test/accuracy"] == 2
    assert (figures["children/all"], figures["children/finished"]) == (4, 3)
    assert figures["best/val_f1_macro"] == 0.9
    assert run.data.tags["fishnet.best_child"] == best.run_id
    assert store.client().get_run(best.run_id).data.tags[PARENT] == parent.run_id


def test_a_parent_without_children_ends_all_the_same(store, tmp_path):
    parent = start_run(store, experiment="reef", folder=tmp_path)
    summarise_children(parent, metric="best/val_f1_macro", largest=True)
    parent.finish("KILLED")
    run = store.client().get_run(parent.run_id)
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"children/all": 0, "children/finished": 0}


def test_the_folder_of_a_run_is_found_by_its_id(store, tmp_path):
    run = start_run(store, experiment="reef", folder=tmp_path, tags={"fishnet.folder": tmp_path / "x"})
    run.finish()
    assert folder_of(run.run_id, uri=store.uri, home=tmp_path) == tmp_path / "x"
    assert folder_of("0" * 32, uri=store.uri, home=tmp_path) is None
    assert folder_of("last.ckpt", uri=None, home=tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_the_commit_is_a_digest_or_nothing():
    commit = git_commit()
    assert commit is None or len(commit.rstrip("+")) == 40
