"""A network that cannot be compiled is trained as it is, and that is said once."""

import logging

import pytest
import torch
from torch import nn

from fishnet.models.compiling import compile_network


@pytest.fixture
def network() -> nn.Module:
    torch.compiler.reset()
    yield nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    torch.compiler.reset()


@pytest.mark.parametrize(
    "part", ["torch._inductor.compile_fx.compile_fx", "torch._inductor.compile_fx._compile_fx_inner"]
)
def test_what_cannot_be_compiled_is_said_once_and_computes_as_it_is(network, monkeypatch, caplog, part):
    def broken(*_, **__):
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setattr(part, broken)
    photos = torch.randn(8, 4)
    plain = [nn.Module.__call__(network, photos), network(photos)][0].detach()
    counted = network[1].num_batches_tracked.item()
    compile_network(network)
    caplog.set_level(logging.INFO, "fishnet")
    for _ in range(3):
        answers = network(photos)
        answers.sum().backward()
    assert torch.allclose(answers, plain, atol=1e-5)
    assert network[1].num_batches_tracked.item() == counted + 3  # no step was half done
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "no compiler here" in caplog.text
