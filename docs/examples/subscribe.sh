#!/bin/sh
# Prints the events of 100x as they happen, with nothing but Debian's nng-utils and a
# shell: a header line, "stream/subject kind id v1", and the body on the line below. No
# line end follows the body; for one JSON object a line there is `100x events -f --json`.
#
#   docs/examples/subscribe.sh [PREFIX]     PREFIX: "agent/7 " for one agent, "" for all
set -eu
run=${HUNDREDX_RUN_DIR:-${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/100x}}
run=${run:-${XDG_STATE_HOME:-$HOME/.local/state}/100x/run}
exec nngcat --sub --raw --subscribe "${1:-}" --recv-maxsz 1572864 --dial "ipc://$run/events.ipc"
