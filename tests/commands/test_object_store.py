"""A stream in an object store: packed, learned from and answered on; what the store refuses is a sentence."""

import pandas as pd
import pytest

from tests.support.object_store import ObjectStore

pytestmark = pytest.mark.slow
STREAM = "s3://lakes/one/stream"


@pytest.fixture
def store(monkeypatch, tmp_path):
    store = ObjectStore()
    for name, value in {**store.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with store.running():
        store.client().create_bucket(Bucket="lakes")
        yield store


def sentence(ended) -> str:
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    return line


def test_it_is_packed_learned_from_and_answered_on_though_the_store_stumbles(fishnet, tiny, shapes, store, tmp_path):
    store.trouble = ("503 Slow Down", 4)
    ended = fishnet("pack", f"data.root={shapes}", f"out={STREAM}", "chunk_mb=1")
    assert ended.status == 0, ended.err
    settings = [*tiny[2:], "callbacks.heatmaps=null", "trainer.max_epochs=1"]
    ended = fishnet("train", "data=stream", f"data.root={STREAM}", *settings, "out=far")
    assert ended.status == 0, ended.err
    store.trouble = None
    assert fishnet("train", *tiny[:2], *settings, "out=near").status == 0
    near, far = ((tmp_path / run / "report" / "predictions.csv").read_bytes() for run in ("near", "far"))
    assert near == far
    ended = fishnet("predict", "checkpoint=far/checkpoints/best.ckpt", f"images={STREAM}", "out=answers.csv")
    assert ended.status == 0, ended.err
    answers = pd.read_csv(tmp_path / "answers.csv")
    assert len(answers) == 48 and answers["problem"].isna().all()
    assert answers["path"].iloc[0] == f"{STREAM}/bar/photo_000.jpg"
    ended = fishnet("explain", "checkpoint=far/checkpoints/best.ckpt", f"images={STREAM}", "out=maps", "pictures=1")
    assert ended.status == 0 and (tmp_path / "maps" / "maps.npy").is_file(), ended.err
    assert not list(tmp_path.glob("s3:*"))


def test_what_the_store_refuses_is_a_sentence(fishnet, tiny, shapes, store):
    assert fishnet("pack", f"data.root={shapes}", f"out={STREAM}").status == 0
    settings = ["train", "data=stream", f"data.root={STREAM}", *tiny[2:]]
    for trouble, status, words in (
        ("403 Forbidden", 2, "the object store refuses access (403): check bucket, keys and region"),
        ("503 Slow Down", 1, "the object store answers 503, 5 times in a row"),
    ):
        store.trouble = (trouble, 1)
        ended = fishnet(*settings, "out=run")
        assert ended.status == status and words in sentence(ended), ended.err
    store.trouble = None
    ended = fishnet("train", "data=stream", "data.root=s3://lakes/nothing", *tiny[2:])
    assert ended.status == 2 and "is no stream" in sentence(ended)
    ended = fishnet("train", "data=stream", "data.root=s3://no-such-bucket/one", *tiny[2:])
    assert ended.status == 2 and "s3://no-such-bucket/one" in sentence(ended)


def test_a_chunk_that_was_changed_there_ends_a_training_in_a_sentence(fishnet, tiny, shapes, store):
    assert fishnet("pack", f"data.root={shapes}", f"out={STREAM}").status == 0
    where = {"Bucket": "lakes", "Key": "one/stream/chunk-0-0.bin"}
    data = bytearray(store.client().get_object(**where)["Body"].read())
    data[-20] ^= 1
    store.client().put_object(**where, Body=bytes(data))
    ended = fishnet("train", "data=stream", f"data.root={STREAM}", *tiny[2:], "out=run")
    assert ended.status == 1 and "was changed: restore it, or delete it" in sentence(ended), ended.err
