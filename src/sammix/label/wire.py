"""HTTP as uvicorn speaks it, but for what is no HTTP."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Wire(H11Protocol):
    """uvicorn answers bytes that are no HTTP with a 400 and hangs up, whatever else goes on.

    The 400 fails after ``HEAD``, and while another answer is on its way. Another answer fails that comes after the 400,
    as long as the loop has not told that the connection is closed. Either would fill the terminal.
    """

    def send_400_response(self, msg: str) -> None:
        """Answer 400 if that can be, hang up, and let nothing more be answered."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
