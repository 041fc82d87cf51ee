// The few request bodies that kubectl sends as protobuf and cannot be talked out of: its imperative commands.
#pragma once

#include <string>

#include "local/apiserver/api_status.h"

namespace slotwright::local::apiserver {

inline constexpr const char* kProtobufType = "application/vnd.kubernetes.protobuf";

/// The object as JSON. 415 for kinds that no kubectl command of this subset sends, and for fields that are not known
/// here: nothing is dropped silently. See k8s.io/apimachinery/pkg/runtime/serializer/protobuf and
/// k8s.io/api/**/generated.proto.
[[nodiscard]] ApiResult<Json> DecodeProtobuf(const std::string& body);

}  // namespace slotwright::local::apiserver
