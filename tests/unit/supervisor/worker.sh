#!/bin/sh
# Stands for 100x-worker in unit tests, beside their programs as build/*/unit/supervisor/
# 100x-worker: does what a test wrote into the state directory (trouble.h).
state='' before=''
for word; do
	[ "$before" = --state-dir ] && state=$word
	before=$word
done
exec sh "$state/worker.sh" "$@"
