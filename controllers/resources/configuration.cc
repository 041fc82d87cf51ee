// redis.conf and the scripts of a pod.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"
#include "controllers/topology/text.h"

namespace slotwright {

using reconciler::Json;

namespace {

// Runs as the pod's first process and becomes redis-server.
//
// The password goes from the mounted Secret into a file of its own that only this user can read: never into the
// environment or a command line (printf is the shell's own).
//
// A server that died must not come back as the master of slots whose writes it lost: its replicas would throw away
// theirs and copy its state. So a master with replicas first waits until one of them had the time to be elected. It
// must not even answer earlier under a new id: the others would then take its old id's address away ("noaddr") and
// never call it failed, and without that no replica is ever elected. After the wait a server with data follows whoever
// was elected; one without data forgets who it was, as a node with a new id owns nothing and nobody copies its
// emptiness. A replica and a master without replicas have nothing to wait for, and a new pod with append-only files
// that have everything comes back at once: all pods of a cluster may. So does a master whose replicas had lost their
// link before its files were last written: they have less.
//
// Data is what the last server kept up to date. Append-only files are if kNoteScript noted so: redis.conf only says
// what is wanted, and reaches a pod up to two minutes later. Otherwise an RDB file counts, if the server is to save
// any: one of BGSAVE may lie there. What a replica has received since is not in it, so it counts only where none has
// lived on that has. A server reads an RDB file only with append-only files off, and those only if they are on: where
// something else is wanted, the operator changes it once the server answers.
//
// Replicas follow an address: where a dead master's is taken by a new node, they would copy its emptiness over the last
// copy of the data. So a new node starts in quarantine: it lets a replica wait for its first synchronisation for ever
// (which costs the replica nothing; refusing it by ACL would make it try thousands of times a second), until the
// operator has seen that nobody follows it by mistake (EndQuarantine).
constexpr const char* kStartScript = R"sh(#!/bin/sh
# Starts the server of this pod. Usage: start.sh CONF PASSWORD_FILE RUN_DIR DATA_DIR WAIT_SECONDS [OPTION...]
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
value_of() { sed -n "s/^$1 //p" "$conf" | tail -n 1 | tr A-Z a-z; }
ask() { printf '%s\n' "$3" | cat "$run_dir/auth" - | timeout 2 "$client" -h "$1" -p "$2" 2> /dev/null; }

aof_has_everything() {
  [ ! -e "$data_dir/aof-incomplete" ] || return 1
  [ -e "$data_dir/aof-complete" ] || [ "$wanted" = yes ] || return 1
  ! ls "$aof"/temp-*.incr > /dev/null 2>&1 || return 1
  [ -e "$aof/appendonly.aof.manifest" ]
}

# "ADDRESS:PORT" of each.
replicas_of() { sed -n "s/^[0-9a-f]* \([^ @]*\)@[^ ]* [^ ]*slave[^ ]* $1 .*/\1/p" "$nodes"; }

# When the data was last written, in seconds since 1970; of an RDB file when saving it began ("ctime", 32 bits, in its head).
written_at() {
  case $data in
    aof) date -r "$(ls -t "$aof"/*.aof | head -n 1)" +%s ;;
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
if [ ! -s "$nodes" ]; then
  printf 'repl-diskless-sync yes\nrepl-diskless-sync-delay 1000000000\n' >> "$run_dir/private.conf"
fi
[ "$loads" = "$wanted" ] || echo "appendonly $loads" >> "$run_dir/private.conf"

server=redis-server
command -v "$server" > /dev/null 2>&1 || server=valkey-server
exec "$server" "$conf" --include "$run_dir/private.conf" --dir "$data_dir" "$@"
)sh";

// Whether append-only files have everything, for the next start. They have as long as the server has one of them open.
// It has not when they are off, and not until their first rewrite is over, after they were turned on and after each
// full synchronisation: until then it appends to temp-….incr, or to nothing while that rewrite has to wait or has
// failed, and what lies there is of an earlier time (aof_state and aof_fd in its src/aof.c). INFO does not tell that
// apart from the rewrites that follow. A server that is loading has none open, and has not changed any. The note is the
// name of an empty file, as a full disk allows no more than to rename it.
constexpr const char* kNoteScript = R"sh(
# note_aof DATA_DIR ANSWER_TO_INFO: where it cannot be told what was noted stays.
note_aof() {
  case $2 in *loading:1*) return 0 ;; esac
  open=/proc/$(printf '%s\n' "$2" | sed -n 's/^process_id:\([0-9]*\).*/\1/p')/fd
  [ -n "$1" ] && [ -n "$(ls "$open" 2> /dev/null)" ] || return 0
  now=incomplete before=complete
  if ls -l "$open" 2> /dev/null | grep -q '/appendonlydir/.*\.incr\.aof$'; then now=complete before=incomplete; fi
  [ ! -e "$1/aof-$now" ] || return 0
  mv "$1/aof-$before" "$1/aof-$now" 2> /dev/null || : > "$1/aof-$now"
}
)sh";

