// Base64 as Secrets, kubeconfig files and continue tokens carry it.
#pragma once

#include <optional>
#include <string>

namespace reconciler {

[[nodiscard]] std::string EncodeBase64(const std::string& bytes);
/// Nothing if `text` is not base64. Line breaks do not matter, as they do not to Go's encoding/base64.
[[nodiscard]] std::optional<std::string> DecodeBase64(const std::string& text);

}  // namespace reconciler
