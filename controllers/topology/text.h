// Cutting of what servers say, for the parsers and for messages.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slotwright::text {

/// Of ASCII letters.
[[nodiscard]] std::string LowerCase(std::string text);
/// The words between separators; empty ones are left out.
[[nodiscard]] std::vector<std::string_view> Split(std::string_view text, char separator);

/// What stands before the first separator, or all.
[[nodiscard]] inline std::string_view NextField(std::string_view text, char separator) {
  return text.substr(0, text.find(separator));
}

/// Cuts the first line off `text` and returns it without its "\n" or "\r\n".
[[nodiscard]] std::string_view TakeLine(std::string_view& text);

/// At most 160 bytes, with what is not printable ASCII as '?': fit for a log line whatever the input.
[[nodiscard]] std::string ForMessage(std::string_view text);

/// "1 pod is missing", "2 pods are missing".
[[nodiscard]] std::string Counted(std::size_t count, std::string_view one, std::string_view many);

/// The whole text as one decimal number, or nothing.
template <typename T>
[[nodiscard]] std::optional<T> ParseInteger(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace slotwright::text
