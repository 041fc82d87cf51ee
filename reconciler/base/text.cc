// See text.h.
#include "reconciler/base/text.h"

#include <nlohmann/json.hpp>
#include <string_view>

namespace reconciler {

using nlohmann::json;

std::string Clipped(const std::string& text, std::size_t bytes) {
  auto valid = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
  if (valid.size() <= bytes) return valid;
  constexpr std::string_view kMore = "…";
  std::size_t end = bytes - kMore.size();
  const auto continues = [&valid](std::size_t at) { return (static_cast<unsigned char>(valid[at]) & 0xC0) == 0x80; };
  while (continues(end)) --end;
  return valid.substr(0, end).append(kMore);
}

}  // namespace reconciler
