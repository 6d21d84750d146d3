"""JSON-RPC 2.0, one message a line, over two descriptors.

One thread reads; any thread may send. What a peer asks is given to the handlers
of `serve`; what we ask is answered through a Waiter.
"""

import json
import os
import sys
import threading

import interrupts

LINE_MAX = 16 * 1024 * 1024  # of what we read; a longer line ends the connection

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class RpcError(Exception):
    """Raised by a handler: the answer to the request is this error."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Waiter:
    """The answer to a request of ours, once it comes."""

    def __init__(self):
        self._event = threading.Event()
        self.result = None
        self.error = None

    def settle(self, result, error):
        self.result, self.error = result, error
        self._event.set()

    def wait(self):
        self._event.wait()
        if self.error is not None:
            raise RpcError(self.error.get("code", INTERNAL_ERROR), self.error.get("message", ""))
        return self.result


class Peer:
    def __init__(self, read_fd, write_fd):
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._lock = threading.Lock()
        self._waiters = {}
        self._next_id = 0

    def send(self, message):
        """Writes one message, whole: a cancelled turn cannot tear a line."""
        data = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        data = memoryview(data.encode("utf-8", "replace") + b"\n")
        with interrupts.masked(), self._lock:
            try:
                while data:
                    data = data[os.write(self._write_fd, data) :]
            except OSError:
                os._exit(0)  # nobody listens any more

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def answer(self, request_id, result):
        self.send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def fail(self, request_id, error):
        body = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        self.send({"jsonrpc": "2.0", "id": request_id, "error": body})

    def ask(self, method, params):
        waiter = Waiter()
        with interrupts.masked(), self._lock:
            self._next_id += 1
            request_id = self._next_id
            self._waiters[request_id] = waiter
        self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return waiter

    def abandon(self):
        """Settles what we still ask as unanswered: its turn was cancelled."""
        for request_id in list(self._waiters):
            waiter = self._waiters.pop(request_id, None)
            if waiter:
                waiter.settle(None, None)

    def serve(self, handle, closed):
        """Starts the reading thread. handle(method, params, id) is called in it for each
        request (id is not None) and notification; closed() when the other end is gone."""
        threading.Thread(target=self._read, args=(handle, closed), daemon=True).start()

    def _read(self, handle, closed):
        rest = bytearray()
        while True:
            try:
                data = os.read(self._read_fd, 65536)
            except OSError:
                data = b""
            if not data:
                closed()
                return
            rest += data
            *lines, tail = rest.split(b"\n")
            rest = bytearray(tail)
            for line in lines:
                if line.strip():
                    self._take(line, handle)
            if len(rest) > LINE_MAX:
                print(f"acp: a line of more than {LINE_MAX} bytes", file=sys.stderr)
                closed()
                return

    def _take(self, line, handle):
        try:
            message = json.loads(line)
        except ValueError as e:
            self.fail(None, RpcError(PARSE_ERROR, f"not JSON: {e}"))
            return
        if not isinstance(message, dict):
            self.fail(None, RpcError(INVALID_REQUEST, "a message must be an object"))
            return
        method, request_id = message.get("method"), message.get("id")
        if not isinstance(method, str):
            waiter = self._waiters.pop(request_id, None) if isinstance(request_id, int) else None
            if waiter:
                waiter.settle(message.get("result"), message.get("error"))
            elif "result" not in message and "error" not in message:
                self.fail(None, RpcError(INVALID_REQUEST, "neither a request nor an answer"))
            return
        params = message.get("params")
        params = {} if params is None else params
        try:
            if not isinstance(params, dict):
                raise RpcError(INVALID_PARAMS, "params must be an object")
            handle(method, params, request_id)
        except RpcError as e:
            if request_id is not None:
                self.fail(request_id, e)
