"""The founding method, with a real headless Chromium: both generations of the page, and pages that are none."""

import csv

import pytest
from collected import ALL, rows_of
from processes import fishnet_itself

pytestmark = pytest.mark.slow
TAXA = "taxa=47162,47163,47164"


@pytest.mark.parametrize("generation", [1, 2])
def test_the_same_photos_by_all_three_sources_and_then_a_training(replica, collect, tmp_path, generation):
    replica.generation = generation
    table = tmp_path / "photos.csv"
    with open(table, "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["url", "class"])
        for one in replica.world.found:
            rows.writerows([photo["url"], one["taxon"][1]] for photo in replica.world.observation(one)["photos"])
    told = {}
    for name, how in (
        ("api", [TAXA]),
        ("browser", [TAXA, "source=browser"]),
        ("list", ["source=list", f"list={table}"]),
    ):
        done = collect(replica, *how, f"name={name}", *ALL)
        assert done.returncode == 0, done.stdout
        told[name] = {row["photo_id"] for row in rows_of(tmp_path, name)}
    assert told["api"] == told["browser"] == told["list"] == {str(one) for one in replica.world.label_of}
    assert all(row["licence"] == "unknown" and not row["observer"] for row in rows_of(tmp_path, "browser"))
    assert all("/medium." in row["url"] for row in rows_of(tmp_path, "browser"))
    if generation == 2:
        small = [
            "model.backbone=cnn",
            "model.backbone_args.filters=[8,16]",
            "data.image_size=32",
            "trainer.max_epochs=2",
        ]
        quick = ["trainer.precision=32-true", "callbacks.heatmaps=null", "callbacks.report.resamples=20"]
        done = fishnet_itself(tmp_path, "train", "data=folder", "data.root=data/browser", *small, *quick, "out=run")
        assert done.returncode == 0, done.stdout
        assert (tmp_path / "run/checkpoints/best.ckpt").exists()


@pytest.mark.parametrize(("generation", "words"), [(3, "asks for consent"), (4, "its layout has changed")])
def test_a_page_that_shows_no_photos_is_an_error(replica, collect, tmp_path, generation, words):
    replica.generation = generation
    done = collect(replica, "taxa=47162", "source=browser", *ALL)
    assert done.returncode == 1 and words in done.stdout, done.stdout


def test_an_empty_taxon_is_an_error(replica, collect, tmp_path):
    assert replica.world.found  # of the three; the fourth has none
    replica.world.species.append((5, "Nemo nullus", "Nobody"))
    done = collect(replica, "taxa=5", "source=browser", *ALL)
    assert done.returncode == 1 and "the taxon is empty" in done.stdout, done.stdout
