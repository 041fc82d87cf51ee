// See protobuf_body.h. A table of messages and one reader for all of them.
#include "local/apiserver/protobuf_body.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "reconciler/base/base64.h"
#include "reconciler/base/clock.h"

namespace slotwright::local::apiserver {

namespace {

enum class FieldType {
  kString,
  kBytes,
  kBool,
  kInteger,
  kPlainInteger,  ///< Always on the wire, also when unset: 0 means absent.
  kMessage,
  kStringMap,
  kBytesMap,
  kTime,
  kIntOrString,
  kIgnored,  ///< What only servers set.
};

struct Field {
  std::string name;
  FieldType type = FieldType::kString;
  bool repeated = false;
  std::string message = {};
};

using Message = std::map<std::uint64_t, Field>;

const Field kMetadata{"metadata", FieldType::kMessage, false, "ObjectMeta"};
const Field kStatus{"status", FieldType::kIgnored};

const std::map<std::string, Message>& Messages() {
  using enum FieldType;
  static const std::map<std::string, Message> kMessages = {
      {"ObjectMeta",
       {{1, {"name"}},
        {2, {"generateName"}},
        {3, {"namespace"}},
        {4, {"selfLink"}},
        {5, {"uid"}},
        {6, {"resourceVersion"}},
        {7, {"generation", kPlainInteger}},
        {8, {"creationTimestamp", kTime}},
        {9, {"deletionTimestamp", kTime}},
        {10, {"deletionGracePeriodSeconds", kInteger}},
        {11, {"labels", kStringMap}},
        {12, {"annotations", kStringMap}},
        {13, {"ownerReferences", kMessage, true, "OwnerReference"}},
        {14, {"finalizers", kString, true}},
        {17, {"managedFields", kIgnored}}}},
      {"OwnerReference",
       {{1, {"kind"}},
        {3, {"name"}},
        {4, {"uid"}},
        {5, {"apiVersion"}},
        {6, {"controller", kBool}},
        {7, {"blockOwnerDeletion", kBool}}}},
      {"Namespace", {{1, kMetadata}, {2, {"spec", kIgnored}}, {3, kStatus}}},
      {"ConfigMap",
       {{1, kMetadata}, {2, {"data", kStringMap}}, {3, {"binaryData", kBytesMap}}, {4, {"immutable", kBool}}}},
      {"Secret",
       {{1, kMetadata},
        {2, {"data", kBytesMap}},
        {3, {"type"}},
        {4, {"stringData", kStringMap}},
        {5, {"immutable", kBool}}}},
      {"ServiceAccount",
       {{1, kMetadata},
        {3, {"imagePullSecrets", kMessage, true, "LocalObjectReference"}},
        {4, {"automountServiceAccountToken", kBool}}}},
      {"LocalObjectReference", {{1, {"name"}}}},
      {"Service", {{1, kMetadata}, {2, {"spec", kMessage, false, "ServiceSpec"}}, {3, kStatus}}},
      {"ServiceSpec",
       {{1, {"ports", kMessage, true, "ServicePort"}},
        {2, {"selector", kStringMap}},
        {3, {"clusterIP"}},
        {4, {"type"}},
        {5, {"externalIPs", kString, true}},
        {7, {"sessionAffinity"}},
        {8, {"loadBalancerIP"}},
        {10, {"externalName"}},
        {11, {"externalTrafficPolicy"}},
        {12, {"healthCheckNodePort", kPlainInteger}},
        {13, {"publishNotReadyAddresses", kBool}}}},
      {"ServicePort",
       {{1, {"name"}},
        {2, {"protocol"}},
        {3, {"port", kInteger}},
        {4, {"targetPort", kIntOrString}},
        {5, {"nodePort", kPlainInteger}},
        {6, {"appProtocol"}}}},
      {"PodDisruptionBudget", {{1, kMetadata}, {2, {"spec", kMessage, false, "BudgetSpec"}}, {3, kStatus}}},
      {"BudgetSpec",
       {{1, {"minAvailable", kIntOrString}},
        {2, {"selector", kMessage, false, "LabelSelector"}},
        {3, {"maxUnavailable", kIntOrString}},
        {4, {"unhealthyPodEvictionPolicy"}}}},
      {"LabelSelector", {{1, {"matchLabels", kStringMap}}, {2, {"matchExpressions", kMessage, true, "Expression"}}}},
      {"Expression", {{1, {"key"}}, {2, {"operator"}}, {3, {"values", kString, true}}}},
      {"Eviction", {{1, kMetadata}, {2, {"deleteOptions", kMessage, false, "DeleteOptions"}}}},
      {"DeleteOptions",
       {{1, {"gracePeriodSeconds", kInteger}},
        {2, {"preconditions", kMessage, false, "Preconditions"}},
        {3, {"orphanDependents", kBool}},
        {4, {"propagationPolicy"}},
        {5, {"dryRun", kString, true}}}},
      {"Preconditions", {{1, {"uid"}}, {2, {"resourceVersion"}}}},
      {"SelfSubjectAccessReview", {{1, kMetadata}, {2, {"spec", kMessage, false, "AccessSpec"}}, {3, kStatus}}},
      {"AccessSpec",
       {{1, {"resourceAttributes", kMessage, false, "ResourceAttributes"}},
        {2, {"nonResourceAttributes", kMessage, false, "NonResourceAttributes"}}}},
      {"ResourceAttributes",
       {{1, {"namespace"}},
        {2, {"verb"}},
        {3, {"group"}},
        {4, {"version"}},
        {5, {"resource"}},
        {6, {"subresource"}},
        {7, {"name"}}}},
      {"NonResourceAttributes", {{1, {"path"}}, {2, {"verb"}}}},
      {"SelfSubjectRulesReview", {{1, kMetadata}, {2, {"spec", kMessage, false, "RulesSpec"}}, {3, kStatus}}},
      {"RulesSpec", {{1, {"namespace"}}}},
  };
  return kMessages;
}

struct Unreadable {
  std::string why;
};

/// Reads one message's fields; throws Unreadable, which does not leave this file.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool AtEnd() const { return position_ == bytes_.size(); }

