"""The texts people read, one file a subject; each key in every language."""
