"""A stream as a data module: a folder that was packed is learned from like any other."""

from dataclasses import replace
from typing import Any

from fishnet.data.datamodule import ImageFolderData
from fishnet.data.packed import StreamSource


class StreamData(ImageFolderData):
    """What `fishnet pack` has made of a folder.

    Split, groups, order and views are those of the folder: they follow from the photos' digests and names, which the
    stream knows. Each photo is held against its digest when it is read.

    Args:
        root: The folder of the stream, or `s3://bucket/prefix`.
        folder: The settings of ImageFolderData.
    """

    def __init__(self, *, root: str, **folder: Any) -> None:
        super().__init__(root=root, **folder)
        self.folder = replace(self.folder, source=StreamSource(root))
