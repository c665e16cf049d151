"""Accounts of rooms and shops, who lives there, which meter counts, and money moved by hand."""

from billing.accounts.roster import accounts_for_roster
from billing.accounts.service import Accounts

__all__ = ["Accounts", "accounts_for_roster"]
