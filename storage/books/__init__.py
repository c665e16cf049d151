"""The books on the SQL database: money, accounts, usage, orders, messages, users."""
