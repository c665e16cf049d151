"""Recharges: orders, payment channels, notices, refunds."""