// Any answer proves that the server is alive: it may be loading for minutes, or take no more clients. Killing it would
// lose what is in memory.
constexpr const char* kAliveScript = R"sh(#!/bin/sh
# Liveness: succeeds if the server answers at all. Usage: alive.sh PORT, with POD_IP in the environment.
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
command -v "$client" > /dev/null 2>&1 || exit 0
case $("$client" -h "$POD_IP" -p "$1" PING 2>&1) in
  '' | *'Could not connect'*) exit 1 ;;
esac
)sh";

// What disruption budgets count. A node that only answers holds nothing yet: while the master's new process waits for
// its place, or a new replica for its first copy, the shard's other pod has the only one.
constexpr const char* kReadyScript = R"sh(
# Readiness: succeeds for a master in its place and for a replica in sync, and says why otherwise. Usage: ready.sh PORT
# RUN_DIR DATA_DIR, with POD_IP in the environment. The password comes to the client by its standard input.
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
)sh";

// A master that is told to end would be missed only after cluster-node-timeout, and its slots served again after an
// election. CLUSTER FAILOVER hands them over within milliseconds and loses nothing: the master holds its clients back
// until the replica has everything. That the old master answers for another second lets clients learn by MOVED.
constexpr const char* kStopScript = R"sh(
# Before the server is told to end: its slots go to a replica, which may have to copy the rest first. Usage: stop.sh PORT
# RUN_DIR DATA_DIR, with POD_IP in the environment. Who calls it limits its time.
# A replica that goes at the same time may be gone with its address: then nobody answers at all.
port=$1 auth=$2/auth
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
command -v "$client" > /dev/null 2>&1 || exit 0
ask() {
  host=$1 question=$2 patience=${3:-2}
  printf '%s\n' "$question" | cat "$auth" - | timeout "$patience" "$client" -h "$host" -p "$port" 2> /dev/null
}

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

nodes=$(ask "$POD_IP" 'CLUSTER NODES' 5) || nodes=$(ask "$POD_IP" 'CLUSTER NODES' 5)
id=$(printf '%s\n' "$nodes" | sed -n 's/^\([0-9a-f]*\) [^ ]* myself,master - .* connected [0-9].*/\1/p')
[ -n "$id" ] || exit 0
replicas=$(printf '%s\n' "$nodes" | sed -n "s/^[0-9a-f]* \([^ ]*\):[0-9]*@[^ ]* slave\(,fail?\)\{0,1\} $id .*/\1/p")
hand_over_to() {
  case $(ask "$1" 'CLUSTER FAILOVER' 5) in *ERR* | '') return 1 ;; esac
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
        hand_over_to "$replica" && sleep 1 && exit 0
        again=$replica
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
)sh";

std::string WithNote(const char* script) { return fmt::format("#!/bin/sh{}{}", kNoteScript, script); }

