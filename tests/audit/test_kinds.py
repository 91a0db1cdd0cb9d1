"""What is exchanged, and above all what is not: the animals of donor and host."""

import pytest
import torch

from fishnet.audit.kinds import KINDS, REGIONS, Views, blurred, exchanged, exchanged_share
from fishnet.audit.regions import ellipse

SIDE = 48


def photos(seed: int, count: int = 3) -> torch.Tensor:
    noise = torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    smooth = blurred(noise, 1.5)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def views(seed: int, count: int = 3) -> Views:
    return Views(photos(seed, count), ellipse(SIDE)[None, None].repeat(count, 1, 1, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_photos_stay_photos(kind):
    result = exchanged(kind, views(0, 2), views(1, 3))
    assert result.shape == (3, 2, 3, SIDE, SIDE)
    assert result.min() >= 0 and result.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_lends_to_itself_stays_as_it_is(kind):
    own = views(0, 1)
    assert torch.allclose(exchanged(kind, own, own)[0, 0], own.pixels[0], atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_donors_animal_travels(kind):
    hosts, donors = views(0), views(1)
    inside = donors.protected.bool().expand_as(donors.pixels)
    other_animal = Views(torch.where(inside, photos(7), donors.pixels), donors.protected)
    changed = (exchanged(kind, hosts, donors) - exchanged(kind, hosts, other_animal)).abs()
    assert changed.mean() < 0.002  # the soft edge of a region
    assert (exchanged(kind, hosts, donors) - hosts.pixels).abs().mean() > 5 * changed.mean()


@pytest.mark.parametrize("kind", REGIONS)
def test_the_hosts_animal_is_left_alone(kind):
    hosts, donors = views(0), views(1)
    deep = ellipse(SIDE).bool() & (blurred(1 - ellipse(SIDE)[None, None], 1.5)[0, 0] < 1e-3)
    changed = (exchanged(kind, hosts, donors) - hosts.pixels).abs()
    assert changed[..., deep].max() < 1e-3
    assert changed[..., 0, 0].max() > 0.05


def test_a_photo_that_is_protected_everywhere_lends_nothing():
    hosts, donors = views(0), Views(photos(1), torch.ones(3, 1, SIDE, SIDE))
    for kind in REGIONS:
        assert torch.allclose(exchanged(kind, hosts, donors), hosts.pixels.expand(3, -1, -1, -1, -1))
        assert exchanged_share(kind, hosts, donors) == 0


def test_a_property_is_taken_over():
    hosts, donors = views(0), views(1)
    red = Views((donors.pixels * torch.tensor([1.0, 0.3, 0.3]).view(1, 3, 1, 1)), donors.protected)
    after = exchanged("colour", hosts, red)
    assert after[:, :, 1].mean() < 0.5 * exchanged("colour", hosts, donors)[:, :, 1].mean()
    soft = Views(blurred(donors.pixels, 2.0), donors.protected)

    def fine(x):
        return (x - blurred(x.flatten(0, 1), 0.7).view_as(x)).abs().mean()

    assert fine(exchanged("sharp", hosts, soft)) < 0.7 * fine(exchanged("sharp", hosts, donors))
