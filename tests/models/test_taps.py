"""Layers listened to or cut in a forward pass; no hook stays behind."""

import pytest
import torch
from torch import nn

from fishnet.models.taps import graph_begins_at, recorded


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def hooks(net: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules())


def test_what_layers_take_in_and_give_out_is_recorded_in_order():
    net, images = network(), torch.randn(5, 4)
    with recorded([net[2], net[0]]) as calls:
        output = net(images)
        net(images)
    assert [call.layer for call in calls] == [net[0], net[2]] * 2
    assert torch.equal(calls[0].inputs[0], images)
    assert torch.equal(calls[1].inputs[0], calls[0].output.relu())
    assert torch.equal(calls[1].output, output)
    assert hooks(net) == 0


def test_only_what_is_kept_stays_in_memory():
    net = network()
    with recorded(net, keep=lambda call: call.output.shape) as shapes:
        net(torch.randn(5, 4))
    assert shapes == [(5, 3), (5, 3), (5, 2)]


def test_the_graph_begins_at_a_layer():
    net = network()
    with graph_begins_at(net[1]):
        net(torch.randn(5, 4)).sum().backward()
    assert net[0].weight.grad is None
    assert net[2].weight.grad is not None
    assert hooks(net) == 0


def test_hooks_are_gone_after_a_failure():
    net = network()
    for listening in (recorded(net), graph_begins_at(net[0])):
        with pytest.raises(RuntimeError), listening:
            net(torch.randn(5, 7))
    assert hooks(net) == 0