std::map<std::string, std::string> Directives(const RedisCluster& cluster) {
  const auto& spec = cluster.spec;
  std::map<std::string, std::string> directives = {
      {"cluster-node-timeout", "5000"},
      {"disable-thp", "yes"},
      // Replicas of one shard come one by one: waiting for others before a transfer starts would only cost time.
      {"repl-diskless-sync", "yes"},
      {"repl-diskless-sync-delay", "0"},
      // Without persistence a replica's disk would keep the state of its last full synchronisation, and a master that
      // was a replica once would come back with that as if it were its data.
      {"rdb-del-sync-files", "yes"},
      {"loglevel", "notice"},
      {"appendonly", spec.storage ? "yes" : "no"},
  };
  if (!spec.storage) directives["save"] = "";
  if (const auto* limit = reconciler::ValueAt(spec.resources, {"limits", "memory"})) {
    // The rest is for replication buffers, copy-on-write and fragmentation.
    const auto bytes = ParseQuantity(limit->is_string() ? limit->get<std::string>() : limit->dump());
    if (bytes) directives["maxmemory"] = std::to_string(*bytes / 4 * 3);
  }
  for (const auto& [name, value] : spec.config) directives[name] = value;

  const std::map<std::string, std::string> owned = {
      {"port", std::to_string(spec.port)},
      {"protected-mode", "no"},
      {"cluster-enabled", "yes"},
      {"cluster-port", std::to_string(cluster.bus_port())},
      {"cluster-config-file", "nodes.conf"},
      {"cluster-allow-replica-migration", "no"},
  };
  for (const auto& [name, value] : owned) directives[name] = value;
  return directives;
}

// What CONFIG SET refuses (IMMUTABLE_CONFIG in Redis' src/config.c and Valkey's), or accepts and does not carry out,
// and what the start script counts on.
bool NeedsRestart(const std::string& name) {
  static const std::set<std::string> kNames = {
      "port",
      "protected-mode",
      "cluster-enabled",
      "cluster-port",
      "cluster-config-file",
      "cluster-node-timeout",  // the start script's wait depends on it
      "disable-thp",
      "databases",
      "cluster-databases",
      "io-threads",
      "io-threads-do-reads",
      "tcp-backlog",
      "always-show-logo",
      "set-proc-title",
      "appendfilename",
      "appenddirname",
      "aof-use-rdb-preamble",
      "rdma-port",
      "socket-mark-id",
      "hash-seed",
      "mptcp",
      "repl-mptcp",
      "rdma-completion-vector",
      "rdma-rx-size",
      "rdbchecksum",
      "syslog-facility",
      "syslog-ident",
      "unixsocketgroup",
      "unixsocketperm",
      "loadmodule",
      "enable-protected-configs",
      "enable-debug-command",
      "enable-module-command",
      "crash-memcheck-enabled",
      "server-cpulist",
      "server_cpulist",
      "bio-cpulist",
      "bio_cpulist",
      "aof-rewrite-cpulist",
      "aof_rewrite_cpulist",
      "bgsave-cpulist",
      "bgsave_cpulist",
      "ignore-warnings",
      "locale-collate",
  };
  return kNames.contains(name);
}

// A value is one word, as it is for CONFIG SET: where a directive has several, the server takes the word apart
// (sdssplitargs and MULTI_ARG_CONFIG in its src/config.c).
std::string Quoted(std::string_view value) {
  const bool plain = !value.empty() && std::ranges::all_of(value, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_.:/,+%*").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string Unquoted(std::string_view word) {
  if (!word.starts_with('"')) return std::string(word);
  std::string value;
  for (size_t i = 1; i + 1 < word.size(); ++i) {
    if (word[i] == '\\') ++i;
    value += word[i];
  }
  return value;
}

// As a line of redis.conf.
std::string Line(const std::string& name, const std::string& value) {
  // A module's path and its arguments are words of the line.
  return fmt::format("{} {}", name, name == "loadmodule" ? value : Quoted(value));
}

}  // namespace

