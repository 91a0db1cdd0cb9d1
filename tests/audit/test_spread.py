"""Early spread: a class of which a part is learned at once lies apart, and a photo counts no less than LOWEST."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fishnet.audit.page import audit_page
from fishnet.audit.spread import LOWEST, early_answers, spread_section, spread_table
from tests.support.edged import SIDE, is_edged
from tests.support.readers import BorderReader


class EdgeReader(BorderReader):
    """Has learned the edge, and the middle not yet."""

    def forward(self, images):
        bright = (images[..., :2, :].float() / 255).mean(dim=(1, 2, 3)) > 0.9
        return torch.stack([torch.zeros(len(images)), torch.zeros(len(images)), self.edge * bright], dim=1)


@pytest.fixture
def early(folder) -> pd.DataFrame:
    rows = np.flatnonzero(folder.table["seen"] != "train")
    models = (EdgeReader(SIDE, classes=3, edge=edge) for edge in (6.0, 8.0))
    return early_answers(models, folder, rows, batch_size=16)


def test_the_class_of_which_half_is_given_away_lies_furthest_apart(folder, early):
    table = spread_table(early)
    assert table["class"].iloc[0] == "class 2" and table["spread"].iloc[0] > 2 * table["spread"].iloc[1]
    assert (table["photos"] == 48).all()
    edged = early["path"].map(is_edged)
    own = early["class"] == "class 2"
    assert early.loc[own & edged, "log_p"].min() > early.loc[own & ~edged, "log_p"].max()


def test_photos_count_by_the_mean_over_the_models_and_no_less_than_the_lowest(folder):
    class Sure(BorderReader):
        """Always answers the first class, with certainty."""

        def forward(self, images):
            return torch.tensor([[90.0, 0.0, 0.0]]).expand(len(images), -1)

    class Even(BorderReader):
        """Knows nothing."""

        def forward(self, images):
            return torch.zeros(len(images), 3)

    rows = np.array([0, len(folder.table) - 1])  # of the first class and of the last
    early = early_answers(iter([Sure(SIDE, classes=3), Even(SIDE, classes=3)]), folder, rows, batch_size=2)
    third = np.log(1 / 3)
    assert early["log_p"].tolist() == pytest.approx([third / 2, (np.log(LOWEST) + third) / 2], abs=1e-6)
    assert early["class"].tolist() == ["class 0", "class 2"]


def test_the_page_shows_strips_and_gives_no_verdict(whole, early):
    audited = replace(whole, early=early)
    section = spread_section(audited)
    assert set(section.tables) == {"spread", "early"}
    assert section.metrics["audit/spread_max"] == pytest.approx(spread_table(early)["spread"].max())
    page = audit_page(audited, name="edge", sections=[section])
    assert "a suspicion and no verdict" in page and "svg+xml" in page and "class 2</b> (spread" in page
    assert spread_section(whole) is None
