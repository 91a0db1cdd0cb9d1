"""The proof of faults can fail: it knows who has to be named."""

from experiments.collect.faults import without_a_name
from experiments.replica.world import World


def test_a_pair_of_equal_bytes_has_to_name_both_observers():
    world = World(observations=12)
    one = world.found[0]
    other = next(found for found in world.found if found["user"] != one["user"])
    pair = (one["photos"][0][0], other["photos"][0][0])
    world.twins = dict([pair])
    names = [f"observer_{found['user']}" for found in (one, other)]
    both = {"photo_id": str(pair[0]), "observer": " | ".join(names)}
    both["attribution"] = " | ".join(f"(c) {name}, some rights reserved (CC-BY)" for name in names)
    assert without_a_name(world, [both]) == []
    assert without_a_name(world, [both | {"observer": names[0]}]) == [pair]
    assert without_a_name(world, [both | {"attribution": both["attribution"].partition(" | ")[0]}]) == [pair]
    assert without_a_name(world, []) == [pair]
