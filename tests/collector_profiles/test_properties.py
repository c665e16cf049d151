"""Planner, encoder and decoder against thousands of made-up profiles and replies."""

from itertools import pairwise, product

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from collector.catalogue import load_profiles
from collector.decode import decode, decode_row
from collector.encode import encode_row, encode_scale
from collector.invariants import profile_faults, resolution, sample_values, tolerance
from collector.plan import Block, plan_blocks, plan_s
from collector.profile import Encoding, Profile
from collector.wire import WireTiming
from domain.quantities import QUANTITIES, Kind
from domain.site import Parity

SHIPPED = load_profiles()
FLOATS = [name for name, q in QUANTITIES.items() if q.kind is Kind.FLOAT and name != "power_w"]
COUNTERS = [name for name, q in QUANTITIES.items() if q.unit == "Wh"]
NUMBERS = ["i16", "i32", "f32"]

timings = st.builds(
    WireTiming,
    baud=st.sampled_from([1200, 2400, 9600, 19_200, 115_200]),
    parity=st.sampled_from(list(Parity)),
    stop_bits=st.sampled_from([1, 2]),
    reply_delay_s=st.sampled_from([0.0, 0.005, 0.02, 0.05]),
)


@st.composite
def profiles(draw, most=8):
    """Draw a profile without faults: values, counters and bits scattered over a small space."""
    names = draw(st.lists(st.sampled_from(FLOATS + COUNTERS), max_size=most - 1))
    rows = [{"quantity": "power_w", "encoding": "i16", "group": "fast"}]
    for name in names:
        encoding = draw(st.sampled_from(NUMBERS if name in FLOATS else ["u32", "u64"]))
        rows.append({"quantity": name, "encoding": encoding})
    for row in rows:
        row["address"] = draw(st.integers(0, 90))
        row["space"] = draw(st.sampled_from(["holding", "holding", "input"]))
    spans = st.builds(
        lambda first, size: {"first": first, "last": first + size},
        st.integers(0, 90),
        st.integers(0, 3),
    )
    data = {
        "name": "drawn", "title": "Drawn", "source": "hypothesis", "word_order": "high-first",
        "rows": rows,
        "max_registers": draw(st.integers(4, 40)),
        "max_gap": draw(st.integers(0, 30)),
        "pause_s": draw(st.sampled_from([0.0, 0.1])),
        "forbidden_reads": draw(st.lists(spans, max_size=2)),
        "single_reads": draw(st.lists(spans, max_size=1)),
    }  # fmt: skip
    profile = Profile.model_validate(data)
    assume(not profile_faults(profile))
    return profile


def covered(block: Block, profile: Profile):
    """Return the rows whose registers all lie in a block."""
    return [row for row in profile.rows if block.covers(row.space, row.span.first, row.span.last)]


RELAXED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@RELAXED
@given(profiles(), timings, st.data())
def test_a_plan_covers_all_that_is_wanted_and_nothing_forbidden(profile, timing, data):
    wanted = data.draw(st.lists(st.sampled_from(profile.quantities()), unique=True))
    blocks = plan_blocks(profile, wanted, timing)
    for name in wanted:
        assert any(
            row in covered(block, profile) for row in profile.sources(name) for block in blocks
        )
    for block in blocks:
        assert block.count <= profile.max_registers
        assert covered(block, profile)
        for bad in profile.forbidden_reads:
            assert not bad.touches(block.space, block.address, block.last)
        for single in profile.single_reads:
            if single.touches(block.space, block.address, block.last):
                spans = {row.span for row in covered(block, profile)}
                assert Block(block.space, block.address, block.count) in {
                    Block(span.space, span.first, span.last - span.first + 1) for span in spans
                }


@RELAXED
@given(profiles(), timings)
def test_a_plan_never_costs_more_than_reading_value_by_value(profile, timing):
    wanted = profile.quantities()
    one_by_one = [block for name in wanted for block in plan_blocks(profile, [name], timing)]
    plan = plan_blocks(profile, wanted, timing)
    assert plan_s(profile, plan, timing) <= plan_s(profile, one_by_one, timing) + 1e-12


@settings(RELAXED, max_examples=60)
@given(profiles(most=5), timings)
def test_no_grouping_at_all_is_cheaper_than_the_plan(profile, timing):
    """Try every choice of rows and every way to group them, allowed ones only."""
    wanted = profile.quantities()
    cheapest = min(
        cost
        for rows in product(*(profile.sources(name) for name in wanted))
        for grouping in groupings(list(rows))
        if (cost := grouping_s(profile, grouping, timing)) is not None
    )
    plan = plan_blocks(profile, wanted, timing)
    assert abs(plan_s(profile, plan, timing) - cheapest) < 1e-12


