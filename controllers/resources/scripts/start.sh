#!/bin/sh
# Starts the server of this pod, and becomes it. Usage: start.sh CONF PASSWORD_FILE RUN_DIR DATA_DIR WAIT_SECONDS [OPTION...],
# with POD_IP in the environment.
#
# The password goes from the mounted Secret into a file of its own that only this user can read: never into the
# environment or a command line (printf is the shell's own).
#
# A server that died must not come back as the master of slots whose writes it lost: its replicas would throw away
# theirs and copy its state. So a master with replicas first waits until one of them had the time to be elected. It
# must not even answer earlier under a new id: the others would then take its old id's address away ("noaddr") and
# never call it failed, and without that no replica is ever elected. After the wait a server with data follows whoever
# was elected; one without data forgets who it was, as a node with a new id owns nothing and nobody copies its
# emptiness. A replica and a master without replicas have nothing to wait for, and a new pod with append-only files
# that have everything comes back at once: all pods of a cluster may. So does a master whose replicas had lost their
# link before its files were last written: they have less.
#
# Data is what the last server kept up to date. Append-only files are if note_aof.sh noted so: redis.conf only says
# what is wanted, and reaches a pod up to two minutes later. Otherwise an RDB file counts, if the server is to save
# any: one of BGSAVE may lie there. What a replica has received since is not in it, so it counts only where none has
# lived on that has. A server reads an RDB file only with append-only files off, and those only if they are on: where
# something else is wanted, the operator changes it once the server answers.
#
# Replicas follow an address: where a dead master's is taken by a new node, they would copy its emptiness over the last
# copy of the data. So a new node starts in quarantine: it lets a replica wait for its first synchronisation for ever
# (which costs the replica nothing; refusing it by ACL would make it try thousands of times a second), until the
# operator has seen that nobody follows it by mistake (EndQuarantine). So does one with data whose address is another
# one's, as far as it knows: who follows that one would copy the data of another shard.
set -eu
conf=$1 password_file=$2 run_dir=$3 data_dir=$4 wait_seconds=$5
shift 5
umask 077

password=$(sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' "$password_file")
printf 'requirepass "%s"\nmasterauth "%s"\n' "$password" "$password" > "$run_dir/private.conf"
printf 'AUTH "%s"\n' "$password" > "$run_dir/auth"
unset password

nodes="$data_dir/nodes.conf" aof="$data_dir/appendonlydir" rdb="$data_dir/dump.rdb"
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
value_of() { sed -n "s/^$1 //p" "$conf" | tail -n 1 | tr '[:upper:]' '[:lower:]'; }
ask() { printf '%s\n' "$3" | cat "$run_dir/auth" - | timeout 2 "$client" -h "$1" -p "$2" 2> /dev/null; }

aof_has_everything() {
  [ ! -e "$data_dir/aof-incomplete" ] || return 1
  [ -e "$data_dir/aof-complete" ] || [ "$wanted" = yes ] || return 1
  ! ls "$aof"/temp-*.incr > /dev/null 2>&1 || return 1
  [ -e "$aof/appendonly.aof.manifest" ]
}

# "ADDRESS:PORT" of each.
replicas_of() { sed -n "s/^[0-9a-f]* \([^ @]*\)@[^ ]* [^ ]*slave[^ ]* $1 .*/\1/p" "$nodes"; }

# shellcheck disable=SC2012  # the server's own names
newest_of() { ls -t "$@" | head -n 1; }

# When the data was last written, in seconds since 1970; of an RDB file when saving it began ("ctime", 32 bits, in its head).
written_at() {
  case $data in
    aof) date -r "$(newest_of "$aof"/*.aof)" +%s ;;
    rdb)
      bytes=$(head -c 200 "$rdb" | od -An -v -tx1 | tr -d ' \n')
      echo "$((0x$(echo "0$bytes" | sed 's/.*056374696d65c2\(..\)\(..\)\(..\)\(..\).*/\4\3\2\1/; t; s/.*/0/')))"
      ;;
    *) echo 0 ;;
  esac
}

