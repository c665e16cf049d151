"""A row with a step up does not wait for the end of its round."""

from collector.poller import Poller, SweepMaker
from collector.settings import PollSettings


class _Owner:
    settings = PollSettings(ahead_step_w=200)


def test_only_a_rise_of_the_set_size_goes_ahead_and_the_first_reading_never_does() -> None:
    poller = Poller(_Owner(), [], SweepMaker("b1"), None)  # type: ignore[arg-type]
    told = [
        poller._has_risen({"meter": meter, "power_w": power_w})
        for meter, power_w in (
            ("a", 1500.0),  # unknown before: cannot tell
            ("a", 1600.0),
            ("a", 1800.0),  # up by 200 W
            ("a", 100.0),  # down
            ("b", 900.0),
            ("a", None),  # missing is no step and no new level
            ("a", 299.9),
            ("a", 499.9),
        )
    ]
    assert told == [False, False, True, False, False, False, False, True]
