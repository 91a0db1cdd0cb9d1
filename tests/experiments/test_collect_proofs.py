"""The proofs of the collector, small: faults, kills and four processes at once; the tables and memory at size."""

import pytest

from experiments.collect import faults, four, kills, memory, tables

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("proof", "scale"), [(faults, 0.15), (kills, 0.1), (four, 0.02), (tables, 0.01), (memory, 0.02)]
)
def test_a_proof_holds_at_a_small_share_of_its_size(proof, scale):
    wrong = [f"{asked}: {measured}, goal {goal}" for asked, measured, goal, met in proof.proof(scale) if not met]
    assert not wrong
