#!/bin/sh
# Asks the supervisor one question and prints its answer.
#
#   docs/examples/ask.sh METHOD [PARAMS]     docs/examples/ask.sh agent.show '{"agent":7}'
set -eu
run=${HUNDREDX_RUN_DIR:-${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/100x}}
run=${run:-${XDG_STATE_HOME:-$HOME/.local/state}/100x/run}
id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
empty='{}'
exec nngcat --req0 --raw --recv-maxsz 1572864 --recv-timeout 90 --dial "ipc://$run/control.ipc" \
	--data "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"method\":\"$1\",\"params\":${2:-$empty}}"
