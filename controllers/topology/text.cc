// Cutting of what servers say.
#include "controllers/topology/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace slotwright::text {

std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::string_view word = NextField(text, separator);
    if (!word.empty()) words.push_back(word);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return words;
}

std::string_view TakeLine(std::string_view& text) {
  std::string_view line = NextField(text, '\n');
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string ForMessage(std::string_view text) {
  constexpr std::size_t kLongest = 160;
  std::string result(text.substr(0, kLongest));
  std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.size() > kLongest) result += "...";
  return result;
}

std::string Counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace slotwright::text