std::string RedisConf(const RedisCluster& cluster) { return RedisConf(cluster, LiveDirectives(cluster)); }

std::string RedisConf(const RedisCluster& cluster, const std::map<std::string, std::string>& live_directives) {
  std::string text = fmt::format(
      "# Made by Slotwright from RedisCluster {}/{}. Directives that need a restart are options of each pod's "
      "server.\n",
      cluster.ns, cluster.name);
  for (const auto& [name, value] : live_directives) text += Line(name, value) + '\n';
  return text;
}

std::vector<std::string> StartOptions(const RedisCluster& cluster) {
  std::vector<std::string> options;
  for (const auto& [name, value] : RestartDirectives(cluster)) options.push_back("--" + Line(name, value));
  return options;
}

std::map<std::string, std::string> DirectivesIn(const Json& config_map) {
  const std::string file = reconciler::StringAt(config_map, {"data", "redis.conf"});
  std::map<std::string, std::string> directives;
  for (std::string_view text = file; !text.empty();) {
    const std::string_view line = text::TakeLine(text);
    const std::string_view name = text::NextField(line, ' ');
    if (name != "#" && name.size() < line.size()) directives.emplace(name, Unquoted(line.substr(name.size() + 1)));
  }
  return directives;
}

std::map<std::string, std::string> LiveDirectives(const RedisCluster& cluster) {
  auto directives = Directives(cluster);
  std::erase_if(directives, [](const auto& directive) { return NeedsRestart(directive.first); });
  return directives;
}

std::map<std::string, std::string> RestartDirectives(const RedisCluster& cluster) {
  auto directives = Directives(cluster);
  std::erase_if(directives, [](const auto& directive) { return !NeedsRestart(directive.first); });
  return directives;
}

std::chrono::milliseconds NodeTimeout(const RedisCluster& cluster) {
  const auto found = cluster.spec.config.find("cluster-node-timeout");
  if (found == cluster.spec.config.end()) return std::chrono::milliseconds(5000);
  return std::chrono::milliseconds(std::strtol(found->second.c_str(), nullptr, 10));
}

std::vector<std::pair<std::string, std::string>> DirectivesOfQuarantine(const RedisCluster& cluster) {
  const auto directives = Directives(cluster);
  std::vector<std::pair<std::string, std::string>> usual;
  for (const char* name : {"repl-diskless-sync", "repl-diskless-sync-delay"})
    usual.emplace_back(name, directives.at(name));
  return usual;
}

int FailoverWaitSeconds(const RedisCluster& cluster) {
  // The timeout, then the masters' exchange of reports, then an election of 0.5 to 2 s (clusterHandleSlaveFailover).
  return static_cast<int>(NodeTimeout(cluster).count() / 1000) + 6;
}

Json ConfigMap(const RedisCluster& cluster) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata",
           {{"name", ConfigMapOf(cluster.name)},
            {"namespace", cluster.ns},
            {"labels", CommonLabels(cluster, "config")},
            {"annotations", {{annotations::kSpec, cluster.spec_json.dump()}}},
            {"ownerReferences", OwnerReferences(cluster)}}},
          {"data",
           {{"redis.conf", RedisConf(cluster)},
            {"start.sh", kStartScript},
            {"alive.sh", kAliveScript},
            {"ready.sh", WithNote(kReadyScript)},
            {"stop.sh", WithNote(kStopScript)}}}};
}

std::optional<RedisCluster> AsWritten(RedisCluster cluster, const Json& config_map) {
  cluster.spec_json = Json::parse(reconciler::AnnotationOf(config_map, annotations::kSpec), nullptr, false);
  if (!cluster.spec_json.is_object()) return std::nullopt;
  auto spec = ParseRedisClusterSpec(cluster.spec_json);
  if (!spec) return std::nullopt;
  cluster.spec = *std::move(spec);
  return cluster;
}

}  // namespace slotwright
