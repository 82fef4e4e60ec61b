from __future__ import annotations

import numpy as np

from agent.vision.faces.refused import RefusedPlaces

BOX = np.array([10, 10, 50, 50], np.float32)


def test_a_place_is_left_alone_until_its_time_is_up() -> None:
    places = RefusedPlaces()
    places.add(2.0, BOX, 0.2)
    places.forget(1.9)
    assert places.holds(BOX + 5, 0.2)
    places.forget(2.0)
    assert not places.holds(BOX, 0.2)


def test_a_much_stronger_detection_and_one_elsewhere_are_heard() -> None:
    places = RefusedPlaces()
    places.add(2.0, BOX, 0.2)
    assert places.holds(BOX, 0.25)
    assert not places.holds(BOX, 0.31)
    assert not places.holds(BOX + 30, 0.2)
