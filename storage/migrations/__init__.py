"""The ledger's schema changes, in order; they run by themselves when a ledger is opened."""
