"""A packed folder is split and read like the folder, and says in a sentence where it is not what was packed."""

import json
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from fishnet.data.chunks import Folder, Missing, chunk_of
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.data.packed import StreamSource, is_stream, read_table, write_table
from fishnet.data.packing import pack
from fishnet.data.stream import StreamData
from fishnet.data.views import PlainPreprocessing
from fishnet.errors import BadInput, WorkFailed
from tests.support.drawing import draw_folder, draw_photo


@pytest.fixture
def lake(tmp_path):
    """Photos with a manifest, and one that cannot be read."""
    folder = draw_folder(tmp_path / "lake", photos=4)
    (folder / "bar" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    paths = [f"{name}/photo_{number:03d}.jpg" for name in ("bar", "box", "disc") for number in range(4)]
    table = pd.DataFrame({"path": paths, "observation_id": [number // 2 for number in range(12)]})
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def packed(folder, out, chunk_mb=64):
    return pack(FolderSource(str(folder)), Folder(str(out)), chunk_mb=chunk_mb)


@pytest.fixture
def small_chunks(monkeypatch):
    """Of one megabyte that has so many bytes that two or three photos fill it."""
    monkeypatch.setattr("fishnet.data.packing.MEGABYTE", 5000)


def test_a_stream_has_the_index_the_groups_and_the_photos_of_its_folder(lake, tmp_path, small_chunks):
    done = packed(lake, tmp_path / "stream", 1)
    assert done.photos == 12 and done.refused == 1 and done.chunks > 3
    assert is_stream(tmp_path / "stream") and not is_stream(lake)
    folder = PhotoFolder(source=FolderSource(str(lake)), cache="off", whole=True)
    stream = StreamData(root=str(tmp_path / "stream"), cache="off", image_size=32).folder
    pd.testing.assert_frame_equal(stream.table, folder.table, check_dtype=False)
    assert stream.index.digest == folder.index.digest and stream.counts() == folder.counts()
    pd.testing.assert_frame_equal(stream.index.refused, folder.index.refused, check_dtype=False)
    assert stream.table.group.nunique() == 6
    look, rows = PlainPreprocessing(32), list(range(12))
    assert np.array_equal(stream.photos(rows, look), folder.photos(rows, look))
    for path in folder.table["path"]:
        assert stream.source.photo(path) == (lake / path).read_bytes()


def test_packing_that_was_ended_goes_on_and_new_photos_come_behind(lake, tmp_path, small_chunks, monkeypatch):
    packed(lake, tmp_path / "whole", 1)
    written, write = [], Folder.write

    def ending(self, name, data):
        if len(written) == 5:  # behind the third chunk, before its table
            raise KeyboardInterrupt
        written.append(name)
        write(self, name, data)

    with monkeypatch.context() as ended:
        ended.setattr(Folder, "write", ending)
        with pytest.raises(KeyboardInterrupt):
            packed(lake, tmp_path / "stream", 1)
    assert not is_stream(tmp_path / "stream")
    with pytest.raises(BadInput, match="is no stream"):
        StreamSource(str(tmp_path / "stream")).check()
    packed(lake, tmp_path / "stream", 1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "stream").iterdir()} == files

    draw_photo(lake / "disc" / "new.jpg", 2, 99)
    done = packed(lake, tmp_path / "stream", 1)
    assert done.added == 1 and done.photos == 13
    for name, data in files.items():
        assert not name.endswith(".bin") or (tmp_path / "stream" / name).read_bytes() == data
    assert StreamSource(str(tmp_path / "stream")).photo("disc/new.jpg") == (lake / "disc/new.jpg").read_bytes()
    other = draw_folder(tmp_path / "other", photos=1)
    shutil.move(other / "bar", other / "ring")
    packed(other, tmp_path / "stream", 1)
    source = StreamSource(str(tmp_path / "stream"))
    assert source.counts()["ring"] == 1 and source.counts()["box"] == 4


def test_a_changed_a_cut_and_a_missing_chunk_are_named(lake, tmp_path):
    packed(lake, tmp_path / "stream")
    chunk = tmp_path / "stream" / "chunk-0-0.bin"
    whole, folder = chunk.read_bytes(), StreamData(root=str(tmp_path / "stream"), cache="off", image_size=32).folder
    for data, sentence in (
        (
            whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
            r"chunk-0-0.bin, which holds disc/photo_003.jpg, was changed",
        ),
        (whole[:-9], r"chunk-0-0.bin, which holds disc/photo_003.jpg, is missing or cut short"),
        (None, r"chunk-0-0.bin, which holds disc/photo_003.jpg, is missing or cut short"),
    ):
        chunk.unlink()
        if data is not None:
            chunk.write_bytes(data)
        with pytest.raises(WorkFailed, match=sentence):
            folder.photos([11], PlainPreprocessing(32))
    (tmp_path / "stream" / "photos.parquet").write_bytes(b"PAR1 and no table")
    with pytest.raises(BadInput, match=r"photos.parquet is damaged"):
        _ = StreamSource(str(tmp_path / "stream")).listing


class Proof:
    """What unpickling would run."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_nothing_of_a_stream_is_unpickled(lake, tmp_path):
    """Not where litData's index asks for it, nor where a photo is a pickle."""
    packed(lake, tmp_path / "stream")
    data, _ = chunk_of([pickle.dumps(Proof(tmp_path / "proof"))] * 12)
    (tmp_path / "stream" / "chunk-0-0.bin").write_bytes(data.ljust(100_000, b"\0"))
    index = json.loads((tmp_path / "stream" / "index.json").read_text())
    index["config"]["data_format"] = ["pickle"]
    (tmp_path / "stream" / "index.json").write_text(json.dumps(index))
    folder = StreamData(root=str(tmp_path / "stream"), cache="off", image_size=32).folder
    with pytest.raises(WorkFailed, match="was changed"):
        folder.photos([0], PlainPreprocessing(32))
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("path", "../../elsewhere.jpg"),
        ("path", "/bar/elsewhere.jpg"),
        ("path", "bar/../../elsewhere.jpg"),
        ("class", "../other"),
        ("start", -1),
        ("size", 2**62),
        ("chunk", -2),
        ("sha256", "no digest"),
    ],
)
def test_a_table_that_pack_cannot_have_written_is_refused(lake, tmp_path, column, value):
    packed(lake, tmp_path / "stream")
    place = Folder(str(tmp_path / "stream"))
    table = read_table(place)
    table.loc[2, column] = value
    write_table(place, "photos.parquet", table)
    with pytest.raises(BadInput, match=r"photos.parquet is damaged \(row 2\)"):
        _ = StreamSource(str(tmp_path / "stream")).listing


def test_photos_of_a_stream_take_the_hardened_decoder(lake, tmp_path, monkeypatch):
    """A stranger may have written both the bytes and their digests."""
    packed(lake, tmp_path / "stream")
    monkeypatch.setattr("fishnet.images._fast_jpeg", lambda *_: pytest.fail("the fast decoder was asked"))
    StreamData(root=str(tmp_path / "stream"), cache="off", image_size=32).folder.photos([0], PlainPreprocessing(32))


def test_names_that_are_no_text_are_refused(lake, tmp_path):
    packed(lake, tmp_path / "stream")
    table = pd.read_parquet(tmp_path / "stream" / "photos.parquet")
    for column, values in (("path", None), ("class", None), ("path", range(len(table)))):
        write_table(Folder(str(tmp_path / "stream")), "photos.parquet", table.assign(**{column: values}))
        with pytest.raises(BadInput, match=r"photos.parquet is damaged"):
            read_table(Folder(str(tmp_path / "stream")))


def test_a_size_beyond_the_chunk_asks_for_no_memory(lake, tmp_path):
    packed(lake, tmp_path / "stream")
    with pytest.raises(Missing):
        Folder(str(tmp_path / "stream")).read("chunk-0-0.bin", 0, 2**40)


def test_what_a_lost_chunk_held_is_packed_again(lake, tmp_path, small_chunks, caplog):
    packed(lake, tmp_path / "stream", 1)
    (tmp_path / "stream" / "chunk-0-0.bin").unlink()
    os.truncate(tmp_path / "stream" / "chunk-0-2.bin", 1000)
    done = packed(lake, tmp_path / "stream", 1)
    assert done.photos == 12 and 3 < done.added < 12
    assert "chunk-0-0.bin is missing or cut short" in caplog.text and "chunk-0-2.bin" in caplog.text
    stream = StreamSource(str(tmp_path / "stream"))
    for path in stream.photos.loc[stream.photos["chunk"] >= 0, "path"]:
        assert stream.photo(path) == (lake / path).read_bytes()


def test_photos_that_moved_or_went_are_counted(lake, tmp_path, caplog):
    packed(lake, tmp_path / "stream")
    caplog.clear()
    (lake / "bar" / "photo_000.jpg").rename(lake / "box" / "moved.jpg")
    (lake / "disc" / "photo_001.jpg").unlink()
    assert packed(lake, tmp_path / "stream").added == 1
    assert "the stream holds 2 photos that are not in this folder, such as bar/photo_000.jpg" in caplog.text
    assert "1 photo of this folder in another class too, such as box/moved.jpg (bar there)" in caplog.text


def test_other_files_are_not_packed_over(lake, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.json").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        packed(lake, tmp_path / "mine")
    assert (tmp_path / "mine" / "index.json").read_text() == "mine"


@pytest.mark.slow
def test_litdata_reads_the_chunks(lake, tmp_path, small_chunks):
    import litdata

    packed(lake, tmp_path / "stream", 1)
    table = read_table(Folder(str(tmp_path / "stream")))
    dataset = litdata.StreamingDataset(str(tmp_path / "stream"))
    order = table[table["chunk"] >= 0].sort_values(["chunk", "start"])["path"]
    assert len(dataset) == 12
    assert [bytes(dataset[number]) for number in range(12)] == [(lake / path).read_bytes() for path in order]