def groupings(rows):
    """Yield every way to put rows into groups."""
    if not rows:
        yield []
        return
    head, *rest = rows
    for grouping in groupings(rest):
        yield [[head], *grouping]
        for place, group in enumerate(grouping):
            yield [*grouping[:place], [head, *group], *grouping[place + 1 :]]


def grouping_s(profile, grouping, timing):
    """Return the wire time of a grouping, or None where a group breaks a rule."""
    total = 0.0
    for group in grouping:
        if len({row.space for row in group}) > 1:
            return None
        spans = sorted({(row.span.first, row.span.last) for row in group})
        first, last = spans[0][0], max(span[1] for span in spans)
        gaps = [after[0] - before[1] - 1 for before, after in pairwise(spans)]
        barred = profile.forbidden_reads + (profile.single_reads if len(spans) > 1 else ())
        if any(bad.touches(group[0].space, first, last) for bad in barred):
            return None
        if last - first + 1 > profile.max_registers or max(gaps, default=0) > profile.max_gap:
            return None
        total += timing.read_s(last - first + 1, group[0].space) + profile.pause_s
    return total


@RELAXED
@given(profiles(), st.integers(0, 90))
def test_exception_2_is_learned_in_a_few_steps_and_costs_only_what_touches_it(profile, hole):
    """A meter without one register: replanning ends, and all else is still read."""
    wanted, splits, rounds = profile.quantities(), frozenset(), 0
    while True:
        blocks = plan_blocks(profile, wanted, splits=splits)
        refused = {
            block
            for block in blocks
            if block.space == "holding" and block.address <= hole <= block.last
        }
        new = {block for block in refused if len({row.span for row in covered(block, profile)}) > 1}
        if not new - splits:
            break
        assert not new & splits
        splits |= new
        rounds += 1
        assert rounds <= len(profile.rows)
    answered = [block for block in blocks if block not in refused]
    for name in wanted:
        rows = profile.sources(name)
        whole = [r for r in rows if r.space != "holding" or not r.span.first <= hole <= r.span.last]
        if len(whole) == len(rows):
            assert any(row in covered(block, profile) for row in rows for block in answered)


all_rows = st.sampled_from([(p, row) for p in SHIPPED.values() for row in p.rows])


@RELAXED
@given(all_rows, st.data())
def test_what_is_encoded_is_decoded(pair, data):
    profile, row = pair
    samples = sample_values(row)
    value = data.draw(st.sampled_from(samples))
    if row.encoding is not Encoding.BIT and isinstance(value, float):
        value = data.draw(st.floats(min(samples), max(samples)))
    span = row.span
    words = [0] * (span.last - span.first + 1)
    own = encode_row(profile, row, value)
    words[row.address - span.first : row.address - span.first + len(own)] = own
    if row.scale_address is not None:
        words[row.scale_address - span.first] = encode_scale(row)[0]
    found, complaint = decode_row(profile, row, words, -span.first)
    assert complaint == ""
    assert found is not None
    assert abs(found - value) <= max(tolerance(row, value), resolution(row) * 0.500001)


@RELAXED
@given(
    st.sampled_from(list(SHIPPED.values())),
    st.lists(st.integers(0, 0xFFFF), min_size=125, max_size=125),
    st.integers(0, 3),
)
def test_decode_never_raises_and_never_lets_an_implausible_value_through(profile, noise, cut):
    wanted = profile.quantities()
    blocks = plan_blocks(profile, wanted)
    replies = {block: noise[: max(0, block.count - cut)] for block in blocks}
    values, faults = decode(profile, replies, wanted)
    assert list(values) == list(wanted)
    refused = {fault.source for fault in faults}
    for name, value in values.items():
        if value is None:
            continue
        assert f"{profile.name}.{name}" not in refused
        limits = [row.limits for row in profile.sources(name)]
        assert any((lo is None or value >= lo) and (hi is None or value <= hi) for lo, hi in limits)


@RELAXED
@given(
    st.sampled_from(list(SHIPPED.values())),
    st.lists(st.integers(-(2**40), 2**40), min_size=125, max_size=125),
)
def test_words_that_are_no_words_are_refused(profile, junk):
    wanted = profile.quantities()
    blocks = plan_blocks(profile, wanted)
    values, _ = decode(profile, {block: junk[: block.count] for block in blocks}, wanted)
    assert set(values) == set(wanted)
