"""Whether a table can carry a fit at all; a number without this is the commonest mistake of the field.

Catches and biomass that never moved say nothing about how fast a stock grows: any r fits, with its own K.
"""

import numpy as np

from .fitting import PRIOR_R, Fit
from .intervals import Doubt
from .production import grown

FEWEST = 15  # years in which somebody looked
CONTRAST = 1.8  # the smoothed biomass at its highest against its lowest, a tenth of the years left out at either end
BELIEF = 0.75  # of the prior's standard deviation: above it, r is what was believed beforehand
ALIKE = 0.6  # correlation
WIDEST = 1.0  # of MSY itself


def contrast(found: Fit) -> float:
    low, high = np.quantile(found.states[0], [0.05, 0.95])
    return float(np.exp(high - low))


def likeness(found: Fit) -> float:
    """How alike nature's errors of neighbouring years are: near 0 if the model holds, near 1 if it misses something."""
    x, catch = found.states[0], found.series.catch[0, :-1] / np.exp(found.log_k[0])
    error = x[1:] - grown(found.curve, np.exp(x[:-1]), np.exp(found.log_r[0]), catch)
    error = error - error.mean()
    return float((error[1:] * error[:-1]).sum() / max((error**2).sum(), 1e-12))


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
    if likeness(found) > ALIKE:
        said.append(
            "nature's errors of neighbouring years are much alike, so the curve misses something and the intervals "
            "are too "
            "narrow"
        )
    return said
