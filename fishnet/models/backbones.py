"""Networks by timm's names, our own among them; their weights are drawn, from timm's hub or from a local file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import nn

from fishnet.errors import BadInput
from fishnet.text import nearest

from .published import cache_only, check_hub, no_weights, not_here, own_backbones

# Arguments of timm.create_model that bring weights from somewhere: a file that names them would have them fetched.
WEIGHTS = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")

for _class in own_backbones().values():  # each file registers its networks with timm
    import_module(_class.rpartition(".")[0])


def build_backbone(
    name: str, *, num_classes: int, pretrained: bool | str, dropout: float, arguments: dict | None
) -> nn.Module:
    """The network with a head of the wanted size and the wanted weights; a head that is not loaded starts small."""
    local = Path(pretrained).expanduser() if isinstance(pretrained, str) else None
    if local and not local.is_file():
        raise BadInput(
            f"model.pretrained={pretrained}: there is no such file (say true, false or a .pth/.safetensors file)."
        )
    check_name(name, published=pretrained is True)
    if named := sorted({*WEIGHTS} & {*(arguments or {})}):
        raise BadInput(
            f"model.backbone_args={{{named[0]}: …}} would bring weights: they are named by model.pretrained."
        )
    settings = {"drop_rate": dropout, **(arguments or {})}
    try:
        if pretrained is True:
            with cache_only():
                network: nn.Module = timm.create_model(name, pretrained=True, num_classes=num_classes, **settings)
        else:
            network = timm.create_model(name, num_classes=num_classes, **settings)
    except TypeError as error:
        raise BadInput(f"model.backbone_args does not fit {name}: {error}.") from error
    except Exception as error:
        if pretrained is not True or isinstance(error, BadInput):
            raise
        raise not_here(name) from error
    published: Any = network.pretrained_cfg if pretrained is True else {}
    if published.get("num_classes") != num_classes:  # timm loads the published head only for as many classes
        start_head(network, learned=bool(pretrained))
    if local:
        load_local_weights(network, local)
    return network


def start_head(network: nn.Module, *, learned: bool) -> None:
    """Start a new classifier: at zero behind a backbone that has `learned`, else as `nn.Linear` starts.

    timm draws the classifiers of MobileNet, EfficientNet and Inception families 8 to 25 times as large as `nn.Linear`
    does. Training does not undo that: the drawn part stays in the logits of a frozen backbone's head, in the
    temperature and in the heat-maps, and its gradients damage a backbone that is fine-tuned. From zero every class is
    equally probable before the first step; but through zeros no gradient reaches the backbone, and a network that
    learns from nothing loses a few steps by that. `experiments/honest` compares the starts.
    """
    for name in head_names(network):
        layers = [m for m in network.get_submodule(name).modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
        for layer in layers[-1:]:
            layer.reset_parameters()
            for parameter in layer.parameters() if learned else ():
                nn.init.zeros_(parameter)


def check_name(name: str, *, published: bool) -> None:
    """Refuse a backbone that timm does not know, or weights that nobody has published."""
    if not timm.is_model(name):
        raise BadInput(f"model.backbone={name} is unknown: {nearest(name, timm.list_models())}")
    if published and not timm.is_model_pretrained(name):
        raise no_weights(name)


def prefetch(name: str) -> str:
    """Bring a backbone's published weights to the cache; returns where they come from."""
    check_name(name, published=True)
    try:
        with cache_only():
            network = timm.create_model(name, pretrained=True)
    except Exception:  # not here, or not whole
        check_hub(name)
        os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "20")
        try:
            network = timm.create_model(name, pretrained=True)
        except Exception as error:
            raise BadInput(
                f"The weights of {name} could not be fetched ({type(error).__name__}): is there a network on this "
                "machine?"
            ) from error
    config: Any = network.pretrained_cfg
    return config.get("hf_hub_id") or config.get("url") or name


def load_local_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict of the same architecture; a head of another size is left as drawn."""
    state = read_state_dict(path)
    wanted = network.state_dict()
    head = {f"{prefix}." for prefix in head_names(network)}
    state = {
        key: value
        for key, value in state.items()
        if not (key in wanted and wanted[key].shape != value.shape and any(key.startswith(h) for h in head))
    }
    missing = [
        k for k in wanted if k not in state and not any(k.startswith(h) for h in head) and "num_batches" not in k
    ]
    foreign = [k for k in state if k not in wanted]
    shapes = [k for k in state if k in wanted and wanted[k].shape != state[k].shape]
    differences = [
        f"{label} {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
        for label, keys in (("it lacks", missing), ("it brings unknown", foreign), ("other shape in", shapes))
        if keys
    ]
    if differences:
        raise BadInput(f"{path} does not fit this network: {'; '.join(differences)}.")
    network.load_state_dict(state, strict=False)


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name from .safetensors or a plain .pth; a pickle that holds anything else is refused."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(f"{path} holds no weights that can be read safely ({type(error).__name__}).") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadInput(f"{path} is not a plain state dict (tensors by name).")
    return state


def head_names(network: nn.Module) -> list[str]:
    """Dotted names of the classifier layers, as timm names them."""
    classifiers = network.get_classifier()  # type: ignore[operator]
    classifiers = classifiers if isinstance(classifiers, (tuple, list)) else (classifiers,)
    return [name for name, module in network.named_modules() if any(module is c for c in classifiers) and name]


def single_head(network: nn.Module) -> nn.Linear | None:
    """The one linear layer that turns features into logits; None where there is another way to the answer."""
    names = head_names(network)
    head = network.get_submodule(names[0]) if len(names) == 1 else None
    return head if isinstance(head, nn.Linear) else None


@contextmanager
def drawn_head(network: nn.Module) -> Iterator[None]:
    """Inside, the classifier layer of `single_head` has random weights, the same each time, and then its own again.

    Whoever tries how a network gets from features to logits needs it: behind a new head all logits are zero.
    """
    head = single_head(network)
    assert head is not None
    own, generator = head.weight.detach().clone(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        head.weight.copy_(torch.randn(own.shape, generator=generator) * own.shape[1] ** -0.5)
        try:
            yield
        finally:
            head.weight.copy_(own)


def freeze_backbone(network: nn.Module, what: str | int) -> None:
    """Stop gradients in the backbone, or in its first n stages as timm groups them; something must be left to learn."""
    if what == "none":
        return
    head = head_names(network)
    if what == "backbone":
        names = [n for n, _ in network.named_parameters() if not any(n.startswith(f"{h}.") for h in head)]
    else:
        groups = group_parameters(network, network.group_matcher(coarse=True))  # type: ignore[operator]
        stages = sorted(groups)
        if not 0 < int(what) < len(stages):
            raise BadInput(
                f"model.freeze={what}: this backbone has stages 1 to {len(stages) - 1}; or say none or backbone."
            )
        names = [n for stage in stages[: int(what)] for n in groups[stage]]
    parameters = dict(network.named_parameters())
    for name in names:
        if name in parameters:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise BadInput(f"model.freeze={what} leaves nothing to train.")


def frozen_to_eval(network: nn.Module) -> None:
    """Put wholly frozen parts into eval mode, so that batch-norm statistics stay what they were."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def statistics_to_eval(network: nn.Module) -> None:
    """Let batch normalisation use the means and variances that the network came with, also in training: those of a few
    photos would move all features at once, however small the rate."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
