"""Effects of donors on hosts: what they are, and that a donor is asked about once."""

import numpy as np
import pytest
import torch

from fishnet.audit.exchange import choose_donors, choose_hosts, measure_effects
from fishnet.audit.jobs import Job
from fishnet.audit.kinds import Views
from fishnet.audit.regions import ellipse
from fishnet.audit.significance import carriers_of, exchange_test
from fishnet.errors import BadInput
from tests.support.readers import BorderReader

SIDE, PER_CLASS = 32, 44


@pytest.fixture
def photos():
    """Four classes; half of class 2 has a white edge. Labels, groups, keys, and views by position."""
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(4 * PER_CLASS) % 4
    images = torch.rand(len(labels), 3, SIDE, SIDE, generator=generator) * 0.5
    carrying = (labels == 2) & (np.arange(len(labels)) // 4 % 2 == 0)
    images[torch.from_numpy(carrying), :, :3] = 1
    images[torch.from_numpy(carrying), :, -3:] = 1
    region = ellipse(SIDE)[None, None]

    def views_of(rows):
        chosen = images[list(rows)]
        return Views(chosen, region.expand(len(chosen), 1, SIDE, SIDE))

    return labels, np.arange(len(labels)), [f"{row:04d}" for row in range(len(labels))], views_of, carrying


def measured(photos, model, folder, donors=None, kinds=("outer", "ring", "colour"), job=None):
    labels, groups, keys, views_of, _ = photos
    return measure_effects(
        model, views_of, labels, groups, keys, hosts=np.arange(8), donors=np.arange(len(labels)) if donors is None
        else donors, folder=folder, about={"model": "border"}, kinds=kinds, job=job, progress=False,
    )  # fmt: skip


def test_an_effect_is_the_mean_change_in_hosts_of_other_classes(photos, tmp_path):
    from fishnet.audit.kinds import exchanged

    labels, _, _, views_of, _ = photos
    model = BorderReader(SIDE)
    effects = measured(photos, model, tmp_path, donors=np.array([2, 10]), kinds=("ring",))
    hosts, donor = views_of(range(8)), views_of([10])
    others = labels[:8] != 2
    before = model.probabilities(model(hosts.pixels))[:, 2].numpy()
    after = model.probabilities(model(exchanged("ring", hosts, donor)[0]))[:, 2].numpy()
    assert effects.probabilities[0, 1, 2] == pytest.approx((after - before)[others].mean(), abs=1e-5)


def test_the_class_that_rests_on_the_edge_is_found_with_its_photos(photos, tmp_path):
    carrying = photos[4]
    effects = measured(photos, BorderReader(SIDE), tmp_path)
    tests = exchange_test(effects)
    assert [test.flagged for test in tests] == [False, False, True, False]
    assert tests[2].by_kind["ring"] < 1e-6
    found = carriers_of(effects, 2, "ring")
    assert set(np.flatnonzero(carrying)) <= set(found)
    assert len(found) <= carrying.sum() + 8  # noise above the others' 95 %
    assert tests[2].effect[1] > 0.1


def test_what_is_known_is_not_asked_again(photos, tmp_path):
    model = BorderReader(SIDE)
    first = measured(photos, model, tmp_path, donors=np.arange(40))
    asked = model.asked
    again = measured(photos, model, tmp_path, donors=np.arange(40))
    assert model.asked == asked
    assert np.array_equal(first.logits, again.logits)
    more = measured(photos, model, tmp_path, donors=np.arange(60))
    assert model.asked - asked == 8 + 20 * (8 * 3 + 1)  # the hosts, and the new donors with what they are themselves
    assert np.array_equal(more.logits[:, :40], first.logits)


def test_a_run_that_dies_goes_on(photos, tmp_path):
    class Dies(BorderReader):
        def forward(self, images):
            if self.asked > 600:
                raise KeyboardInterrupt
            return super().forward(images)

    with pytest.raises(KeyboardInterrupt):
        measured(photos, Dies(SIDE), tmp_path)
    model = BorderReader(SIDE)
    effects = measured(photos, model, tmp_path)
    assert 8 < model.asked < 8 + 4 * PER_CLASS * 8 * 3
    whole = measured(photos, BorderReader(SIDE), tmp_path / "anew")
    assert np.array_equal(effects.logits, whole.logits)


def test_hosts_take_turns_between_the_classes():
    labels, keys = np.array([0, 0, 0, 1, 1, 2]), list("fedcba")
    assert labels[choose_hosts(labels, keys, np.arange(6), 4)].tolist() == [0, 1, 2, 0]


def test_donors_are_of_many_groups():
    labels, groups = np.zeros(8, int), np.array([0, 0, 0, 0, 0, 1, 2, 3])
    donors = choose_donors(labels, groups, [f"{n}" for n in range(8)], np.arange(8), most=5)
    assert set(groups[donors]) == {0, 1, 2, 3}
    assert len(donors) == 5


def test_what_jobs_have_measured_is_not_measured_again(photos, tmp_path):
    """Each job writes a store of its own; a run reads them all, and measures what is left."""
    donors = np.arange(len(photos[0]))
    shares = [Job(number, 3).share(len(donors)) for number in (1, 2, 3)]
    assert sorted(np.concatenate(shares).tolist()) == donors.tolist()
    whole = measured(photos, BorderReader(SIDE), tmp_path / "whole")
    first = measured(photos, BorderReader(SIDE), tmp_path / "jobs", donors=donors[shares[0]], job=Job(1, 3))
    assert np.array_equal(first.logits, whole.logits[:, shares[0]])
    measured(photos, BorderReader(SIDE), tmp_path / "jobs", donors=donors[shares[2]], job=Job(3, 3))
    model, all_at_once = BorderReader(SIDE), BorderReader(SIDE)
    joined = measured(photos, model, tmp_path / "jobs")
    measured(photos, all_at_once, tmp_path / "again")
    assert np.array_equal(joined.logits, whole.logits) and np.array_equal(joined.probabilities, whole.probabilities)
    assert model.asked < 0.36 * all_at_once.asked  # a third of the donors
    model.asked = 0
    measured(photos, model, tmp_path / "jobs", donors=donors[shares[1]], job=Job(2, 3))
    assert model.asked == 0


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_a_job_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="job=1/4"):
        Job.named(text)