  /// The number of the next field. What it holds is in integer() or bytes().
  std::uint64_t Next() {
    const std::uint64_t tag = Varint();
    if ((tag & 7U) == 0) {
      integer_ = Varint();
    } else if ((tag & 7U) == 2) {
      const std::uint64_t size = Varint();
      if (size > bytes_.size() - position_) throw Unreadable{"a field is longer than the message"};
      text_ = bytes_.substr(position_, size);
      position_ += size;
    } else {
      throw Unreadable{fmt::format("wire type {} is not used by Kubernetes", tag & 7U)};
    }
    return tag >> 3U;
  }

  [[nodiscard]] std::int64_t integer() const { return static_cast<std::int64_t>(integer_); }
  [[nodiscard]] std::string_view bytes() const { return text_; }

 private:
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (AtEnd()) throw Unreadable{"the message ends too early"};
      const auto byte = static_cast<unsigned char>(bytes_[position_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    throw Unreadable{"a number is too long"};
  }

  std::string_view bytes_;
  size_t position_ = 0;
  std::uint64_t integer_ = 0;
  std::string_view text_;
};

Json ReadMessage(const std::string& name, std::string_view bytes);

std::pair<std::string, std::string> ReadMapEntry(std::string_view bytes) {
  std::pair<std::string, std::string> entry;
  for (WireReader reader(bytes); !reader.AtEnd();) {
    auto& part = reader.Next() == 1 ? entry.first : entry.second;
    part = reader.bytes();
  }
  return entry;
}

Json ReadIntOrString(std::string_view bytes) {
  std::int64_t type = 0;
  std::int64_t number = 0;
  std::string text;
  for (WireReader reader(bytes); !reader.AtEnd();) {
    const auto field = reader.Next();
    if (field == 1) type = reader.integer();
    if (field == 2) number = reader.integer();
    if (field == 3) text = reader.bytes();
  }
  return type == 0 ? Json(number) : Json(text);
}

Json ReadTime(std::string_view bytes) {
  std::optional<std::int64_t> seconds;
  for (WireReader reader(bytes); !reader.AtEnd();) {
    if (reader.Next() == 1) seconds = reader.integer();
  }
  if (!seconds) return nullptr;
  return reconciler::FormatTime(reconciler::WallTime(std::chrono::seconds(*seconds)));
}

// Null: absent.
Json ReadField(const Field& field, const WireReader& reader) {
  switch (field.type) {
    case FieldType::kString:
      return reader.bytes().empty() && !field.repeated ? Json() : Json(std::string(reader.bytes()));
    case FieldType::kBytes:
      return reconciler::EncodeBase64(std::string(reader.bytes()));
    case FieldType::kBool:
      return reader.integer() != 0;
    case FieldType::kInteger:
      return reader.integer();
    case FieldType::kPlainInteger:
      return reader.integer() == 0 ? Json() : Json(reader.integer());
    case FieldType::kMessage:
      return ReadMessage(field.message, reader.bytes());
    case FieldType::kTime:
      return ReadTime(reader.bytes());
    case FieldType::kIntOrString:
      return ReadIntOrString(reader.bytes());
    case FieldType::kStringMap:
    case FieldType::kBytesMap:
    case FieldType::kIgnored:
      break;
  }
  return nullptr;
}

Json ReadMessage(const std::string& name, std::string_view bytes) {
  const Message& message = Messages().at(name);
  Json object = Json::object();
  for (WireReader reader(bytes); !reader.AtEnd();) {
    const auto number = reader.Next();
    const auto field = message.find(number);
    if (field == message.end()) throw Unreadable{fmt::format("field {} of {} is not known here", number, name)};
    const auto& [json_name, type, repeated, nested] = field->second;
    if (type == FieldType::kStringMap || type == FieldType::kBytesMap) {
      const auto [key, value] = ReadMapEntry(reader.bytes());
      object[json_name][key] = type == FieldType::kBytesMap ? reconciler::EncodeBase64(value) : value;
      continue;
    }
    Json value = ReadField(field->second, reader);
    if (value.is_null()) continue;
    if (repeated) {
      object[json_name].push_back(std::move(value));
    } else {
      object[json_name] = std::move(value);
    }
  }
  return object;
}

// runtime.Unknown: 1 is the type, 2 the object.
Json ReadEnvelope(std::string_view bytes) {
  std::string api_version;
  std::string kind;
  std::string_view raw;
  for (WireReader reader(bytes); !reader.AtEnd();) {
    const auto field = reader.Next();
    if (field == 1) {
      for (WireReader type(reader.bytes()); !type.AtEnd();) {
        auto& part = type.Next() == 1 ? api_version : kind;
        part = type.bytes();
      }
    } else if (field == 2) {
      raw = reader.bytes();
    }
  }
  if (!Messages().contains(kind)) throw Unreadable{fmt::format("the kind {} is not read from protobuf here", kind)};
  Json object = ReadMessage(kind, raw);
  object["apiVersion"] = api_version;
  object["kind"] = kind;
  return object;
}

}  // namespace

ApiResult<Json> DecodeProtobuf(const std::string& body) {
  constexpr std::string_view kMagic("k8s\0", 4);
  try {
    if (!body.starts_with(kMagic)) throw Unreadable{"it does not begin with Kubernetes' own mark"};
    return ReadEnvelope(std::string_view(body).substr(kMagic.size()));
  } catch (const Unreadable& error) {
    return std::unexpected(
        MakeError(415, "UnsupportedMediaType",
                  fmt::format("the protobuf body cannot be read: {}; send JSON instead, for example with kubectl apply",
                              error.why)));
  }
}

}  // namespace slotwright::local::apiserver
