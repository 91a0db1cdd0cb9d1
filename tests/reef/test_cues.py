"""Cues: they cover what they say and leave the rest of the photo, and the fish, as they are."""

import cv2
import numpy as np
import pytest

from fishnet.reef import SPECIES, settings
from fishnet.reef.cues import CUES
from fishnet.reef.photo import draw_photo

KIND = SPECIES["arrow_pike"]
IN_SCENE = [name for name, cue in CUES.items() if cue.where != "whole" and name != "angler"]


def drawn(number: int, *cues: str, size: int = 96, **settings):
    return draw_photo(KIND, seed=3, number=number, observation=number, size=size, cues=cues, **settings)


def test_the_settings_name_every_cue_in_the_order_in_which_they_are_drawn():
    assert settings.CUES == tuple(CUES)
