"""HTTP as uvicorn speaks it, but for what is no HTTP."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Wire(H11Protocol):
    """uvicorn answers bytes that are no HTTP with a 400, where no answer can be given as well.

    That is so after ``HEAD``, and while another answer is on its way. It would fail, and fill the terminal.
    """

    def send_400_response(self, msg: str) -> None:
        """Answer 400 if that can be, and hang up."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.close()
