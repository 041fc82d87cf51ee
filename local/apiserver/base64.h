// Base64 as Secrets and continue tokens carry it.
#pragma once

#include <optional>
#include <string>

namespace slotwright::local::apiserver {

[[nodiscard]] std::string EncodeBase64(const std::string& bytes);
/// Nothing if `text` is not base64.
[[nodiscard]] std::optional<std::string> DecodeBase64(const std::string& text);

}  // namespace slotwright::local::apiserver
