// redis.conf, and what becomes of it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"
#include "controllers/resources/scripts.h"
#include "controllers/topology/text.h"

namespace slotwright {

using reconciler::Json;

namespace {

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
  constexpr int kDefault = 5000;
  const auto found = cluster.spec.config.find("cluster-node-timeout");
  if (found == cluster.spec.config.end()) return std::chrono::milliseconds(kDefault);
  // What is refused is not what servers have.
  const int specified = text::ParseInteger<int>(found->second).value_or(kDefault);
  return std::chrono::milliseconds(specified > 0 ? specified : kDefault);
}

std::vector<std::pair<std::string, std::string>> DirectivesOfQuarantine(const RedisCluster& cluster) {
  const auto directives = Directives(cluster);
  const auto value_of = [&](const char* name) {
    const auto found = directives.find(name);
    return std::pair<std::string, std::string>(name, found == directives.end() ? "0" : found->second);
  };
  // The delay last: by that one the others know that it is over.
  return {value_of("repl-diskless-sync"), value_of("repl-diskless-sync-max-replicas"),
          value_of("repl-diskless-sync-delay")};
}

int FailoverWaitSeconds(const RedisCluster& cluster) {
  // The timeout, then the masters' exchange of reports, then an election of 0.5 to 2 s (clusterHandleSlaveFailover).
  return static_cast<int>(NodeTimeout(cluster).count() / 1000) + 6;
}

Json ConfigMap(const RedisCluster& cluster) {
  Json files = {{"redis.conf", RedisConf(cluster)}};
  for (const auto& [name, text] : kScripts) files[name] = text;
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata",
           {{"name", ConfigMapOf(cluster.name)},
            {"namespace", cluster.ns},
            {"labels", CommonLabels(cluster, "config")},
            {"annotations", {{annotations::kSpec, cluster.spec_json.dump()}}},
            {"ownerReferences", OwnerReferences(cluster)}}},
          {"data", std::move(files)}};
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
