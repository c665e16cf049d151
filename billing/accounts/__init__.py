"""Accounts of rooms and shops, who lives there, which meter counts, and money moved by hand."""
