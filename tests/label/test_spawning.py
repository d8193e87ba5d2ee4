"""The server is quick to start because it imports no torch; its processes do."""

from __future__ import annotations

import subprocess
import sys


def test_the_server_imports_no_torch() -> None:
    code = "import sys, sammix.label.serving, sammix.label.spawning; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
