"""Optimisers by timm's names; the five of the studies compute what torch's own do, to the last bit."""

import subprocess
import sys

import pytest
import torch
from torch import nn, optim

from fishnet import ImageClassifier
from fishnet.errors import BadInput
from fishnet.models.optimisation import TORCH_DEFAULTS, check_optimizer, make_optimizer

CHOSEN = {"lr": 0.01, "weight_decay": 0.1}
TORCHS = {
    "sgd": lambda weights: optim.SGD(weights, momentum=0.8, **CHOSEN),
    "adam": lambda weights: optim.Adam(weights, **CHOSEN),
    "adamw": lambda weights: optim.AdamW(weights, **CHOSEN),
    "adamax": lambda weights: optim.Adamax(weights, **CHOSEN),
    "rmsprop": lambda weights: optim.RMSprop(weights, momentum=0.8, **CHOSEN),
}
BARE = """
import sys
from fishnet.models.optimisation import check_optimizer
check_optimizer("rmsprop")
assert not {"torch", "timm"} & set(sys.modules)
"""


def weights_after(make, steps: int = 20) -> list[torch.Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    optimizer = make(list(network.parameters()))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(torch.randn(6, 3, 8, 8)), torch.randint(0, 2, (6,))).backward()
        optimizer.step()
    return [weight.detach() for weight in network.parameters()]


@pytest.mark.parametrize("name", TORCH_DEFAULTS)
def test_the_five_are_torchs_to_the_last_bit(name):
    ours = weights_after(lambda weights: make_optimizer(weights, name=name, momentum=0.8, **CHOSEN))
    theirs = weights_after(TORCHS[name])
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", TORCH_DEFAULTS)
def test_weight_decay_applies_to_every_parameter(name):
    weights = [nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3))]
    optimizer = make_optimizer(weights, name=name, lr=0.01, momentum=0.9, weight_decay=0.5)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 0.5
    assert len(group["params"]) == 2


@pytest.mark.parametrize("name", ["nadam", "lamb", "lion", "muon"])
def test_any_other_of_timm_comes_for_nothing(name):
    before = weights_after(lambda weights: optim.SGD(weights, lr=0))
    after = weights_after(lambda weights: make_optimizer(weights, name=name, momentum=0.8, **CHOSEN), steps=2)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [("sdg", "did you mean sgd"), ("adamm", "adam"), ("SGD", "unknown"), ("adahessian", "second derivatives")],
)
def test_what_cannot_be_used_is_refused_by_the_constructor(name, words):
    with pytest.raises(BadInput, match=words):
        check_optimizer(name)
    with pytest.raises(BadInput, match=words):
        ImageClassifier(classes=["a", "b"], backbone="cnn", optimizer=name)


def test_asking_for_one_of_the_five_imports_no_torch():
    subprocess.run([sys.executable, "-c", BARE], check=True)
