"""The ring keeps the last samples of every meter, whatever order they come in."""

import numpy as np

from rules.ring import SampleRing, Samples


def samples(*power: float, at: int = 0) -> Samples:
    values = np.array(power)
    return Samples(
        np.full(len(power), at, np.int64), values, values * 0 + 220, values / 220, values * 0 + 1
    )


def test_the_oldest_samples_fall_out():
    ring = SampleRing(2, depth=3)
    for second in range(5):
        ring.add(slice(0, 2), samples(second, 10 + second, at=second * 1000))
    times, history = ring.window(1, 10)
    assert times.tolist() == [2000, 3000, 4000]
    assert history.power_w.tolist() == [12, 13, 14]


def test_meters_read_out_of_turn_keep_their_own_order():
    ring = SampleRing(3, depth=3)
    ring.add(slice(0, 3), samples(1, 2, 3))
    ring.add(np.array([1]), samples(20))
    ring.add(slice(0, 3), samples(100, 200, 300))
    assert ring.window(0, 9)[1].power_w.tolist() == [1, 100]
    assert ring.window(1, 9)[1].power_w.tolist() == [2, 20, 200]
    before = ring.before(np.array([1, 2]), skip=1, depth=3)
    assert np.nan_to_num(before.power_w, nan=-1).tolist() == [[20, 3], [2, -1], [-1, -1]]
