"""Staff zones are masked, and faces centred in them are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.config import DetectionConfig, Polygon, TrackingConfig
from agent.base.errors import ConfigError
from agent.base.types import Frame, Grey
from agent.privacy.zones import FILL, StaffZones, rasterise
from agent.vision.faces.track import FaceTracker
from tests.vision.faces.test_track import LUMA, World

LEFT: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
MIDDLE: Polygon = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def even_odd(polygon: Polygon, shape: tuple[int, int]) -> np.ndarray:
    """Which pixel centres lie in a polygon, by the textbook's crossing count."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    x, y = (columns + 0.5) / width, (rows + 0.5) / height
    inside = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def test_without_zones_a_frame_is_not_even_copied() -> None:
    frame = Frame(0.0, LUMA)
    zones = StaffZones(())
    assert not zones
    assert zones.mask(frame) is frame
    assert not zones.contains(np.zeros((3, 2), np.float32)).any()


def test_a_zone_s_content_makes_no_difference_and_the_rest_stays() -> None:
    zones = StaffZones([MIDDLE])
    inside = even_odd(MIDDLE, (480, 640))
    other = np.where(inside, 255 - LUMA, LUMA)
    before = LUMA.copy()
    one, two = zones.mask(Frame(1.5, LUMA)), zones.mask(Frame(1.5, other))
    assert one.time == 1.5
    np.testing.assert_array_equal(one.luma, two.luma)
    assert (one.luma[inside] == FILL).all()
    np.testing.assert_array_equal(LUMA, before, "the source's own picture is left alone")
    far = rasterise([MIDDLE], (480, 640)) == 0
    np.testing.assert_array_equal(one.luma[far], LUMA[far])
    assert inside.sum() < (~far).sum() < 1.03 * inside.sum()


@settings(max_examples=60)
@given(
    st.integers(3, 9),
    st.integers(0, 10_000),
    st.sampled_from([(48, 64), (61, 37), (1, 5), (120, 160)]),
)
def test_every_pixel_of_a_zone_is_painted(corners: int, seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(0.1, 0.5, corners)
    polygon = tuple(
        (float(0.5 + r * np.cos(a)), float(0.5 + r * np.sin(a)))
        for r, a in zip(radii, angles, strict=True)
    )
    assert (rasterise([polygon], shape)[even_odd(polygon, shape)] == 255).all()


def test_a_zone_up_to_the_edge_covers_the_edge() -> None:
    whole: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert (StaffZones([whole]).mask(Frame(0, LUMA)).luma == FILL).all()


def test_overlapping_zones_add_up() -> None:
    mask = rasterise([LEFT, MIDDLE], (48, 64))
    assert (mask[even_odd(LEFT, (48, 64)) | even_odd(MIDDLE, (48, 64))] == 255).all()


def test_zones_follow_the_size_of_the_frame() -> None:
    zones = StaffZones([LEFT])
    for shape in ((480, 640), (240, 320), (480, 640), (7, 9)):
        luma: Grey = np.full(shape, 7, np.uint8)
        painted = zones.mask(Frame(0, luma)).luma == FILL
        assert painted[:, : shape[1] // 2].all()
        assert not painted[:, shape[1] // 2 + 2 :].any()


def test_a_centre_beyond_the_edge_counts_as_the_edge() -> None:
    zones = StaffZones([LEFT])
    zones.mask(Frame(0, LUMA))
    points = np.array([[-50, 240], [700, 240], [100, -9], [100, 900]], np.float32)
    assert zones.contains(points).tolist() == [True, False, True, True]


def _tracker(world: World, zones: StaffZones) -> FaceTracker:
    detection, tracking = DetectionConfig(), TrackingConfig()
    return FaceTracker(world.detect, world, detection, tracking, 0.5, zones=zones)


def test_detections_go_by_their_centre() -> None:
    """Of two faces that reach out of the zone only the one centred beside it is tracked."""
    world, zones = World(), StaffZones([LEFT])
    world.put("staff", 310, 120)
    world.put("guest", 340, 360)
    tracker = _tracker(world, zones)
    for i in range(10):
        (track,) = tracker.update(zones.mask(Frame(i / 30, LUMA)))
        assert track.track_id == 1
        np.testing.assert_allclose(track.points, world.faces["guest"], atol=0.5)


def test_a_track_that_enters_a_zone_ends_and_is_not_resumed() -> None:
    world, zones = World(), StaffZones([LEFT])
    tracker = _tracker(world, zones)
    ids: list[set[int]] = []
    for x in (*range(400, 300, -5), *range(300, 400, 5)):
        world.put("a", x, 200)
        frame = zones.mask(Frame(len(ids) / 30, LUMA))
        ids.append({track.track_id for track in tracker.update(frame)})
    assert ids[:15] == [{1}] * 15
    assert ids[20] == set()
    assert ids[-1] == {2}


def test_a_zone_that_is_no_polygon_is_refused() -> None:
    with pytest.raises(ConfigError, match="meets its edge"):
        StaffZones([((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9))])
