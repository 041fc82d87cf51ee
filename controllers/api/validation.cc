// What the schema cannot say about a RedisCluster.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "controllers/api/names.h"
#include "controllers/api/redis_cluster.h"
#include "controllers/topology/text.h"

namespace slotwright {

namespace {

struct OwnedDirective {
  std::string_view name;  ///< A trailing "*" stands for anything.
  std::string_view remedy;
};

constexpr auto kOwnedDirectives = std::to_array<OwnedDirective>({
    {"port", "remove it and set spec.port"},
    {"bind", "remove it; each pod listens on its own address, and on 127.0.0.1 for who is in it"},
    {"dir", "remove it; the data folder is a volume that spec.storage describes"},
    {"include", "remove it and write the directives into spec.config"},
    {"daemonize", "remove it; the container runtime watches the process"},
    {"supervised", "remove it; the container runtime watches the process"},
    {"pidfile", "remove it; the container runtime watches the process"},
    {"logfile", "remove it; logs go to standard output, for kubectl logs"},
    {"syslog-enabled", "remove it; logs go to standard output, for kubectl logs"},
    {"unixsocket", "remove it; the root file system is read-only"},
    {"protected-mode", "remove it; every connection needs the password"},
    {"requirepass", "remove it and name a Secret in spec.auth"},
    {"masterauth", "remove it and name a Secret in spec.auth"},
    {"masteruser", "remove it; the nodes log in as the default user"},
    {"primaryauth", "remove it and name a Secret in spec.auth"},
    {"primaryuser", "remove it; the nodes log in as the default user"},
    {"appendfilename", "remove it; the start script looks for the data under its usual name"},
    {"appenddirname", "remove it; the start script looks for the data under its usual name"},
    {"dbfilename", "remove it; the start script looks for the data under its usual name"},
    {"user", "remove it; ACL users are not supported yet"},
    {"aclfile", "remove it; ACL users are not supported yet"},
    {"rename-command", "remove it; the operator needs the commands under their names"},
    {"replicaof", "remove it; the operator assigns the roles"},
    {"slaveof", "remove it; the operator assigns the roles"},
    {"cluster-enabled", "remove it; it is always yes"},
    {"cluster-config-file", "remove it; the operator needs it under its name"},
    {"cluster-port", "remove it; each cluster has its own, made from its name"},
    {"cluster-allow-replica-migration", "remove it; the operator places the replicas"},
    {"cluster-announce-*", "remove it; each pod announces its own address"},
    {"tls-*", "remove it; TLS is not supported yet"},
});

const OwnedDirective* FindOwned(std::string_view directive) {
  const auto found = std::ranges::find_if(kOwnedDirectives, [&](const OwnedDirective& owned) {
    return owned.name.ends_with('*') ? directive.starts_with(owned.name.substr(0, owned.name.size() - 1))
                                     : directive == owned.name;
  });
  return found == kOwnedDirectives.end() ? nullptr : &*found;
}

bool IsDirectiveName(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '.' || c == '_';
  });
}

// It is set when a quarantine ends: one that servers refuse would let none end.
bool IsSyncDelay(const std::string& value) {
  const int seconds = text::ParseInteger<int>(value).value_or(-1);
  return seconds >= 0 && seconds <= 3600;
}

void ValidateConfig(const std::map<std::string, std::string>& config, std::vector<FieldError>& errors) {
  for (const auto& [name, value] : config) {
    const std::string field = "spec.config." + name;
    const std::string shown = ShownValue(name, value);
    if (const auto* owned = FindOwned(text::LowerCase(name))) {
      errors.push_back({field, shown, std::string(owned->remedy)});
    } else if (!IsDirectiveName(name)) {
      errors.push_back({field, shown, "use the directive's name as redis.conf spells it: a-z, 0-9, '-' and '.'"});
    } else if (name == "repl-diskless-sync-delay" && !IsSyncDelay(value)) {
      errors.push_back({field, shown, "use seconds, 0 to 3600; a longer delay marks a node that nobody may copy yet"});
    } else if (value.find_first_of("\r\n") != std::string::npos) {
      errors.push_back({field, shown, "remove the line break"});
    }
  }
}

