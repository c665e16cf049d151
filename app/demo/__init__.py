"""The demonstration: a virtual campus, a station on it, and an honest account of both."""
