"""The SQL ledger: roster, policy, trip causes, commands, receipts, events."""
