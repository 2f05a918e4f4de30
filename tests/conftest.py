"""What every test starts from."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A suite that a shell starts in the background ignores Ctrl-C, and tests that press it would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
