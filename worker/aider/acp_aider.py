"""aider as an agent of the Agent Client Protocol, on stdin and stdout.

    acp_aider.py --session-dir DIR --model MODEL [--permission allow|ask] [-- ARGUMENTS]
    acp_aider.py --check-arguments 'ARGUMENTS'

Exit codes: 0 the client is gone; 2 wrong usage; 100 another version of aider is
installed than this adapter was made for.
"""

import argparse
import gc
import os
import signal
import sys

PINNED = "0.86.2"


def usage():
    parser = argparse.ArgumentParser(prog="acp_aider.py")
    parser.add_argument("--session-dir", metavar="DIR")
    parser.add_argument("--model", metavar="MODEL")
    parser.add_argument("--permission", choices=("allow", "ask"), default="ask")
    return parser


def setup_command():
    """What installs the pinned aider: of an installed copy, or of the source tree."""
    here = os.path.dirname(os.path.realpath(__file__))
    for place in ("../../../bin/100x-setup-aider", "../../scripts/setup-aider"):
        path = os.path.normpath(os.path.join(here, place))
        if os.access(path, os.X_OK):
            return path
    return "100x-setup-aider"


def check_version():
    """The adapter reaches into aider's insides, so only one version will do."""
    from hooks import aider_version

    found = aider_version()
    if found != PINNED:
        found = f"aider {found} is installed" if found else "aider is not installed"
        print(
            f"acp_aider: {found} ({sys.executable}); this adapter needs aider {PINNED}:"
            f" run {setup_command()}",
            file=sys.stderr,
        )
        sys.exit(100)


def check_arguments(text):
    import json

    import arguments

    try:
        words = arguments.split(text)
        arguments.check(words)
        answer = {"ok": True, "arguments": words}
    except arguments.BadArguments as e:
        answer = {"ok": False, "error": str(e)}
    print(json.dumps(answer))


def take_protocol():
    """The protocol's descriptors, kept for us alone: what aider or a child reads or
    prints by mistake meets /dev/null and stderr."""
    read_fd, write_fd = os.dup(0), os.dup(1)  # not inheritable
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return read_fd, write_fd


def serve(options, extra):
    import interrupts
    from rpc import Peer

    gc.disable()  # imports make a million objects and no garbage; on again when they are done
    peer = Peer(*take_protocol())
    import hooks
    import runner
    from session import Session

    hooks.before_import()
    session = Session(peer, options.session_dir, options.model, options.permission, extra)
    from prints import Prints

    sys.stdout = Prints(session.updates)

    def end(*_):
        runner.stop_all()
        os._exit(0)

    interrupts.install()
    signal.signal(signal.SIGTERM, end)
    peer.serve(session.handle, end)
    session.run()


def main():
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "--check-arguments":  # its value may start with "-"
        check_version()
        check_arguments(words[1])
        return
    at = words.index("--") if "--" in words else len(words)
    parser = usage()
    options = parser.parse_args(words[:at])
    check_version()
    if not options.session_dir or not options.model:
        parser.error("--session-dir and --model are needed")
    serve(options, words[at + 1 :])


if __name__ == "__main__":
    main()
