"""Near duplicates are found as a slow and plain search finds them, and the hash is the well-known one."""

import time
from io import BytesIO

import imagehash
import numpy as np
import pytest
from PIL import Image

from fishnet.data.duplicates import first_seen, merged, near_duplicate_clusters, near_pairs
from fishnet.data.scan import FLAT, phash

rng = np.random.default_rng(0)


def picture(seed, size=(300, 200)):
    spots = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC)


def again(image, quality=75):
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize("seed", range(20))
def test_the_hash_is_imagehash(seed):
    image = picture(seed)
    assert phash(image) == int(str(imagehash.phash(image)), 16)


def test_copies_are_near_and_others_far():
    originals = [picture(seed) for seed in range(30)]
    copies = [again(image.resize((150, 100)), 50) for image in originals]
    hashes = np.array([phash(image) for image in originals + copies], np.uint64)
    clusters = near_duplicate_clusters(hashes)
    assert clusters.tolist() == [*range(30), *range(30)]


def test_flat_pictures_are_never_near():
    flat = [phash(Image.new("RGB", (50, 50), (grey, grey, grey))) for grey in (0, 0, 255, 90)]
    assert flat == [FLAT] * 4
    assert near_duplicate_clusters(np.array([*flat, 7, 7], np.uint64)).tolist() == [0, 1, 2, 3, 4, 4]


@pytest.mark.parametrize("distance", [0, 1, 4, 6, 10])
def test_pairs_are_those_of_the_plain_search(distance):
    hashes = rng.integers(1, 2**63, 300, np.uint64)
    flips = rng.integers(0, 64, (300, 12), np.uint64)
    for row in range(150):
        for flip in flips[row, : rng.integers(0, 12)]:
            hashes[row] ^= np.uint64(1) << flip
        hashes[row] = hashes[row + 150] ^ (hashes[row] & np.uint64(0x0101010101010101))
    hashes = np.unique(hashes)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = {(a, b) for a, b in np.argwhere(apart <= distance).tolist() if a < b}
    left, right = near_pairs(hashes, distance)
    assert {tuple(sorted(pair)) for pair in zip(left.tolist(), right.tolist(), strict=True)} == expected


def test_a_crowd_of_look_alikes_takes_no_quadratic_time():
    crowd = np.uint64(0xABCDEF) << np.uint64(40) | rng.integers(0, 2**40, 60_000, np.uint64)
    start = time.process_time()
    near_duplicate_clusters(crowd)
    assert time.process_time() - start < 20


def test_merging_joins_whatever_shares_a_label():
    assert merged(np.array([1, 1, 2, 3, 4]), np.array(list("abbcd"))).tolist() == [0, 0, 0, 1, 2]


def test_no_photos_at_all():
    assert near_duplicate_clusters(np.array([], np.uint64)).tolist() == []


def test_numbers_follow_appearance():
    assert first_seen(np.array(["z", "a", "z", "b"])).tolist() == [0, 1, 0, 2]
