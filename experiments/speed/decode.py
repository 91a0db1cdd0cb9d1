"""First look at a photo: file → the square a network sees. The usual way: torchvision's ImageFolder with PIL."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from fishnet.data.index import build_index
from fishnet.data.views import Working, centre, working_image

from .pairing import Case, Options
from .photos import folder

GOALS = {500: 1.7, 1024: 2.2, 2048: 3.5}
COUNT = {500: 200, 1024: 60, 2048: 24}
USUAL = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()])


def cases(options: Options) -> Iterator[Case]:
    torch.set_num_threads(1)  # one core each: both decoders have only one
    if options.root:
        yield case("own photos", options.root, 1.0, options.weights)
        return
    for longer, goal in GOALS.items():
        yield case(f"{longer} px", folder(longer, COUNT[longer]), goal, options.weights)


def case(name: str, root: Path, goal: float, weights: Path | None) -> Case:
    table = build_index(root, progress=False).table
    usual = ImageFolder(str(root), transform=USUAL)
    paths = [str(root.resolve() / path) for path in table["path"]]
    place = {str(Path(path).resolve()): number for number, (path, _) in enumerate(usual.samples)}

    def ours() -> np.ndarray:
        pairs = zip(paths, table["sha256"], strict=True)
        images = (working_image(Path(p), sha256=s, how=Working(256, "bilinear")) for p, s in pairs)
        return np.stack([centre(image, 224) for image in images])

    def peers() -> np.ndarray:
        return np.stack([usual[place[path]][0].permute(1, 2, 0).numpy() for path in paths])

    work = float(len(paths))
    return Case(name, ours, peers, lambda a, b: agreement(a, b, weights), goal, ours_work=work, peers_work=work)


def agreement(ours: np.ndarray, peers: np.ndarray, weights: Path | None) -> tuple[bool, str]:
    difference = float(np.abs(ours.astype(np.int16) - peers).mean())
    said = f"mean pixel difference {difference:.2f} levels"
    if weights is None:
        return difference <= 1.5, said
    same = float((answers(ours, weights) == answers(peers, weights)).mean())
    return difference <= 1.5 and same >= 0.995, f"{said}, same top-1 on {same:.1%} of {len(ours)}"


@torch.inference_mode()
def answers(images: np.ndarray, weights: Path) -> np.ndarray:
    from fishnet import ImageClassifier

    names = [str(number) for number in range(1000)]
    same = {"backbone": "mobilenetv2_100", "backbone_args": {"pad_type": "same"}}
    model = ImageClassifier(classes=names, pretrained=str(weights), **same).eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return torch.cat([model(part).argmax(dim=1) for part in pixels.split(32)]).numpy()
