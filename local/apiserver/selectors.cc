// See selectors.h. Grammar: k8s.io/apimachinery/pkg/labels/selector.go.
#include "local/apiserver/selectors.h"

#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/metadata.h"

namespace slotwright::local::apiserver {

namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  while (true) {
    const size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string::npos) return parts;
    start = end + 1;
  }
}

const Json* LabelsOf(const Json& object) { return reconciler::ValueAt(object, {"metadata", "labels"}); }

// A scalar as the text that a field selector compares with.
std::string TextAt(const Json& object, const std::vector<std::string>& path) {
  const Json* value = &object;
  for (const auto& key : path) {
    if (!value->is_object() || !value->contains(key)) return "";
    value = &(*value)[key];
  }
  if (value->is_string()) return value->get<std::string>();
  return value->is_primitive() && !value->is_null() ? value->dump() : "";
}

}  // namespace

class SelectorParser {
 public:
  explicit SelectorParser(const std::string& text) : text_(text) {}

  ApiResult<LabelSelector> Parse() {
    LabelSelector selector;
    SkipSpace();
    while (position_ < text_.size()) {
      auto requirement = ParseRequirement();
      if (!requirement) return std::unexpected(requirement.error());
      if (!IsQualifiedName(requirement->key)) return Bad(fmt::format("'{}' is no label key", requirement->key));
      for (const auto& value : requirement->values) {
        if (!IsLabelValue(value)) return Bad(fmt::format("'{}' is no label value", value));
      }
      selector.requirements_.push_back(std::move(*requirement));
      SkipSpace();
      if (position_ == text_.size()) break;
      if (text_[position_] != ',') return Bad("expected ','");
      ++position_;
      SkipSpace();
      if (position_ == text_.size()) return Bad("a requirement is missing after ','");
    }
    return selector;
  }

 private:
  using Requirement = LabelSelector::Requirement;
  using Operator = LabelSelector::Operator;

  ApiResult<Requirement> ParseRequirement() {
    const bool negated = Accept('!');
    SkipSpace();
    const std::string key = Word();
    if (key.empty()) return Bad("a label key is missing");
    if (negated) return Requirement{key, Operator::kDoesNotExist, {}};
    SkipSpace();
    if (position_ == text_.size() || text_[position_] == ',') return Requirement{key, Operator::kExists, {}};
    if (Accept('!')) {
      if (!Accept('=')) return Bad("expected '='");
      return Requirement{key, Operator::kNotIn, {SpacedWord()}};
    }
    if (Accept('=')) {
      Accept('=');
      return Requirement{key, Operator::kIn, {SpacedWord()}};
    }
    const std::string word = Word();
    if (word == "in" || word == "notin") {
      auto values = ParseValues();
      if (!values) return std::unexpected(values.error());
      return Requirement{key, word == "in" ? Operator::kIn : Operator::kNotIn, std::move(*values)};
    }
    return Bad(fmt::format("'{}' is no operator", word));
  }

  ApiResult<std::vector<std::string>> ParseValues() {
    SkipSpace();
    if (!Accept('(')) return Bad("expected '('");
    std::vector<std::string> values;
    do {
      values.push_back(SpacedWord());
    } while (Accept(','));
    if (!Accept(')')) return Bad("expected ')'");
    return values;
  }

  std::string SpacedWord() {
    SkipSpace();
    std::string word = Word();
    SkipSpace();
    return word;
  }

  std::string Word() {
    const size_t start = position_;
    while (position_ < text_.size() && std::string_view("=!,() \t").find(text_[position_]) == std::string::npos) {
      ++position_;
    }
    return text_.substr(start, position_ - start);
  }

  bool Accept(char wanted) {
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  void SkipSpace() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t')) ++position_;
  }

  std::unexpected<ApiError> Bad(const std::string& why) const {
    return std::unexpected(
        BadRequest(fmt::format("unable to parse requirement: {} in label selector '{}' at {}", why, text_, position_)));
  }

  const std::string& text_;
  size_t position_ = 0;
};

