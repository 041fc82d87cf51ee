// Environment variables: env, envFrom and their sources.
#include "local/kubelet/environment.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;
using reconciler::StringAt;

void Environment::Set(const std::string& name, std::string value) {
  const auto found = std::ranges::find(variables_, name, &std::pair<std::string, std::string>::first);
  if (found != variables_.end()) {
    found->second = std::move(value);
  } else {
    variables_.emplace_back(name, std::move(value));
  }
}

std::optional<std::string> Environment::Get(std::string_view name) const {
  const auto found = std::ranges::find(variables_, name, &std::pair<std::string, std::string>::first);
  if (found == variables_.end()) return std::nullopt;
  return found->second;
}

VariableLookup Environment::Lookup() const {
  return [this](std::string_view name) { return Get(name); };
}

namespace {

bool IsVariableName(const std::string& name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c != '=' && static_cast<unsigned char>(c) < 0x7f; });
}

Result<void> AddAll(const Json& entry, const PodFacts& facts, Environment* environment) {
  const bool secret = entry.contains("secretRef");
  if (!secret && !entry.contains("configMapRef")) return Fail(ErrorKind::kInvalid, "envFrom has no known source");
  const auto object = FindData(facts, secret ? DataKind::kSecret : DataKind::kConfigMap,
                               secret ? entry["secretRef"] : entry["configMapRef"]);
  if (!object) return std::unexpected(object.error());
  if (*object == nullptr) return {};
  for (auto& [key, value] : AllDataOf(**object)) {
    const std::string name = StringAt(entry, {"prefix"}) + key;
    if (IsVariableName(name)) environment->Set(name, value);
  }
  return {};
}

// Nothing: the source is missing and optional.
Result<std::optional<std::string>> ValueFromData(const Json& reference, DataKind kind, const PodFacts& facts) {
  const auto object = FindData(facts, kind, reference);
  if (!object) return std::unexpected(object.error());
  if (*object == nullptr) return std::nullopt;
  auto value = DataOf(**object, StringAt(reference, {"key"}));
  if (value) return std::move(*value);
  if (reference.value("optional", false)) return std::nullopt;
  return std::unexpected(value.error());
}

Result<std::optional<std::string>> ValueFrom(const Json& source, const PodFacts& facts) {
  if (const auto field = source.find("fieldRef"); field != source.end()) {
    auto value = FieldValue(facts, StringAt(*field, {"fieldPath"}));
    if (!value) return std::unexpected(value.error());
    return std::move(*value);
  }
  if (const auto reference = source.find("configMapKeyRef"); reference != source.end()) {
    return ValueFromData(*reference, DataKind::kConfigMap, facts);
  }
  if (const auto reference = source.find("secretKeyRef"); reference != source.end()) {
    return ValueFromData(*reference, DataKind::kSecret, facts);
  }
  return Fail(ErrorKind::kInvalid, fmt::format("valueFrom {} is not known to the local kubelet; use fieldRef, "
                                               "configMapKeyRef or secretKeyRef",
                                               source.dump()));
}

}  // namespace

Result<Environment> EnvironmentOf(const Json& container, const PodFacts& facts) {
  Environment environment;
  for (const auto& entry : container.value("envFrom", Json::array())) {
    if (auto added = AddAll(entry, facts, &environment); !added) return std::unexpected(added.error());
  }
  for (const auto& entry : container.value("env", Json::array())) {
    const std::string name = StringAt(entry, {"name"});
    const auto source = entry.find("valueFrom");
    if (source == entry.end()) {
      environment.Set(name, ExpandVariables(StringAt(entry, {"value"}), environment.Lookup()));
      continue;
    }
    auto value = ValueFrom(*source, facts);
    if (!value) return std::unexpected(value.error().Within("environment variable " + name));
    if (*value) environment.Set(name, std::move(**value));
  }
  return environment;
}

}  // namespace slotwright::local
