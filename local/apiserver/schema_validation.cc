// The checks and the wordings of k8s.io/kube-openapi/pkg/validation and apiextensions-apiserver.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "local/apiserver/schema.h"

namespace slotwright::local::apiserver {

namespace {

std::string TypeName(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return "boolean";
    case Json::value_t::string:
      return "string";
    case Json::value_t::array:
      return "array";
    case Json::value_t::object:
      return "object";
    case Json::value_t::number_float:
      return "number";
    default:
      return "integer";
  }
}

bool IsWhole(const Json& value) {
  return value.is_number_integer() ||
         (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
}

bool HasType(const Schema& schema, const Json& value) {
  if (schema.int_or_string) return IsWhole(value) || value.is_string();
  if (schema.type.empty()) return true;
  if (schema.type == "integer") return IsWhole(value);
  if (schema.type == "number") return value.is_number();
  return TypeName(value) == schema.type;
}

size_t CodePoints(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool IsDateTime(const std::string& text) {
  static const auto kMatches = CompilePattern(
      "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$");
  return (*kMatches)(text);
}

class Validator {
 public:
  explicit Validator(Causes& causes) : causes_(causes) {}

  void Validate(const Schema& schema, const Json& value, const Json* old, const std::string& field) {
    if (old != nullptr && *old == value) return;
    if (value.is_null() && schema.nullable) return;
    if (!HasType(schema, value)) {
      const std::string wanted = schema.int_or_string ? "integer,string" : schema.type;
      causes_.push_back(
          WrongType(field, TypeName(value),
                    fmt::format("{} in body must be of type {}: \"{}\"", field, wanted, TypeName(value))));
      return;
    }
    if (value.is_number()) ValidateNumber(schema, value, field);
    if (value.is_string()) ValidateString(schema, value.get<std::string>(), field);
    if (value.is_array()) ValidateArray(schema, value, old, field);
    if (value.is_object()) ValidateObject(schema, value, old, field);
    if (!schema.enum_values.is_null() && std::ranges::find(schema.enum_values, value) == schema.enum_values.end()) {
      causes_.push_back(UnsupportedValue(field, value, schema.enum_values));
    }
    ValidateLogic(schema, value, field);
  }

 private:
  void Bad(const std::string& field, const Json& value, const std::string& rest) {
    causes_.push_back(InvalidValue(field, value, fmt::format("{} in body {}", field, rest)));
  }

  void ValidateNumber(const Schema& schema, const Json& value, const std::string& field) {
    if (schema.minimum && (schema.exclusive_minimum ? value <= *schema.minimum : value < *schema.minimum)) {
      Bad(field, value,
          fmt::format("should be greater than {}{}", schema.exclusive_minimum ? "" : "or equal to ",
                      schema.minimum->dump()));
    }
    if (schema.maximum && (schema.exclusive_maximum ? value >= *schema.maximum : value > *schema.maximum)) {
      Bad(field, value,
          fmt::format("should be less than {}{}", schema.exclusive_maximum ? "" : "or equal to ",
                      schema.maximum->dump()));
    }
    if (schema.multiple_of) {
      const double quotient = value.get<double>() / schema.multiple_of->get<double>();
      if (std::floor(quotient) != quotient) {
        Bad(field, value, fmt::format("should be a multiple of {}", schema.multiple_of->dump()));
      }
    }
    const bool too_wide = schema.format == "int32" && (value < std::numeric_limits<std::int32_t>::min() ||
                                                       value > std::numeric_limits<std::int32_t>::max());
    if (too_wide) {
      causes_.push_back(InvalidValue(
          field, value, fmt::format("Checked value must be of type integer with format int32 in {}", field)));
    }
  }

  void ValidateString(const Schema& schema, const std::string& value, const std::string& field) {
    const size_t length = CodePoints(value);
    if (schema.max_length && length > *schema.max_length) causes_.push_back(TooLong(field, *schema.max_length));
    if (schema.min_length && length < *schema.min_length) {
      Bad(field, value, fmt::format("should be at least {} chars long", *schema.min_length));
    }
    if (schema.matches_pattern && !schema.matches_pattern(value)) {
      Bad(field, value, fmt::format("should match '{}'", schema.pattern));
    }
    if (schema.format == "date-time" && !IsDateTime(value)) {
      Bad(field, value, fmt::format("must be of type date-time: \"{}\"", value));
    }
  }

  void ValidateArray(const Schema& schema, const Json& value, const Json* old, const std::string& field) {
    if (schema.max_items && value.size() > *schema.max_items) {
      causes_.push_back(TooMany(field, value.size(), *schema.max_items));
    }
    if (schema.min_items && value.size() < *schema.min_items) {
      Bad(field, value, fmt::format("should have at least {} items", *schema.min_items));
    }
    ValidateUniqueness(schema, value, field);
    if (schema.items == nullptr) return;
    for (size_t i = 0; i < value.size(); ++i) {
      Validate(*schema.items, value[i], OldElement(schema, value[i], old), fmt::format("{}[{}]", field, i));
    }
  }

  static const Json* OldElement(const Schema& schema, const Json& element, const Json* old) {
    if (old == nullptr || !old->is_array() || schema.list_type != ListType::kMap) return nullptr;
    const Json key = ListMapKey(schema.list_map_keys, element);
    for (const auto& candidate : *old) {
      if (ListMapKey(schema.list_map_keys, candidate) == key) return &candidate;
    }
    return nullptr;
  }

  void ValidateUniqueness(const Schema& schema, const Json& value, const std::string& field) {
    if (schema.list_type == ListType::kAtomic) return;
    std::set<Json> seen;
    for (size_t i = 0; i < value.size(); ++i) {
      const Json key = schema.list_type == ListType::kMap ? ListMapKey(schema.list_map_keys, value[i]) : value[i];
      if (!seen.insert(key).second) causes_.push_back(DuplicateValue(fmt::format("{}[{}]", field, i), key));
    }
  }

  void ValidateObject(const Schema& schema, const Json& value, const Json* old, const std::string& field) {
    if (schema.max_properties && value.size() > *schema.max_properties) {
      causes_.push_back(TooMany(field, value.size(), *schema.max_properties));
    }
    if (schema.min_properties && value.size() < *schema.min_properties) {
      Bad(field, value, fmt::format("should have at least {} properties", *schema.min_properties));
    }
    for (const auto& name : schema.required) {
      if (!value.contains(name)) causes_.push_back(RequiredValue(ChildField(field, name)));
    }
    for (const auto& [name, child] : value.items()) {
      const Schema* child_schema = schema.Field(name);
      if (child_schema == nullptr) continue;
      const Json* old_child = old != nullptr && old->is_object() && old->contains(name) ? &(*old)[name] : nullptr;
      Validate(*child_schema, child, old_child, ChildField(field, name));
    }
  }

  static bool Accepts(const Schema& schema, const Json& value, const std::string& field) {
    Causes causes;
    Validator(causes).Validate(schema, value, nullptr, field);
    return causes.empty();
  }

  void ValidateLogic(const Schema& schema, const Json& value, const std::string& field) {
    for (const auto& one : schema.all_of) Validate(*one, value, nullptr, field);
    const auto accepts = [&](const std::shared_ptr<const Schema>& one) { return Accepts(*one, value, field); };
    if (!schema.any_of.empty() && std::ranges::none_of(schema.any_of, accepts)) {
      causes_.push_back(
          InvalidValue(field, "", fmt::format("\"{}\" must validate at least one schema (anyOf)", field)));
    }
    if (!schema.one_of.empty() && std::ranges::count_if(schema.one_of, accepts) != 1) {
      causes_.push_back(
          InvalidValue(field, "", fmt::format("\"{}\" must validate one and only one schema (oneOf)", field)));
    }
    if (schema.negated != nullptr && accepts(schema.negated)) {
      causes_.push_back(InvalidValue(field, "", fmt::format("\"{}\" must not validate the schema (not)", field)));
    }
  }

  Causes& causes_;
};

class RuleChecker {
 public:
  explicit RuleChecker(Causes& causes) : causes_(causes) {}

  void Check(const Schema& schema, const Json& value, const Json* old, const std::string& field) {
    if (value.is_null()) return;
    for (const auto& rule : schema.rules) CheckRule(rule, value, old, field);
    if (value.is_array() && schema.items != nullptr) CheckElements(schema, value, old, field);
    if (!value.is_object()) return;
    for (const auto& [name, child] : value.items()) {
      const Schema* child_schema = schema.Field(name);
      if (child_schema == nullptr) continue;
      const Json* old_child = old != nullptr && old->is_object() && old->contains(name) ? &(*old)[name] : nullptr;
      Check(*child_schema, child, old_child, ChildField(field, name));
    }
  }

 private:
  void CheckElements(const Schema& schema, const Json& value, const Json* old, const std::string& field) {
    for (size_t i = 0; i < value.size(); ++i) {
      const Json* old_element = nullptr;
      if (old != nullptr && old->is_array() && schema.list_type == ListType::kMap) {
        const Json key = ListMapKey(schema.list_map_keys, value[i]);
        for (const auto& candidate : *old) {
          if (ListMapKey(schema.list_map_keys, candidate) == key) old_element = &candidate;
        }
      }
      Check(*schema.items, value[i], old_element, fmt::format("{}[{}]", field, i));
    }
  }

  void CheckRule(const ValidationRule& rule, const Json& value, const Json* old, const std::string& field) {
    const bool transition = rule.rule.UsesOldSelf();
    if (transition && old == nullptr) return;
    if (!transition && old != nullptr && *old == value) return;
    const auto result = rule.rule.Evaluate(value, old);
    if (result && result->is_boolean() && result->get<bool>()) return;
    std::string message = rule.message.empty() ? "failed rule: " + rule.text : rule.message;
    if (rule.message_expression) {
      const auto text = rule.message_expression->Evaluate(value, old);
      if (text && text->is_string() && !text->get<std::string>().empty()) message = text->get<std::string>();
    }
    if (!result) message = fmt::format("{} evaluating rule: {}", result.error().message, message);
    const std::string place = field + rule.field_path;
    const std::string where = place.empty() ? kRootField : place.starts_with('.') ? place.substr(1) : place;
    Cause cause = value.is_structured() ? InvalidWhole(where, message) : InvalidValue(where, value, message);
    if (rule.reason == "FieldValueForbidden") cause = ForbiddenValue(where, message);
    if (rule.reason == "FieldValueRequired") cause = RequiredValue(where, message);
    causes_.push_back(std::move(cause));
  }

  Causes& causes_;
};

}  // namespace

void ValidateAgainst(const Schema& schema, const Json& value, const Json* old, const std::string& field,
                     Causes& causes) {
  Validator(causes).Validate(schema, value, old, field);
}

bool HasRules(const Schema& schema) {
  const auto has = [](const std::shared_ptr<const Schema>& below) { return below != nullptr && HasRules(*below); };
  return !schema.rules.empty() || has(schema.items) || has(schema.additional_properties) ||
         std::ranges::any_of(schema.properties, [&has](const auto& property) { return has(property.second); });
}

void ValidateRules(const Schema& schema, const Json& value, const Json* old, const std::string& field, Causes& causes) {
  RuleChecker(causes).Check(schema, value, old, field);
}

}  // namespace slotwright::local::apiserver
