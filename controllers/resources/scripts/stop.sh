#!/bin/sh
# Before the server is told to end: its slots go to a replica, which may have to copy the rest first. Usage: stop.sh PORT
# RUN_DIR DATA_DIR, with POD_IP in the environment. Who calls it limits its time.
# A replica that goes at the same time may be gone with its address: then nobody answers at all.
#
# A master that is told to end would be missed only after cluster-node-timeout, and its slots served again after an
# election. CLUSTER FAILOVER hands them over within milliseconds and loses nothing: the master holds its clients back
# until the replica has everything. That the old master answers for another second lets clients learn by MOVED.

# shellcheck source-path=SCRIPTDIR source=note_aof.sh
. "${0%/*}/note_aof.sh"

port=$1 auth=$2/auth
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
command -v "$client" > /dev/null 2>&1 || exit 0
ask() {
  host=$1 question=$2 patience=${3:-2}
  printf '%s\n' "$question" | cat "$auth" - | timeout "$patience" "$client" -h "$host" -p "$port" 2> /dev/null
}

until=$(($(date +%s) + 5))
# A server refuses to end while its append-only files are written for the first time ("Writing initial AOF, can't exit").
# Without them it ends, and saves everything if it is to save at all; if not there is nothing but to wait.
is_incomplete() {
  note_aof "$1" "$(ask "$POD_IP" 'INFO server
INFO persistence')"
  [ -e "$1/aof-incomplete" ]
}
if is_incomplete "${3:-}" && [ "$(ask "$POD_IP" 'CONFIG GET appendonly' | tail -n 1)" = yes ]; then
  if [ -n "$(ask "$POD_IP" 'CONFIG GET save' | tail -n 1)" ]; then
    ask "$POD_IP" 'CONFIG SET appendonly no' > /dev/null
  else
    for _ in 1 2 3 4 5 6 7 8; do
      sleep 1
      is_incomplete "$3" || break
    done
  fi
fi

# Slots that are being moved come first: their states are not replicated (before Valkey 8), so a successor would take
# keys that have left already for new ones, and clients would write them anew. The operator closes them within 2 s, but
# for those with more keys than can be moved in that time.
while :; do
  nodes=$(ask "$POD_IP" 'CLUSTER NODES' 5) || nodes=$(ask "$POD_IP" 'CLUSTER NODES' 5)
  case $(printf '%s\n' "$nodes" | grep ' myself,master ') in *\[*) ;; *) break ;; esac
  [ "$(date +%s)" -lt "$until" ] || break
  sleep 0.5
done
id=$(printf '%s\n' "$nodes" | sed -n 's/^\([0-9a-f]*\) [^ ]* myself,master - .* connected [0-9].*/\1/p')
[ -n "$id" ] || exit 0
replicas=$(printf '%s\n' "$nodes" | sed -n "s/^[0-9a-f]* \([^ ]*\):[0-9]*@[^ ]* slave\(,fail?\)\{0,1\} $id .*/\1/p")
# How often it has asked for votes; nothing if it does not say. (Epochs would tell of everybody's elections.)
elections_of() {
  info=$(ask "$1" 'CLUSTER INFO')
  case $info in *cluster_state:*) ;; *) return 0 ;; esac
  votes=$(printf '%s\n' "$info" | sed -n 's/^cluster_stats_messages_auth-req_sent:\([0-9]*\).*/\1/p')
  echo "${votes:-0}"
}
hand_over_to() {
  told=
  case $(ask "$1" 'CLUSTER FAILOVER' 5) in *ERR* | '') return 1 ;; esac
  told=yes
  # It gives up after 5 s.
  for _ in 1 2 3 4 5 6 7 8 9 10 11; do
    case $(ask "$1" 'INFO replication') in
      *role:master*) return 0 ;;
      '') return 1 ;;
    esac
    sleep 0.5
  done
  return 1
}

silences=0
while [ -n "$replicas" ]; do
  again=
  for replica in $replicas; do
    case $(ask "$replica" 'INFO replication') in
      *master_link_status:up*)
        before=$(elections_of "$replica")
        hand_over_to "$replica" && sleep 1 && exit 0
        # Without an election it had no time to get the rest, or was not heard: to be told again helps. If there was one it
        # has not won it, as two masters that end at once may take each other's votes. Then Redis begins none for four node
        # timeouts (auth_retry_time), nor does anybody vote for another replica so soon, and clients would only be held back
        # for another 5 s.
        again=$replica
        after=$(elections_of "$replica")
        [ -z "$told" ] || [ -z "$before" ] || [ -z "$after" ] || [ "$before" = "$after" ] || exit 0
        ;;
      *master_link_status:*) again=$replica ;;
      # One that starts or is busy may answer the next time; one that is dead does not hold up the end for long.
      '')
        silences=$((silences + 1))
        [ "$silences" -ge 3 ] || again=$replica
        ;;
    esac
  done
  [ -n "$again" ] || exit 0
  sleep 1
done
exit 0
