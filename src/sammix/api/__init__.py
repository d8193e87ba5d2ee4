"""The Python API: what ``import sammix`` offers. Each name is imported when it is first used."""
