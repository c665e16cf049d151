"""The supply comes back: a heater that is still plugged in is seen, a room coming back is not."""

IDLE, HEATER, DARK = (80.0, 0.90), (1080.0, 0.999), (0.0, None)
ROOM_BACK = (420.0, 0.97)  # everything in the room at once: electronics and lamps


def test_a_heater_still_plugged_in_trips_again_after_the_restore(room):
    watched = room()
    assert watched.words(IDLE, IDLE, HEATER, HEATER)[-1] == "TRIP"
    assert watched.words(*[DARK] * 8, relay_closed=False)[0] == "fine"
    assert watched.words(HEATER, HEATER, relay_closed=True) == ["suspect", "TRIP"]


def test_it_trips_again_on_power_alone_because_the_level_before_it_is_remembered(room):
    idle, heater = (80.0, None), (1080.0, None)
    watched = room()
    assert watched.words(idle, idle, heater, heater, heater)[-1] == "TRIP"
    watched.words(*[DARK] * 8, relay_closed=False)
    assert "TRIP" in watched.words(*[heater] * 4, relay_closed=True)


def test_a_room_that_comes_back_without_its_heater_is_fine(room):
    watched = room()
    watched.words(IDLE, IDLE, HEATER, HEATER)
    watched.words(*[DARK] * 8, relay_closed=False)
    assert "TRIP" not in watched.words(*[IDLE] * 10, relay_closed=True)


def test_a_room_that_comes_back_as_a_whole_can_not_be_told_on_power_alone(room):
    watched = room()
    watched.words((420.0, None), (420.0, None))
    watched.words(*[DARK] * 8, relay_closed=False)
    said = watched.words(*[(420.0, None)] * 10, relay_closed=True)
    assert "TRIP" not in said
    assert "unknown" in said


def test_a_room_of_electronics_that_comes_back_as_a_whole_does_not_trip(room):
    watched = room()
    watched.words(ROOM_BACK, ROOM_BACK)
    watched.words(*[DARK] * 8, relay_closed=False)
    assert "TRIP" not in watched.words(*[ROOM_BACK] * 10, relay_closed=True)


def test_electronics_that_come_back_after_a_dryer_outstayed_its_run_do_not_trip(room):
    dryer = {"name": "hair dryer", "power_w": 1000, "longest_run_s": 5}
    watched = room(white_list=[dryer])
    dark_room, drying, back = (0.0, 1.0), (1000.0, 0.9999), (280.0, 0.66)
    assert watched.words(dark_room, dark_room, *[drying] * 8)[-1] == "TRIP"
    watched.words(*[DARK] * 8, relay_closed=False)
    assert "TRIP" not in watched.words(*[back] * 10, relay_closed=True)


def test_on_power_alone_another_load_that_comes_back_is_not_taken_for_the_heater(room):
    watched = room()
    watched.words((0.0, None), (0.0, None), *[(1000.0, None)] * 4)
    watched.words(*[DARK] * 8, relay_closed=False)
    said = watched.words(*[(280.0, None)] * 10, relay_closed=True)
    assert "TRIP" not in said
    assert "unknown" in said


def test_electronics_that_hover_at_the_limit_after_a_restore_do_not_trip(room):
    watched = room(every_s=1.4)
    watched.words((480.0, 0.77), (480.0, 0.77), (1460.0, 0.965), (1460.0, 0.965))
    watched.words(*[DARK] * 20, relay_closed=False)
    hover = [(power, 0.668) for power in (254, 255, 252, 249, 249, 254, 254, 254, 251, 252, 255)]
    assert "TRIP" not in watched.words(*hover, relay_closed=True)
