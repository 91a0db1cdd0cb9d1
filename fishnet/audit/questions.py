"""The further questions that the verb asks, in the order of the page; a new one is a function of SECTIONS."""

from collections.abc import Callable

from .atlas import atlas_section
from .confusions import confusions_section
from .counterexamples import counterexamples_section
from .crops import crops_section
from .inherited import reference_section
from .observers import observers_section
from .power import power_section
from .refused import refused_section
from .rounds import rounds_section
from .sections import Audited, Section
from .spread import spread_section

SECTIONS: list[Callable[[Audited], Section | None]] = [
    rounds_section, reference_section, crops_section, spread_section, power_section, confusions_section, atlas_section,
    observers_section, refused_section, counterexamples_section,
]  # fmt: skip


def sections_of(audited: Audited) -> list[Section]:
    """The sections that apply."""
    answers = [section(audited) for section in SECTIONS]
    return [answer for answer in answers if answer is not None]
