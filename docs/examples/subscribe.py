#!/usr/bin/env python3
"""Prints every event of 100x once and in order, from the beginning or from --after ID,
and goes on as they happen. Needs pynng (pip install pynng).

Publishing is a hint and may drop; the store is the truth. So: subscribe first, read the
store up to the present, then take what is published, and ask the store again whenever a
number is missing.
"""
import argparse
import json
import os
import uuid

import pynng


def run_dir():
    if os.environ.get("HUNDREDX_RUN_DIR"):
        return os.environ["HUNDREDX_RUN_DIR"]
    if os.environ.get("XDG_RUNTIME_DIR"):
        return os.path.join(os.environ["XDG_RUNTIME_DIR"], "100x")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "100x", "run")


def ask(control, method, **params):
    """One question over control.ipc; a JSON-RPC error becomes an exception."""
    request = {"jsonrpc": "2.0", "id": uuid.uuid4().hex, "method": method, "params": params}
    control.send(json.dumps(request).encode())
    answer = json.loads(control.recv())
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])
    return answer["result"]


def decode(frame):
    """b'agent/7 output 1042 v1\\n{...}' as (id, 'agent/7', 'output', body)."""
    head, body = frame.split(b"\n", 1)
    source, kind, number, _version = head.decode().split(" ")
    return int(number), source, kind, json.loads(body)


def from_store(control, after):
    """Yields what the store has after this id, then the id it has looked at."""
    while True:
        result = ask(control, "events.after", after=after, limit=1000)
        for event in result["events"]:
            yield event["id"], f"{event['stream']}/{event['subject']}", event["kind"], event["body"]
        if result["last"] <= after:
            return
        after = result["last"]


def events(directory, after=0):
    with pynng.Sub0(topics=b"", recv_max_size=1536 * 1024) as live, \
            pynng.Req0(recv_max_size=1536 * 1024, recv_timeout=30000) as control:
        live.dial(f"ipc://{directory}/events.ipc", block=True)
        control.dial(f"ipc://{directory}/control.ipc", block=True)
        for event in from_store(control, after):
            after = event[0]
            yield event
        while True:
            event = decode(live.recv())
            if event[0] <= after:
                continue
            if event[0] > after + 1:
                for missed in from_store(control, after):
                    after = missed[0]
                    yield missed
            if event[0] > after:
                after = event[0]
                yield event


def main():
    parser = argparse.ArgumentParser(description="Prints events of 100x, one a line.")
    parser.add_argument("--run-dir", default=run_dir())
    parser.add_argument("--after", type=int, default=0, help="only events after this id")
    parser.add_argument("--count", type=int, default=0, help="end after so many")
    options = parser.parse_args()
    for n, (number, source, kind, body) in enumerate(events(options.run_dir, options.after), 1):
        print(number, source, kind, json.dumps(body, ensure_ascii=False), flush=True)
        if n == options.count:
            break


if __name__ == "__main__":
    main()
