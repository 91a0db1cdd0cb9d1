"""fishnet: from species names to a classifier you can trust.

The public names resolve on first use, so that `import fishnet` costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "HeatMaps": "fishnet.callbacks.heatmaps",
    "ImageClassifier": "fishnet.models.classifier",
    "ImageFolderData": "fishnet.data.datamodule",
    "ImageGAN": "fishnet.models.gan",
    "load_image": "fishnet.images",
}

__all__ = ["HeatMaps", "ImageClassifier", "ImageFolderData", "ImageGAN", "load_image"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fishnet' has no attribute {name!r}")
