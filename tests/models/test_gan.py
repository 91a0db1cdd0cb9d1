"""The GAN's parts: what each network gives, what the disturbances keep, and what the measures see."""

import pytest
import torch

from fishnet.errors import BadInput
from fishnet.measure.generated import between_halves, fid, kid, nearest_training
from fishnet.models.gan import ImageGAN, as_numbers, as_photos, paired, squared_slope
from fishnet.models.gan_augment import disturbed
from fishnet.models.gan_measures import DrawnFeatures, kernel_distance, mean_distance, taken_for_real
from fishnet.models.gan_networks import spread
from tests.support.memory_data import MemoryData
from tests.support.trainers import quiet_trainer

TINY = {"classes": ["perch"], "latent": 8, "width": 4, "discriminator_width": 4}


def photos(count: int, seed: int = 0, size: int = 64) -> torch.Tensor:
    """Smooth random photos, uint8."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=rng)
    fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return (fine * 255).to(torch.uint8)


@pytest.mark.parametrize("size", [64, 128])
def test_noise_becomes_photos_and_photos_become_logits(size):
    gan = ImageGAN(**TINY, image_size=size).eval()
    images = gan(gan.noise(3, seed=0))
    assert images.shape == (3, 3, size, size)
    assert images.abs().max() <= 1
    assert gan.discriminator(images).shape == (3, 1 + 8 * 8)
    assert torch.equal(images, gan(gan.noise(3, seed=0)))
    assert not torch.equal(images, gan(gan.noise(3, seed=1)))


def test_the_strip_leads_from_the_first_photo_of_a_seed_to_its_second():
    gan = ImageGAN(**TINY).eval()
    ends, path = gan(gan.noise(2, seed=5)), gan(gan.path_between(5, 4))
    assert torch.allclose(path[0], ends[0], atol=1e-4) and torch.allclose(path[-1], ends[1], atol=1e-4)
    assert not torch.allclose(path[1], path[2], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image_size": 96}, "64 or 128"),
        ({"classes": ["perch", "pike"]}, "one class"),
        ({"lr": 0.0}, "above 0"),
        ({"colour": 1.5}, "colour=1.5"),
    ],
)
def test_what_no_gan_can_be_is_refused(change, word):
    with pytest.raises(BadInput, match=word):
        ImageGAN(**{**TINY, **change})


def test_photos_survive_the_way_to_numbers_and_back():
    original = photos(4)
    assert torch.equal(as_photos(as_numbers(original)), original)


def test_without_colour_a_disturbance_moves_and_blanks_but_invents_no_colour():
    images = torch.ones(16, 3, 64, 64) * torch.tensor([0.9, -0.4, 0.2]).view(1, 3, 1, 1)
    torch.manual_seed(0)
    changed = disturbed(images, colour=0)
    untouched = (changed == images).all(dim=1)
    assert ((changed == 0).all(dim=1) | untouched).all()
    assert untouched.float().mean() > 0.5
    assert not torch.equal(disturbed(images, colour=0.5)[:, :, 32, 32], images[:, :, 32, 32])


def test_gradients_flow_back_through_disturbances():
    images = torch.zeros(4, 3, 64, 64, requires_grad=True)
    disturbed(images + 0.1, colour=0.3).sum().backward()
    assert images.grad is not None and (images.grad != 0).float().mean() > 0.5


def test_the_loss_falls_as_the_pairs_part_and_the_penalty_is_the_squared_slope():
    assert paired(torch.full((2, 5), 3.0)) < paired(torch.zeros(2, 5)) < paired(torch.full((2, 5), -3.0))
    images = torch.randn(3, 3, 4, 4, requires_grad=True)
    flat = images.flatten(1)
    logits = torch.cat([2 * flat.sum(dim=1, keepdim=True), flat[:, :1] * 0], dim=1)
    assert squared_slope(logits, images) == pytest.approx(4 * 48, rel=1e-5)


def test_photos_that_are_all_alike_have_no_spread():
    maps = torch.randn(4, 6, 4, 4)
    assert spread(maps).mean() > 0.5
    assert spread(maps[:1].expand(4, -1, -1, -1)).max() < 1e-3


@pytest.mark.parametrize("size", [64, 128])
def test_training_moves_both_networks_and_the_mean_follows(tmp_path, size):
    gan = ImageGAN(**TINY, lr=0.01, image_size=size)
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    trainer = quiet_trainer(tmp_path, max_epochs=1, num_sanity_val_steps=0)
    trainer.fit(gan, datamodule=MemoryData(classes=["perch"], photos=24, size=size))
    after = gan.state_dict()
    for part in ("generator", "discriminator", "averaged"):
        moved = [name for name in after if name.startswith(part) and not torch.equal(after[name], before[name])]
        assert moved, part
    assert not torch.equal(after["averaged.colours.weight"], after["generator.colours.weight"])
    assert torch.equal(after["features.layers.0.weight"], before["features.layers.0.weight"])
    assert {"val/kid", "val/diversity", "train/generator_loss"} <= set(trainer.callback_metrics)


def test_drawn_features_see_other_photos_and_a_collapse():
    network = DrawnFeatures()
    real, alike, others = (network(as_numbers(images)) for images in (photos(60), photos(60, 1), 255 - photos(60) // 2))
    assert abs(kernel_distance(real, alike)) < kernel_distance(real, others) / 10
    assert mean_distance(real[:1].expand(60, -1)) < 1e-3 < mean_distance(real)
    assert torch.equal(real, DrawnFeatures()(as_numbers(photos(60))))  # the same in every run


def test_the_kernel_distance_does_not_depend_on_how_many_photos_there_are():
    network = DrawnFeatures()
    real, few, many = (network(as_numbers(photos(count, seed))) for count, seed in ((60, 0), (20, 1), (300, 2)))
    assert max(abs(kernel_distance(real, few)), abs(kernel_distance(few, many)), abs(kernel_distance(real, many))) < 0.1


def test_the_line_between_real_and_generated_has_no_fixed_height():
    real, generated = torch.tensor([11.0, 12.0, 13.0]), torch.tensor([7.0, 8.0, 9.0])
    assert taken_for_real(real, generated, torch.tensor([12.0, 12.0, 8.0, 9.9])) == 0.5


def test_kid_and_fid_of_one_source_are_those_of_its_halves_and_of_two_sources_far_more():
    rng = torch.Generator().manual_seed(0)
    real, same, other = (torch.randn(80, 12, generator=rng) + shift for shift in (0, 0, 1.5))
    halves = between_halves(real)
    assert abs(halves.kid) < 0.05 < kid(real, other)
    assert abs(kid(real, same)) < halves.kid_high + 0.05
    assert fid(real, same) < halves.fid < fid(real, other)


def test_copies_are_found_mirrored_and_shifted_and_others_are_not():
    training = photos(12)
    copied = torch.stack([training[3], training[5].flip(2), training[7].roll(4, dims=2), training[9].roll(-6, dims=1)])
    found = nearest_training(copied, training)
    assert found.rows.tolist() == [3, 5, 7, 9]
    assert found.distances.max() < 0.02
    assert nearest_training(photos(12, seed=9), training).distances.min() > 0.05
