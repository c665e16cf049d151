"""What must hold for every meter model, shipped or the user's own; all faults are listed."""

from collector.profile import Profile
from domain.faults import Fault
from domain.quantities import QUANTITIES


def profile_faults(profile: Profile, source: str = "") -> list[Fault]:
    """Return everything that is wrong with a profile; `source` is its file."""
    where = source or f"{profile.name}.toml"
    return [
        Fault(f"{where}: rows[{index}].quantity", "is not a known quantity", row.quantity)
        for index, row in enumerate(profile.rows)
        if row.quantity not in QUANTITIES
    ]
