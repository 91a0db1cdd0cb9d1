"""fishnet embed: the photos of a folder as points: can the classes be told apart, and which labels look wrong?

Each photo becomes a vector: the features of a network (checkpoint=, or model.pretrained= with model.backbone=), or its
pixels. Vectors are laid out on a plane by PCA and t-SNE, clustered without labels, and compared: how often the nearest
photos know the class, with and without photos of the same group; which classes lie among each other; which photos lie
among another class.

Examples
  fishnet embed data.root=data/lake
  fishnet embed data.root=data/lake model.backbone=mobilenetv2_100 model.pretrained=true
  fishnet embed data.root=data/lake model.backbone=resnet18 model.pretrained=resnet18.safetensors
  fishnet embed checkpoint=outputs/RUN/checkpoints/best.ckpt       the photos of its run, or data.root=
  fishnet embed data=reef methods='[pca,tsne,umap]' perplexity=15
  fishnet train data=folder data.root=data/lake data.curation=OUT/embed/suspects.csv       after you have looked at it

What is written: embed/page.html, the points with their photos to move among, in one file; planes.png and classes.png;
figures.csv; points.csv; suspects.csv, the likely wrong labels as a list that data.curation= of a training takes, each
to be relabelled or dropped: look at them before you use it.
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig, OmegaConf

from fishnet.cells import defused_table
from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.run_data import use_photos_of_run
from fishnet.config.validate import check_weights, validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.progress import for_terminal
from fishnet.ranges import Above, AtLeast, FreeText, Seed
from fishnet.text import counted

if TYPE_CHECKING:
    from fishnet.data.datamodule import ImageFolderData
    from fishnet.embed.embedding import Embedding
    from fishnet.embed.vectors import Vectors
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 25  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText | None
    methods: list[str]
    perplexity: Annotated[float, Above(0)]
    most: Annotated[int, AtLeast(3)]
    batch_size: Annotated[int, AtLeast(1)] | None
    seed: Annotated[int, Seed]
    name: FreeText | None
    out: FreeText | None


def embed(config: DictConfig) -> dict[str, float]:
    """Vectors, planes, figures; then pictures and the page."""
    if config.checkpoint is not None:
        bring_checkpoint(config)
        use_photos_of_run(config)
    validate(config, "embed")
    require_checkpoint(config)
    if config.checkpoint is None:
        check_weights(config.model)
    keep_freed_memory()
    from fishnet.config import building
    from fishnet.config.measuring import measuring_run
    from fishnet.embed.plane import check_methods

    check_methods(config.methods)
    building.quieten()
    network, data = network_of(config), photos_of(config)
    checkpoint = None if config.checkpoint is None else Path(config.checkpoint).expanduser().absolute()
    with measuring_run(config, data, "embed", checkpoint=checkpoint) as (folder, logger):
        embedding = embedded(config, data, vectors_of(config, data, network))
        write_embedding(embedding, folder / "embed")
        logger.log_artifacts(folder / "embed", "embed")
        metrics = embedding.metrics()
        logger.log_metrics(metrics)
    print_figures(embedding, folder)
    return metrics


def photos_of(config: DictConfig) -> "ImageFolderData":
    """The folder, read."""
    from fishnet.config.hydra_internals import instantiate
    from fishnet.embed.embedding import FEWEST

    data = instantiate(config.data, _convert_="all").for_model(part="all")
    if len(data.table) < FEWEST:
        raise BadInput(f"data.root={config.data.root}: {counted(len(data.table), 'photo')} make no plane.")
    return data


def network_of(config: DictConfig) -> "tuple[ImageClassifier, str] | None":
    """The network whose features are asked for, and its name for people; None for pixels."""
    import torch

    from fishnet.embed.vectors import published_network
    from fishnet.models.checkpoint import load_model

    if config.checkpoint is not None:
        model = load_model(Path(config.checkpoint).expanduser().absolute())
        model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return model, f"features of {model.hparams['backbone']} as trained"
    if config.model.pretrained in (False, "auto"):
        log.warning("The photos are compared by their pixels: model.pretrained= or checkpoint= gives features.")
        return None
    arguments = OmegaConf.to_container(config.model.backbone_args) or {}
    model = published_network(
        config.model.backbone, backbone_args=arguments, weights=config.model.pretrained,  # type: ignore[arg-type]
        image_size=config.data.image_size,
    )  # fmt: skip
    return model, f"features of {config.model.backbone} as published"


def vectors_of(config: DictConfig, data: "ImageFolderData", network: "tuple[ImageClassifier, str] | None") -> "Vectors":
    """Of the photos that are drawn."""
    from dataclasses import replace

    from fishnet.data.batch_size import photos_at_once
    from fishnet.embed.embedding import drawn_rows
    from fishnet.embed.vectors import network_vectors, pixel_vectors

    folder, rows = data.folder, drawn_rows(data.folder, config.most)
    if len(rows) < len(folder.table):
        log.warning("most=%d: %d of %d photos are drawn, in whole groups.", config.most, len(rows), len(folder.table))
    if network is None:
        return pixel_vectors(folder, rows)
    model, name = network
    seeing = folder if config.checkpoint is None else replace(folder, seen=model.seen)
    at_once = photos_at_once(config.batch_size, model.device, model.preprocessing.size)
    return network_vectors(model, seeing, rows, name=name, batch_size=at_once)


def embedded(config: DictConfig, data: "ImageFolderData", vectors: "Vectors") -> "Embedding":
    """Lay the vectors out and measure them."""
    from rich.console import Console

    from fishnet.embed.embedding import Embedding, measure, measured_positions
    from fishnet.embed.plane import planes

    console = Console(stderr=True)
    with console.status(f"laying out {counted(len(vectors.rows), 'photo')}"):
        laid = planes(vectors.values, config.methods, perplexity=config.perplexity, seed=config.seed)
    positions = measured_positions(data.folder, vectors)
    with console.status("comparing photos"):
        found = measure(data.folder, vectors, positions, seed=config.seed)
    return Embedding(data.folder, vectors, laid, positions, found)


def write_embedding(embedding: "Embedding", out: Path) -> None:
    """Tables, pictures and the page, each whole or not at all."""
    from fishnet.embed.page import embedding_page
    from fishnet.embed.pictures import draw_each_class, draw_planes
    from fishnet.embed.vectors import SMALL
    from fishnet.files import replacing, write_whole

    out.mkdir(parents=True, exist_ok=True)
    suspects = embedding.folder.names.beside(embedding.suspects, {"class": "class_name"})
    tables = {"points": embedding.point_table(), "figures": embedding.figures(), "suspects": suspects}
    for name, table in tables.items():
        with replacing(out / f"{name}.csv") as temporary:
            defused_table(table).to_csv(temporary, index=False)
    draw_planes(embedding, out / "planes.png")
    draw_each_class(embedding, out / "classes.png")
    write_whole(out / "page.html", embedding_page(embedding, embedding.folder.images(SMALL), out))


def print_figures(embedding: "Embedding", folder: Path) -> None:
    """The answers in sentences, and where the page is."""
    from fishnet.embed.page import sentences

    for sentence in sentences(embedding):
        print(for_terminal(f"{'embed':12s}{sentence}", sys.stdout, indent=12))
    if len(embedding.suspects):
        print(f"{'suspects':12s}{folder / 'embed' / 'suspects.csv'}")
    print(f"{'page':12s}{folder / 'embed' / 'page.html'}", flush=True)


if __name__ == "__main__":
    start(embed, "embed")
