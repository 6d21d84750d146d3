"""How a turn is cancelled: SIGINT to the main thread, which aider takes as ^C.

The signal wakes whatever the main thread waits in (a socket, a child, a sleep).
It becomes KeyboardInterrupt only while a turn is armed, and never inside a
masked section: there it waits for the section's end.
"""

import contextlib
import signal
import threading

REPEAT_S = 2.0  # aider or a library swallowed the interrupt: try again

_main = threading.main_thread().ident
_armed = False
_pending = False
_depth = 0
_over = threading.Event()


def install():
    signal.signal(signal.SIGINT, _on_signal)


def _on_signal(_number, _frame):
    global _pending
    if not _armed:
        return
    if _depth:
        _pending = True
        return
    raise KeyboardInterrupt


def arm():
    global _armed, _pending
    _pending = False
    _over.clear()
    _armed = True


def disarm():
    global _armed
    _armed = False
    _over.set()


def request():
    """From any thread: interrupts the armed turn, again and again until it ends."""

    def insist():
        while _armed:
            signal.pthread_kill(_main, signal.SIGINT)
            if _over.wait(REPEAT_S):
                return

    threading.Thread(target=insist, daemon=True).start()


@contextlib.contextmanager
def masked():
    """The turn is not interrupted inside. Only matters in the main thread."""
    global _depth, _pending
    if threading.get_ident() != _main:
        yield
        return
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _pending and not _depth:
            _pending = False
            if _armed:
                raise KeyboardInterrupt