// The start script waits that long, and probes are set by it.
void ValidateNodeTimeout(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  const auto found = spec.config.find("cluster-node-timeout");
  if (found == spec.config.end()) return;
  const int milliseconds = text::ParseInteger<int>(found->second).value_or(0);
  if (milliseconds >= 500 && milliseconds <= 600'000) return;
  errors.push_back({"spec.config.cluster-node-timeout", found->second, "use milliseconds, 500 to 600000"});
}

// Each node keeps two links to the bus of each other one, which Redis counts as clients (acceptCommonHandler in its
// src/networking.c); replicas, probes, the operator and a person with redis-cli come on top. Too few, and the cluster
// cannot even be repaired by CONFIG SET.
void ValidateMaxClients(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  const auto found = spec.config.find("maxclients");
  if (found == spec.config.end()) return;
  const int least = 2 * spec.pods() + 64;
  if (text::ParseInteger<int>(found->second).value_or(0) >= least) return;
  errors.push_back({"spec.config.maxclients", found->second,
                    fmt::format("use at least {}: two for each of {} pods and 64 for the operator, probes and clients",
                                least, spec.pods())});
}

// Counting and naming keys of a slot, and MIGRATE, know one database at a time.
void ValidateDatabases(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  const auto found = spec.config.find("cluster-databases");
  if (found == spec.config.end() || spec.rebalance.method != MigrationMethod::kKeys) return;
  if (text::ParseInteger<int>(found->second).value_or(0) == 1) return;
  errors.push_back({"spec.rebalance.method", "Keys",
                    "moves database 0 only, and spec.config.cluster-databases may fill others: use Atomic or Auto"});
}

// As redis.conf counts (memtoull in Redis' src/util.c): 1k is 1000 bytes, 1kb is 1024.
std::optional<std::int64_t> BytesOf(const std::string& value) {
  std::int64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || number < 0) return std::nullopt;
  static const std::map<std::string, std::int64_t> kUnits = {
      {"", 1},         {"b", 1},        {"k", 1000},         {"kb", 1 << 10},
      {"m", 1000'000}, {"mb", 1 << 20}, {"g", 1000'000'000}, {"gb", 1 << 30},
  };
  const auto unit = kUnits.find(text::LowerCase(std::string(rest, end)));
  std::int64_t bytes = 0;
  if (unit == kUnits.end()) return std::nullopt;
  if (__builtin_mul_overflow(number, unit->second, &bytes)) return std::numeric_limits<std::int64_t>::max();
  return bytes;
}

// The kernel would end it, master after master, before it evicts or refuses anything.
void ValidateMaxMemory(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  const auto found = spec.config.find("maxmemory");
  const auto* limit = reconciler::ValueAt(spec.resources, {"limits", "memory"});
  if (found == spec.config.end() || limit == nullptr) return;
  const std::string shown = limit->is_string() ? limit->get<std::string>() : limit->dump();
  const auto most = ParseQuantity(shown);
  const auto bytes = BytesOf(found->second);
  if (!most || !bytes || (*bytes > 0 && *bytes < *most)) return;
  errors.push_back(
      {"spec.config.maxmemory", found->second,
       fmt::format("use less than spec.resources.limits.memory ({}), or remove it for 75 % of that; what is "
                   "left is for buffers and for copies while it saves",
                   shown)});
}

// What pods are found and recognised by.
void ValidatePodTemplate(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  constexpr auto kOwned =
      std::to_array({labels::kName, labels::kInstance, labels::kManagedBy, labels::kComponent, labels::kPartOf});
  const auto check = [&](const char* field, const std::map<std::string, std::string>& given) {
    for (const auto& [key, value] : given) {
      if (!key.starts_with("slotwright.dev/") && std::ranges::find(kOwned, key) == kOwned.end()) continue;
      errors.push_back(
          {fmt::format("spec.podTemplate.metadata.{}.{}", field, key), value, "remove it; the operator sets it"});
    }
  };
  check("labels", spec.pod_labels);
  check("annotations", spec.pod_annotations);
}

// While such a pod is replaced none stands in for it, as its volume is to bring the data back.
void ValidateOnlyCopy(const RedisClusterSpec& spec, std::vector<FieldError>& errors) {
  const auto save = spec.config.find("save");
  const auto append_only = spec.config.find("appendonly");
  if (!spec.storage || spec.replicas_per_master > 0 || save == spec.config.end() || !save->second.empty()) return;
  if (append_only == spec.config.end() || text::LowerCase(append_only->second) != "no") return;
  errors.push_back({"spec.config.save", "",
                    "nothing would be written to the volumes, and with spec.replicasPerMaster 0 a restart would lose "
                    "everything; remove it, or appendonly, or use replicas"});
}

}  // namespace

