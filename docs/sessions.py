"""Terminal sessions in the documentation: what a page prints is what the program prints.

Where a block of the kind ``sh`` is followed at once by one of the kind ``console``, the second holds what the commands
of the first print. These blocks of a page are one session: they run from the first to the last, in one folder, where
``docs`` is the repository's. The tests run them and compare. A line ``…`` stands for any lines, and ``…`` within a line
for any characters: times, and figures that depend on the machine. Lines that say how far the work is are left out: how
many come depends on the machine, too.

What would take the tests too long has a line between the two that says when and by which commit it was printed; so has
what the demo printed. The tests leave these alone, and this script renews all of them::

    python docs/sessions.py docs/tutorial.md
    python docs/sessions.py docs/tutorial.md --demo demo  # a folder that `make demo` made
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAMP = r"\*Printed on \d{4}-\d\d-\d\d by commit [0-9a-f]{7,}, [^\n]+:\*"
LINES = r"(?:(?!```).*\n)*"
SESSION = re.compile(
    rf"^```sh\n(?P<commands>{LINES})```\n\n(?:(?P<stamp>{STAMP})\n\n)?```console\n(?P<printed>{LINES})```$",
    re.MULTILINE,
)
PROGRESS = re.compile(r"^.+: \d+/\d+, about \d+ s left\n", re.MULTILINE)
DEMO = "make demo"
MACHINE = "on two cores of an AMD EPYC"


@dataclass(frozen=True)
class Session:
    """Commands of a page and what they print; ``recorded`` where the tests do not run them."""

    commands: str
    printed: str
    recorded: bool

    @property
    def of_the_demo(self) -> bool:
        """Whether it is ``make demo``, whose figures come from the folder that it made."""
        return self.commands.split("#")[0].strip() == DEMO


def sessions(page: str) -> Iterator[tuple[re.Match[str], Session]]:
    """Every block of commands whose output the page prints, with where it stands in the page's text."""
    for match in SESSION.finditer(page):
        yield match, Session(match["commands"], match["printed"], match["stamp"] is not None)


def folder_for_a_session(folder: Path) -> Path:
    """A folder that has the repository's ``docs``, as a checkout has."""
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


def run(commands: str, folder: Path) -> str:
    """What commands print, to either stream, in a terminal that is 120 characters wide; without the progress."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        commands, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return PROGRESS.sub("", done.stdout)


def agree(written: str, printed: str) -> bool:
    """Whether a page's text stands for what was printed: ``…`` stands for anything, a line of it for lines."""
    lines = [
        r"(.*\n)*?" if line == "…" else re.escape(f"{line}\n").replace("…", ".*?") for line in written.splitlines()
    ]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in printed.splitlines())) is not None


def of_the_demo(folder: Path) -> str:
    """What the demo prints at its end, from the folder that it made."""
    from sammix.demo.tour import REPORTS, closing
    from sammix.evaluation.schema import Metrics

    found = {
        name: Metrics.model_validate_json((folder / report / "metrics.json").read_text(encoding="utf-8"))
        for name, report in REPORTS.items()
    }
    return f"…\n{closing(Path(folder.name), found)}\n"


def stamp(checkout: Path) -> str:
    """The line above a recorded block: today, and the commit of a checkout whose source is as committed."""
    git = ["git", "-C", str(checkout)]
    if subprocess.run([*git, "status", "--porcelain", ":/src"], capture_output=True, text=True, check=True).stdout:
        sys.exit("src differs from the commit: commit first, so that the page can name what printed it")
    commit = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=True).stdout
    return f"*Printed on {datetime.date.today().isoformat()} by commit {commit.strip()}, {MACHINE}:*"


def renewed(page: str, demo: Path | None) -> str:
    """The page with what its commands print now; without ``demo``, what the demo printed stays."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, parts, end = folder_for_a_session(Path(temporary)), [], 0
        for match, session in sessions(page):
            if session.of_the_demo:
                if demo is None:
                    continue
                printed, checkout = of_the_demo(demo), demo
            else:
                printed, checkout = run(session.commands, folder), ROOT
            if agree(session.printed, printed):
                printed = session.printed
            above = f"{stamp(checkout)}\n\n" if session.recorded else ""
            parts += [page[end : match.start()], f"```sh\n{session.commands}```\n\n{above}```console\n{printed}```"]
            end = match.end()
    return "".join(parts) + page[end:]


def main() -> None:
    """Renew the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--demo", type=Path, help="the folder that `make demo` made")
    given = parser.parse_args()
    for page in given.pages:
        page.write_text(renewed(page.read_text(encoding="utf-8"), given.demo), encoding="utf-8")


if __name__ == "__main__":
    main()
