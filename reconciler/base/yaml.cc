// See yaml.h.
#include "reconciler/base/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace reconciler {

namespace {

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Json PlainScalar(const std::string& text) {
  for (const char* word : {"", "~", "null", "Null", "NULL"}) {
    if (text == word) return nullptr;
  }
  for (const char* word : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (text == word) return false;
  }
  if (const auto integer = ParseNumber<std::int64_t>(text)) return *integer;
  // "inf" and "nan" are words here, not numbers.
  if (text.find_first_of("0123456789") != std::string::npos && text.find_first_of("xXpPiInN") == std::string::npos) {
    const auto real = ParseNumber<double>(text);
    if (real && std::isfinite(*real)) return *real;
  }
  return text;
}

// An alias may stand for what it is part of.
constexpr int kDeepest = 100;

Json Convert(const YAML::Node& node, int depth = 0) {
  if (depth > kDeepest) throw YAML::Exception(node.Mark(), fmt::format("nested more than {} deep", kDeepest));
  switch (node.Type()) {
    case YAML::NodeType::Map: {
      Json object = Json::object();
      for (const auto& entry : node) object[entry.first.as<std::string>()] = Convert(entry.second, depth + 1);
      return object;
    }
    case YAML::NodeType::Sequence: {
      Json array = Json::array();
      for (const auto& element : node) array.push_back(Convert(element, depth + 1));
      return array;
    }
    case YAML::NodeType::Scalar:
      // yaml-cpp marks quoted scalars with the tag "!".
      if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return node.Scalar();
      return PlainScalar(node.Scalar());
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      break;
  }
  return nullptr;
}

}  // namespace

Result<std::vector<Json>> ParseYaml(const std::string& text) {
  try {
    std::vector<Json> documents;
    for (const auto& node : YAML::LoadAll(text)) {
      Json document = Convert(node);
      if (!document.is_null()) documents.push_back(std::move(document));
    }
    return documents;
  } catch (const YAML::Exception& e) {
    return Fail(ErrorKind::kInvalid, fmt::format("line {}, column {}: {}", e.mark.line + 1, e.mark.column + 1, e.msg));
  }
}

Result<std::vector<Json>> ReadYamlFile(const std::string& path) {
  const std::ifstream file(path);
  if (!file) return Fail(ErrorKind::kNotFound, fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  auto documents = ParseYaml(text.str());
  if (!documents) return std::unexpected(documents.error().Within(path));
  return documents;
}

}  // namespace reconciler