std::string ShownValue(const std::string& directive, const std::string& value) {
  const std::string lower = text::LowerCase(directive);
  const bool secret = lower.find("pass") != std::string::npos || lower.find("auth") != std::string::npos;
  return secret ? "(hidden)" : value;
}

std::string FieldError::ToString() const { return fmt::format("{}: \"{}\": {}", field, value, remedy); }

std::vector<FieldError> Validate(const RedisCluster& cluster) {
  std::vector<FieldError> errors;
  const auto& spec = cluster.spec;
  const auto range = [&](const char* field, int value, int low, int high) {
    if (value < low || value > high) {
      errors.push_back({field, std::to_string(value), fmt::format("use a value from {} to {}", low, high)});
    }
  };
  range("spec.masters", spec.masters, 1, kMostMasters);
  range("spec.replicasPerMaster", spec.replicas_per_master, 0, 5);
  range("spec.port", spec.port, 1, 65535);
  if (spec.image.empty()) errors.push_back({"spec.image", "", "name an image, for example redis:7.0"});
  ValidateConfig(spec.config, errors);
  ValidateDatabases(spec, errors);
  ValidateMaxClients(spec, errors);
  ValidateMaxMemory(spec, errors);
  ValidateNodeTimeout(spec, errors);
  ValidateOnlyCopy(spec, errors);
  ValidatePodTemplate(spec, errors);
  if (spec.storage) {
    const auto bytes = ParseQuantity(spec.storage->size);
    if (!bytes || *bytes <= 0) {
      errors.push_back({"spec.storage.size", spec.storage->size, "use a positive quantity, for example 10Gi"});
    }
  }
  for (const char* kind : {"requests", "limits"}) {
    const auto* memory = reconciler::ValueAt(spec.resources, {kind, "memory"});
    if (memory == nullptr) continue;
    const std::string text = memory->is_string() ? memory->get<std::string>() : memory->dump();
    const auto bytes = ParseQuantity(text);
    if (!bytes || *bytes < (16 << 20)) {
      errors.push_back({fmt::format("spec.resources.{}.memory", kind), text, "use at least 16Mi, for example 1Gi"});
    }
  }
  return errors;
}

std::optional<std::string> PasswordProblem(const std::string& password) {
  if (password.size() < 16) {
    return fmt::format("it has {} characters; use at least 16", password.size());
  }
  if (password.size() > 512) return "it is longer than 512 characters; use a shorter one";
  const bool printable = std::ranges::all_of(password, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (!printable) {
    return "it holds a control character, perhaps a line break at its end (kubectl create secret --from-literal adds "
           "none, --from-file keeps the file's); store it without";
  }
  return std::nullopt;
}

std::optional<std::int64_t> ParseQuantity(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  static const std::map<std::string_view, double> kSuffixes = {
      {"", 1.0},      {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},
      {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
      {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60},
  };
  const auto suffix = kSuffixes.find(std::string_view(rest, static_cast<size_t>(end - rest)));
  if (suffix == kSuffixes.end()) return std::nullopt;
  const double bytes = number * suffix->second;
  if (bytes < 0 || bytes >= 0x1p63) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

}  // namespace slotwright
