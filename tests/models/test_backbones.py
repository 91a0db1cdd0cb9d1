"""A backbone's arguments describe the network; weights are named elsewhere."""

import pytest

from fishnet.errors import BadInput
from fishnet.models.backbones import WEIGHTS, build_backbone


@pytest.mark.parametrize("name", WEIGHTS)
def test_arguments_of_a_backbone_bring_no_weights(name):
    """A checkpoint or a bundle from elsewhere has such arguments, too, and may not have anything fetched."""
    with pytest.raises(BadInput, match=f"{name}.*model.pretrained"):
        build_backbone("resnet18", num_classes=3, pretrained=False, dropout=0.0, arguments={name: "x"})
