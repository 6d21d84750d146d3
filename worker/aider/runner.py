"""Runs the shell commands of /run, /test, /git and of aider's lint and test hooks:
no stdin, no keys in the environment, bounded output, the whole process group gone
when the turn is cancelled, everything shown as a tool call."""

import os
import select
import signal
import subprocess
import threading
import time

import interrupts
from updates import COMMAND_TEXT_MAX, SECRET_NAME

HEAD_MAX = 32 * 1024  # of the output kept: its beginning and its end
TAIL_MAX = 96 * 1024
SHOW_EVERY_S = 0.25  # while it runs, the client sees the output at most so often
SHOW_TAIL = 16 * 1024
LINGER_S = 1.0  # a background child that holds the output open is not waited for longer
TERM_S = 2.0

_running = set()
_lock = threading.Lock()


class Output:
    """The beginning and the end of a long output, in bounded memory."""

    def __init__(self):
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data):
        room = HEAD_MAX - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        excess = len(self._tail) - TAIL_MAX
        if excess > TAIL_MAX:  # trimmed rarely, so that each byte moves once or twice
            self._dropped += excess
            del self._tail[:excess]

    def text(self):
        tail, dropped = bytes(self._tail), self._dropped
        if len(tail) > TAIL_MAX:
            dropped += len(tail) - TAIL_MAX
            tail = tail[-TAIL_MAX:]
        middle = f"\n… {dropped} bytes left out …\n".encode() if dropped else b""
        return (bytes(self._head) + middle + tail).decode("utf-8", "replace")


def environment(extra=None):
    """Ours, without the keys and without what concerns only aider."""
    env = {k: v for k, v in os.environ.items() if not SECRET_NAME.search(k)}
    env.update(extra or {})
    return env


def stop_all():
    """Kills every running command; called when the adapter ends."""
    with _lock:
        for pid in _running:
            _signal(pid, signal.SIGKILL)


def _signal(pid, number):
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def _kill(process):
    """TERM, then KILL to the group of a cancelled command."""
    _signal(process.pid, signal.SIGTERM)
    try:
        process.wait(TERM_S)
    except subprocess.TimeoutExpired:
        pass
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _collect(process, output, show):
    fd = process.stdout.fileno()
    shown, over = time.monotonic(), None
    while True:
        ready, _, _ = select.select([fd], [], [], SHOW_EVERY_S)
        now = time.monotonic()
        if ready:
            data = os.read(fd, 65536)
            if not data:
                return
            output.add(data)
        elif process.poll() is not None:
            over = over or now
            if now - over >= LINGER_S:
                return
        if ready and now - shown >= SHOW_EVERY_S:
            shown = now
            show(output.text())


def run(updates, command, cwd, title=None, env=None):
    """Returns (exit code, output). Raises KeyboardInterrupt when cancelled."""
    tool_id = updates.tool_id("run")
    updates.tool_call(
        tool_id, title or command, "execute", "in_progress", rawInput={"command": command}
    )
    try:
        process = subprocess.Popen(
            command,
            shell=not isinstance(command, list),
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as e:
        updates.tool_update(tool_id, "failed", content=[updates.text_content(str(e))])
        return 127, str(e)

    def show(text):
        content = [updates.text_content(text[-SHOW_TAIL:])]
        updates.tool_update(tool_id, "in_progress", content=content)

    output, code = Output(), None
    with _lock:
        _running.add(process.pid)
    try:
        _collect(process, output, show)
        code = process.wait()
    finally:
        with interrupts.masked():
            if code is None:
                _kill(process)
            process.stdout.close()
            with _lock:
                _running.discard(process.pid)
            text = output.text()
            cut = text
            if len(text) > COMMAND_TEXT_MAX:
                half = COMMAND_TEXT_MAX // 2
                cut = text[:half] + "\n…\n" + text[-half:]
            if code is None:
                cut += "\n[cancelled]\n"
            updates.tool_update(
                tool_id,
                "completed" if code == 0 else "failed",
                content=[updates.text_content(cut)],
                rawOutput={"exitCode": process.returncode},
            )
    return code, text
