"""Whether a table can carry a fit at all; a number without this is the commonest mistake of the field.

Catches and biomass that never moved say nothing about how fast a stock grows: any r fits, with its own K.
"""

import numpy as np

from .fitting import PRIOR_R, Fit
from .intervals import Doubt

FEWEST = 15  # years in which somebody looked
CONTRAST = 1.8  # the smoothed biomass at its highest against its lowest, a tenth of the years left out at either end
BELIEF = 0.75  # of the prior's standard deviation: above it, r is what was believed beforehand
WIDEST = 1.0  # of MSY itself


def contrast(found: Fit) -> float:
    low, high = np.quantile(found.states[0], [0.05, 0.95])
    return float(np.exp(high - low))


def warnings(found: Fit, doubt: Doubt) -> list[str]:
    """Sentences; none where the data carry the fit."""
    years, said = found.states.shape[1], []
    seen = int(np.isfinite(found.series.index[0]).sum())
    if seen < FEWEST:
        said.append(f"too short: biomass is known for {seen} years, and fewer than {FEWEST} seldom tell r from K")
    if contrast(found) < CONTRAST:
        said.append(
            f"no contrast: the biomass changed only {contrast(found):.1f}-fold, so how fast it grows can hardly be seen"
        )
    if float(found.covariance[0, years, years]) ** 0.5 > BELIEF * PRIOR_R[1]:
        said.append("r is hardly more than what was believed before the table was seen")
    if doubt.intervals["msy"].relative_width > WIDEST:
        said.append(f"the interval of MSY is {doubt.intervals['msy'].relative_width:.1f} times MSY itself")
    return said
