"""``python -m sammix``: the command line."""

from sammix.cli import main

main()
