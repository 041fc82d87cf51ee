// CLUSTER INFO and INFO: "name:value" lines, of which the known ones are kept.
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "controllers/topology/cluster_nodes.h"
#include "controllers/topology/text.h"

namespace slotwright {
namespace {

template <typename Info>
using Setters = std::map<std::string_view, std::function<void(Info&, std::string_view)>, std::less<>>;

// A number that is none leaves the field at its default.
template <typename Info, typename T>
auto Number(T Info::* field) {
  return
      [field](Info& info, std::string_view value) { info.*field = text::ParseInteger<T>(value).value_or(info.*field); };
}

template <typename Info>
auto Text(std::string Info::* field) {
  return [field](Info& info, std::string_view value) { info.*field = value; };
}

template <typename Info>
auto Equals(bool Info::* field, std::string_view yes) {
  return [field, yes](Info& info, std::string_view value) { info.*field = value == yes; };
}

template <typename Info, typename OnOther>
Info ParseFields(std::string_view text, const Setters<Info>& setters, OnOther on_other) {
  Info info;
  while (!text.empty()) {
    const std::string_view line = text::TakeLine(text);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (const auto it = setters.find(name); it != setters.end()) {
      it->second(info, value);
    } else {
      on_other(info, name, value);
    }
  }
  return info;
}

// "db0:keys=2,expires=0,avg_ttl=0"; Valkey 9 clusters may have several databases.
void AddKeyspace(ServerInfo& info, std::string_view name, std::string_view value) {
  const auto number = name.starts_with("db") ? text::ParseInteger<unsigned>(name.substr(2)) : std::nullopt;
  if (!number) return;
  for (const std::string_view pair : text::Split(value, ',')) {
    if (!pair.starts_with("keys=")) continue;
    const auto keys = text::ParseInteger<std::int64_t>(pair.substr(5));
    std::int64_t sum = 0;
    if (keys && *keys >= 0 && !__builtin_add_overflow(info.keys, *keys, &sum)) info.keys = sum;
    info.several_databases = info.several_databases || (*number > 0 && keys.value_or(0) > 0);
  }
}

// "slave0:ip=10.1.1.2,port=6379,state=wait_bgsave,offset=0,lag=0".
void CountWaitingReplica(ServerInfo& info, std::string_view name, std::string_view value) {
  if (!name.starts_with("slave") || !text::ParseInteger<unsigned>(name.substr(5))) return;
  info.replicas_waiting += std::ranges::count(text::Split(value, ','), "state=wait_bgsave") > 0 ? 1 : 0;
}

}  // namespace

ClusterInfo ParseClusterInfo(std::string_view text) {
  using I = ClusterInfo;
  static const Setters<I> kSetters = {
      {"cluster_state", Equals(&I::state_ok, "ok")},
      {"cluster_known_nodes", Number(&I::known_nodes)},
      {"cluster_current_epoch", Number(&I::current_epoch)},
      {"cluster_my_epoch", Number(&I::my_epoch)},
      {"cluster_slot_migration_active_tasks", Number(&I::active_migrations)},
  };
  return ParseFields<I>(text, kSetters, [](I&, std::string_view, std::string_view) {});
}

ServerInfo ParseServerInfo(std::string_view text) {
  using I = ServerInfo;
  const auto rewrites = [](I& info, std::string_view value) { info.rewrites_aof = info.rewrites_aof || value == "1"; };
  static const Setters<I> kSetters = {
      // Valkey keeps saying redis_version:7.2.4 for old clients; its own version stands after that line.
      {"redis_version",
       [](I& info, std::string_view value) {
         if (info.engine == "redis") info.version = value;
       }},
      {"valkey_version",
       [](I& info, std::string_view value) {
         info.engine = "valkey";
         info.version = value;
       }},
      {"run_id", Text(&I::run_id)},
      {"uptime_in_seconds", Number(&I::uptime_seconds)},
      {"loading", Equals(&I::loading, "1")},
      {"role", Equals(&I::master_role, "master")},
      {"master_host", Text(&I::master_host)},
      {"master_port", Number(&I::master_port)},
      {"master_link_status", Equals(&I::master_link_up, "up")},
      {"master_sync_in_progress", Equals(&I::master_sync_in_progress, "1")},
      {"master_link_down_since_seconds", Number(&I::master_link_down_seconds)},
      {"master_repl_offset", Number(&I::master_repl_offset)},
      {"slave_repl_offset", Number(&I::replica_offset)},
      {"used_memory", Number(&I::used_memory)},
      {"maxmemory", Number(&I::maxmemory)},
      {"maxmemory_policy", Text(&I::maxmemory_policy)},
      {"aof_rewrite_in_progress", rewrites},
      {"aof_rewrite_scheduled", rewrites},
      {"aof_enabled", Equals(&I::aof_enabled, "1")},
      {"aof_last_write_status", Equals(&I::append_failed, "err")},
      {"rdb_last_bgsave_status", Equals(&I::save_failed, "err")},
  };
  return ParseFields<I>(text, kSetters, [](I& info, std::string_view name, std::string_view value) {
    AddKeyspace(info, name, value);
    CountWaitingReplica(info, name, value);
  });
}

}  // namespace slotwright
