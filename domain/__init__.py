"""The vocabulary that all packages speak: quantities, frames, the site, causes, commands."""
