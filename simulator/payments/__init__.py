"""Local payment providers for tests and the demonstration: real HTTP, keys of their own.

They sign and check as each provider's published rules say, and share no code with the station.
"""