# Whether a replica of that master has what the data has not: it has had a link in this life, and not only before that
# was written. One that says nothing, and does not refuse either, may be busy or hung: it is asked for so many seconds.
# If not, `unknown` is empty where each has less.
a_replica_has_more() {
  end=$(($(date +%s) + $2)) silent=yes unknown=yes
  while [ -n "$silent" ] && [ "$(date +%s)" -lt "$end" ]; do
    silent='' unknown=''
    for address in $(replicas_of "$1"); do
      said=$(ask "${address%:*}" "${address##*:}" 'INFO replication') && status=0 || status=$?
      case $said in
        *role:slave*master_link_status:up*) return 0 ;;
        *role:slave*master_link_down_since_seconds:[0-9]*)
          down=$(printf '%s\n' "$said" | sed -n 's/^master_link_down_since_seconds:\([0-9]*\).*/\1/p')
          [ $(($(date +%s) - down + slack)) -le "$written" ] || return 0
          ;;
        *) unknown=yes ;;
      esac
      [ "$status" -le 1 ] || silent=yes
    done
  done
  return 1
}

put_aside() {
  for file in "$rdb" "$aof"; do
    [ -e "$file" ] || continue
    echo "slotwright: what lies here is kept as $file.old"
    rm -rf "$file.old"
    mv "$file" "$file.old"
  done
  rm -f "$data_dir"/aof-*complete "$nodes"  # last: a start without it would read what lies there
}

# A node that knows nobody and owns nothing: it left the cluster, or never came into one.
has_left() { [ "$(grep -c '^[0-9a-f]\{40\} ' "$nodes")" = 1 ] && ! grep -q ' connected [0-9]' "$nodes"; }

takes_an_address() { grep -v ' myself,' "$nodes" | grep -qF " $POD_IP:"; }

wanted=$(value_of appendonly)
loads=$wanted
if [ -s "$nodes" ] && has_left; then
  echo "slotwright: this node left the cluster; starting as a new one, without what it had"
  put_aside
fi
if [ -s "$nodes" ]; then
  data=
  if aof_has_everything; then
    data=aof loads=yes
  elif [ "$(value_of save)" != '""' ] && [ -e "$rdb" ]; then
    data=rdb loads=no
  fi
  id=$(sed -n 's/^\([0-9a-f]\{40\}\) .*myself,master.*/\1/p' "$nodes")
  if [ -n "$id" ] && [ -n "$(replicas_of "$id")" ] && { [ "$data" != aof ] || [ -e "$run_dir/started" ]; }; then
    written=$(written_at) || written=0
    slack=2
    [ "$data" = aof ] || slack=10  # it may come from a machine with another clock
    if a_replica_has_more "$id" 1 || [ -n "$unknown" ]; then
      echo "slotwright: this master died; waiting ${wait_seconds}s so that a replica with every write can take over"
      sleep "$wait_seconds"
      [ "$data" != rdb ] || ! a_replica_has_more "$id" 16 || data=
    fi
  fi
  if [ -z "$data" ]; then
    echo "slotwright: no data survived; starting as a new node so that no replica copies the emptiness"
    put_aside
    loads=$wanted
  elif [ "$data" = rdb ]; then
    # Said again, as a server that is loading is not asked, and what told it may go now.
    mv "$data_dir/aof-complete" "$data_dir/aof-incomplete" 2> /dev/null || touch "$data_dir/aof-incomplete" || true
  fi
fi
rm -f "$aof"/temp-* "$data_dir"/temp-*
: > "$run_dir/started"
if [ ! -s "$nodes" ] || takes_an_address; then
  # Whatever redis.conf says: one that waits must not be served before the delay because there is room for it.
  printf 'repl-diskless-sync yes\nrepl-diskless-sync-delay 1000000000\nrepl-diskless-sync-max-replicas 0\n' >> "$run_dir/private.conf"
fi
[ "$loads" = "$wanted" ] || echo "appendonly $loads" >> "$run_dir/private.conf"

# For kubectl port-forward and exec, which come from the pod itself. Where pods have no network of their own they would
# all want the same one.
case $POD_IP in
  127.*) ;;
  *) set -- "$@" --bind "$POD_IP" 127.0.0.1 ;;
esac
server=redis-server
command -v "$server" > /dev/null 2>&1 || server=valkey-server
exec "$server" "$conf" --include "$run_dir/private.conf" --dir "$data_dir" "$@"