ApiResult<LabelSelector> LabelSelector::Parse(const std::string& text) { return SelectorParser(text).Parse(); }

ApiResult<LabelSelector> LabelSelector::FromObject(const Json& selector) {
  LabelSelector result;
  if (const auto* labels = reconciler::ValueAt(selector, {"matchLabels"}); labels != nullptr && labels->is_object()) {
    for (const auto& [key, value] : labels->items()) {
      if (!value.is_string()) return std::unexpected(BadRequest("matchLabels: the values must be strings"));
      result.requirements_.push_back({key, Operator::kIn, {value.get<std::string>()}});
    }
  }
  const auto* expressions = reconciler::ValueAt(selector, {"matchExpressions"});
  if (expressions == nullptr || !expressions->is_array()) return result;
  for (const auto& expression : *expressions) {
    const std::string op = reconciler::StringAt(expression, {"operator"});
    Requirement requirement{reconciler::StringAt(expression, {"key"}), Operator::kIn, {}};
    if (const auto* values = reconciler::ValueAt(expression, {"values"}); values != nullptr && values->is_array()) {
      for (const auto& value : *values) {
        if (value.is_string()) requirement.values.push_back(value.get<std::string>());
      }
    }
    if (op == "NotIn") {
      requirement.op = Operator::kNotIn;
    } else if (op == "Exists") {
      requirement.op = Operator::kExists;
    } else if (op == "DoesNotExist") {
      requirement.op = Operator::kDoesNotExist;
    } else if (op != "In") {
      return std::unexpected(BadRequest(fmt::format("\"{}\" is not a valid label selector operator", op)));
    }
    const bool wants_values = requirement.op == Operator::kIn || requirement.op == Operator::kNotIn;
    if (requirement.values.empty() == wants_values) {
      return std::unexpected(BadRequest(wants_values ? "for 'in', 'notin' operators, values set can't be empty"
                                                     : "values set must be empty for exists and does not exist"));
    }
    result.requirements_.push_back(std::move(requirement));
  }
  return result;
}

bool LabelSelector::Matches(const Json& object) const {
  const Json* labels = LabelsOf(object);
  return std::ranges::all_of(requirements_, [labels](const Requirement& requirement) {
    const std::string* value = nullptr;
    if (labels != nullptr && labels->is_object()) {
      const auto found = labels->find(requirement.key);
      if (found != labels->end() && found->is_string()) value = found->get_ptr<const std::string*>();
    }
    switch (requirement.op) {
      case Operator::kExists:
        return value != nullptr;
      case Operator::kDoesNotExist:
        return value == nullptr;
      case Operator::kIn:
        return value != nullptr && std::ranges::find(requirement.values, *value) != requirement.values.end();
      case Operator::kNotIn:
        break;
    }
    return value == nullptr || std::ranges::find(requirement.values, *value) == requirement.values.end();
  });
}

ApiResult<FieldSelector> FieldSelector::Parse(const std::string& text, const std::vector<std::string>& supported) {
  FieldSelector selector;
  if (text.empty()) return selector;
  for (const auto& part : Split(text, ',')) {
    if (part.empty()) continue;
    const size_t sign = part.find('=');
    if (sign == std::string::npos || sign == 0) {
      return std::unexpected(BadRequest(fmt::format("invalid selector: '{}'; can't understand '{}'", text, part)));
    }
    const bool unequal = part[sign - 1] == '!';
    const std::string path = part.substr(0, unequal ? sign - 1 : sign);
    const size_t value = part.compare(sign, 2, "==") == 0 ? sign + 2 : sign + 1;
    if (std::ranges::find(supported, path) == supported.end()) {
      return std::unexpected(BadRequest(fmt::format("field label not supported: {}", path)));
    }
    selector.terms_.push_back({Split(path, '.'), !unequal, part.substr(value)});
  }
  return selector;
}

bool FieldSelector::Matches(const Json& object) const {
  return std::ranges::all_of(
      terms_, [&object](const Term& term) { return (TextAt(object, term.path) == term.value) == term.equal; });
}

}  // namespace slotwright::local::apiserver
