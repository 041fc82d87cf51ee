#!/bin/sh
# Readiness: succeeds for a master in its place and for a replica in sync, and says why otherwise. Usage: ready.sh PORT
# RUN_DIR DATA_DIR, with POD_IP in the environment. The password comes to the client by its standard input.
#
# What disruption budgets count. A node that only answers holds nothing yet: while the master's new process waits for
# its place, or a new replica for its first copy, the shard's other pod has the only one.

# shellcheck source-path=SCRIPTDIR source=note_aof.sh
. "${0%/*}/note_aof.sh"

unready() { echo "$1"; exit 1; }
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
command -v "$client" > /dev/null 2>&1 || exit 0
questions='CONFIG GET repl-diskless-sync-delay
INFO server
INFO persistence
INFO replication'
[ -f "$2/auth" ] || unready 'it is being started'
answers=$(printf '%s\n' "$questions" | cat "$2/auth" - | "$client" -h "$POD_IP" -p "$1" 2> /dev/null) ||
  unready 'the server does not answer'
note_aof "${3:-}" "$answers"
case $answers in
  *'repl-diskless-sync-delay
1000000000'*) unready 'it has no place in the cluster yet' ;;
  *loading:1*) unready 'it is loading its data' ;;
  *role:master* | *master_link_status:up*) exit 0 ;;
  *role:*) unready 'it is not in sync with its master' ;;
esac
unready "the server refuses to be asked: $(printf '%s\n' "$answers" | head -n 1)"
