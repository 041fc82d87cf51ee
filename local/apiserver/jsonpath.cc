// See jsonpath.h and k8s.io/client-go/util/jsonpath.
#include "local/apiserver/jsonpath.h"

#include <fmt/format.h>

#include <charconv>

namespace slotwright::local::apiserver {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;

class JsonPathParser {
 public:
  explicit JsonPathParser(const std::string& text) : text_(text) {}

  Result<JsonPath> Parse() {
    JsonPath path;
    if (text_.starts_with("$")) ++position_;
    while (position_ < text_.size()) {
      auto step = ParseStep();
      if (!step) return std::unexpected(step.error());
      path.steps_.push_back(std::move(*step));
    }
    return path;
  }

 private:
  using Step = JsonPath::Step;
  using StepKind = JsonPath::StepKind;

  Result<Step> ParseStep() {
    if (Accept("[?(")) return ParseFilter();
    if (Accept("['") || Accept("[\"")) {
      const char quote = text_[position_ - 1];
      const size_t end = text_.find(std::string(1, quote) + "]", position_);
      if (end == std::string::npos) return Bad("the quoted name does not end");
      Step step{.kind = StepKind::kField, .name = text_.substr(position_, end - position_)};
      std::erase(step.name, '\\');
      position_ = end + 2;
      return step;
    }
    if (Accept("[*]") || Accept(".*")) return Step{.kind = StepKind::kWildcard, .name = {}};
    if (Accept("[")) return ParseIndex();
    if (!Accept(".")) return Bad("expected '.' or '['");
    Step step{.kind = StepKind::kField, .name = Name()};
    if (step.name.empty()) return Bad("a field name is missing");
    return step;
  }

  Result<Step> ParseIndex() {
    Step step{.kind = StepKind::kIndex, .name = {}};
    const auto parsed = std::from_chars(text_.data() + position_, text_.data() + text_.size(), step.index);
    if (parsed.ec != std::errc()) return Bad("only a number, '*', a quoted name or a filter may stand in brackets");
    position_ = static_cast<size_t>(parsed.ptr - text_.data());
    if (!Accept("]")) return Bad("expected ']'");
    return step;
  }

  Result<Step> ParseFilter() {
    Step step{.kind = StepKind::kFilter, .name = {}};
    if (!Accept("@")) return Bad("a filter begins with '@'");
    while (Accept(".")) step.filter.push_back(Name());
    SkipSpace();
    if (Accept("==") || Accept("!=")) {
      step.equal = text_[position_ - 2] == '=';
      step.has_value = true;
      SkipSpace();
      const size_t end = text_.find(")]", position_);
      if (end == std::string::npos) return Bad("the filter does not end");
      std::string literal = text_.substr(position_, end - position_);
      while (!literal.empty() && literal.back() == ' ') literal.pop_back();
      if (literal.size() >= 2 && literal.front() == '\'') {
        step.value = literal.substr(1, literal.size() - 2);
      } else {
        step.value = Json::parse(literal, nullptr, false);
        if (step.value.is_discarded()) return Bad("the filter compares with something that is no literal");
      }
      position_ = end;
    }
    if (!Accept(")]")) return Bad("only == and != are supported in filters");
    return step;
  }

  std::string Name() {
    std::string name;
    while (position_ < text_.size() && std::string_view(".[]()=!<> ").find(text_[position_]) == std::string::npos) {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) ++position_;
      name += text_[position_++];
    }
    return name;
  }

  bool Accept(std::string_view symbol) {
    if (text_.compare(position_, symbol.size(), symbol) != 0) return false;
    position_ += symbol.size();
    return true;
  }

  void SkipSpace() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }

  std::unexpected<reconciler::Error> Bad(const std::string& why) const {
    return Fail(ErrorKind::kInvalid, fmt::format("JSONPath '{}', column {}: {}", text_, position_ + 1, why));
  }

  const std::string& text_;
  size_t position_ = 0;
};

Result<JsonPath> JsonPath::Parse(const std::string& text) { return JsonPathParser(text).Parse(); }

void JsonPath::Apply(const Step& step, const Json& value, std::vector<const Json*>& found) {
  switch (step.kind) {
    case StepKind::kField:
      if (value.is_object() && value.contains(step.name)) found.push_back(&value[step.name]);
      return;
    case StepKind::kIndex: {
      if (!value.is_array()) return;
      const auto size = static_cast<int>(value.size());
      const int index = step.index < 0 ? size + step.index : step.index;
      if (index >= 0 && index < size) found.push_back(&value[static_cast<size_t>(index)]);
      return;
    }
    case StepKind::kWildcard:
      if (!value.is_structured()) return;
      for (const auto& element : value) found.push_back(&element);
      return;
    case StepKind::kFilter:
      break;
  }
  if (!value.is_array()) return;
  for (const auto& element : value) {
    const Json* at = &element;
    for (const auto& name : step.filter) {
      at = at != nullptr && at->is_object() && at->contains(name) ? &(*at)[name] : nullptr;
    }
    if (at != nullptr && (!step.has_value || (*at == step.value) == step.equal)) found.push_back(&element);
  }
}

std::vector<const Json*> JsonPath::Find(const Json& object) const {
  std::vector<const Json*> values = {&object};
  for (const auto& step : steps_) {
    std::vector<const Json*> next;
    for (const Json* value : values) Apply(step, *value, next);
    values = std::move(next);
  }
  return values;
}

}  // namespace slotwright::local::apiserver
