"""The command line: a file a verb, each thin. Nothing heavy is imported before a verb needs it."""

from sammix.cli.app import app, main

__all__ = ["app", "main"]
