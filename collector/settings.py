"""The limits of polling: every wait, retry and queue of a bus is named here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class PollSettings(BaseModel):
    """How a bus is polled; the same for every bus of a site.

    `sweep_every_s` none: sweeps run back to back. `late_window_s` is the silence kept after a
    timeout while input is thrown away; for `late_memory_s` the meter is then asked in requests of
    another length, which a later reply can't fit. A meter is called silent after `silent_after`
    attempts and is then probed after `probe_first_s`, doubling up to `probe_most_s`.
    `current_factor` times the rated current is the most that is believed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep_every_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    slow_every_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    idle_sweep_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    late_window_s: Seconds = 0.25
    late_memory_s: Seconds = 60.0
    silent_after: Annotated[int, Field(ge=1, le=100)] = 3
    probe_first_s: Annotated[float, Field(gt=0, le=3600)] = 2.0
    probe_most_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    busy_wait_s: Seconds = 0.2
    busy_retries: Annotated[int, Field(ge=0, le=10)] = 2
    configuration_retry_s: Seconds = 600.0
    ahead_step_w: Annotated[float, Field(gt=0, le=500_000)] = 200.0
    confirm_gap_s: Seconds = 0.12
    confirm_most: Count = 16
    confirm_reads_most: Count = 10
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    reconnect_first_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    reconnect_most_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    mute_link_timeouts: Count = 20
    write_attempts: Annotated[int, Field(ge=1, le=5)] = 2
    read_back_reads: Annotated[int, Field(ge=1, le=20)] = 5
    read_back_gap_s: Seconds = 0.2
    queue_most: Count = 256
    deliveries_most: Count = 64
    frame_log: Count = 256
    current_factor: Annotated[float, Field(ge=1, le=100)] = 3.0
    voltage_most_v: Annotated[float, Field(gt=0, le=1000)] = 320.0
