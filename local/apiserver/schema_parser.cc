// From openAPIV3Schema to Schema, with the checks of apiextensions-apiserver's structural schemas.
#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/schema.h"

namespace slotwright::local::apiserver {

namespace {

using SchemaPtr = std::shared_ptr<const Schema>;

const std::set<std::string> kTypes = {"object", "array", "string", "integer", "number", "boolean"};

class SchemaParser {
 public:
  explicit SchemaParser(Causes& causes) : causes_(causes) {}

  SchemaPtr Parse(const Json& json, const std::string& field, bool structural) {
    auto schema = std::make_shared<Schema>();
    if (!json.is_object()) {
      causes_.push_back(RequiredValue(field, "a schema must be an object"));
      return schema;
    }
    for (const auto& [keyword, value] : json.items()) {
      try {
        if (!ParseAnnotation(keyword) && !ParseLimit(*schema, keyword, value, field) &&
            !ParseShape(*schema, keyword, value, field, structural) &&
            !ParseExtension(*schema, keyword, value, field)) {
          causes_.push_back(ForbiddenValue(ChildField(field, keyword), "this keyword is not supported"));
        }
      } catch (const Json::exception&) {
        causes_.push_back(InvalidValue(ChildField(field, keyword), value, "has the wrong type"));
      }
    }
    if (structural) CheckStructure(*schema, json, field);
    CheckRules(*schema, field);
    return schema;
  }

 private:
  static bool ParseAnnotation(const std::string& keyword) {
    return keyword == "description" || keyword == "title" || keyword == "example" || keyword == "externalDocs" ||
           keyword == "id";
  }

  bool ParseLimit(Schema& schema, const std::string& keyword, const Json& value, const std::string& field) {
    if (keyword == "minimum") {
      schema.minimum = value;
    } else if (keyword == "maximum") {
      schema.maximum = value;
    } else if (keyword == "exclusiveMinimum") {
      schema.exclusive_minimum = value.get<bool>();
    } else if (keyword == "exclusiveMaximum") {
      schema.exclusive_maximum = value.get<bool>();
    } else if (keyword == "multipleOf") {
      schema.multiple_of = value;
    } else if (keyword == "minLength") {
      schema.min_length = value.get<size_t>();
    } else if (keyword == "maxLength") {
      schema.max_length = value.get<size_t>();
    } else if (keyword == "minItems") {
      schema.min_items = value.get<size_t>();
    } else if (keyword == "maxItems") {
      schema.max_items = value.get<size_t>();
    } else if (keyword == "minProperties") {
      schema.min_properties = value.get<size_t>();
    } else if (keyword == "maxProperties") {
      schema.max_properties = value.get<size_t>();
    } else if (keyword == "enum") {
      schema.enum_values = value;
    } else if (keyword == "pattern") {
      ParsePattern(schema, value.get<std::string>(), ChildField(field, keyword));
    } else {
      return false;
    }
    return true;
  }

  void ParsePattern(Schema& schema, const std::string& pattern, const std::string& field) {
    auto compiled = CompilePattern(pattern);
    if (!compiled) {
      causes_.push_back(
          InvalidValue(field, pattern, "must be a valid regular expression: " + compiled.error().message));
      return;
    }
    schema.pattern = pattern;
    schema.matches_pattern = std::move(*compiled);
  }

  bool ParseShape(Schema& schema, const std::string& keyword, const Json& value, const std::string& field,
                  bool structural) {
    if (keyword == "type") {
      schema.type = value.get<std::string>();
      if (!kTypes.contains(schema.type)) {
        causes_.push_back(UnsupportedValue(ChildField(field, "type"), value, Json(kTypes)));
      }
    } else if (keyword == "format") {
      schema.format = value.get<std::string>();
    } else if (keyword == "nullable") {
      schema.nullable = value.get<bool>();
    } else if (keyword == "default") {
      schema.default_value = value;
    } else if (keyword == "required") {
      schema.required = value.get<std::vector<std::string>>();
    } else if (keyword == "properties") {
      for (const auto& [name, property] : value.items()) {
        schema.properties[name] = Parse(property, fmt::format("{}.properties[{}]", field, name), structural);
      }
    } else if (keyword == "additionalProperties") {
      ParseAdditional(schema, value, ChildField(field, keyword), structural);
    } else if (keyword == "items") {
      schema.items = Parse(value, ChildField(field, keyword), structural);
    } else if (keyword == "uniqueItems") {
      if (value.get<bool>()) {
        causes_.push_back(ForbiddenValue(ChildField(field, keyword),
                                         "uniqueItems cannot be set to true since the "
                                         "runtime complexity becomes quadratic"));
      }
    } else {
      return ParseLogic(schema, keyword, value, field);
    }
    return true;
  }

  void ParseAdditional(Schema& schema, const Json& value, const std::string& field, bool structural) {
    if (!value.is_boolean()) {
      schema.additional_properties = Parse(value, field, structural);
    } else if (value.get<bool>()) {
      auto anything = std::make_shared<Schema>();
      anything->preserve_unknown_fields = true;
      schema.additional_properties = anything;
    } else {
      causes_.push_back(ForbiddenValue(field, "must not be false: unknown fields are pruned anyway"));
    }
  }

  bool ParseLogic(Schema& schema, const std::string& keyword, const Json& value, const std::string& field) {
    if (keyword == "not") {
      schema.negated = Parse(value, ChildField(field, keyword), false);
      return true;
    }
    if (keyword != "allOf" && keyword != "anyOf" && keyword != "oneOf") return false;
    auto& list = keyword == "allOf" ? schema.all_of : keyword == "anyOf" ? schema.any_of : schema.one_of;
    for (size_t i = 0; i < value.size(); ++i) {
      list.push_back(Parse(value[i], fmt::format("{}.{}[{}]", field, keyword, i), false));
    }
    return true;
  }

  bool ParseExtension(Schema& schema, const std::string& keyword, const Json& value, const std::string& field) {
    if (keyword == "x-kubernetes-int-or-string") {
      schema.int_or_string = value.get<bool>();
    } else if (keyword == "x-kubernetes-preserve-unknown-fields") {
      schema.preserve_unknown_fields = value.get<bool>();
    } else if (keyword == "x-kubernetes-embedded-resource") {
      schema.embedded_resource = value.get<bool>();
    } else if (keyword == "x-kubernetes-list-type") {
      ParseListType(schema, value.get<std::string>(), ChildField(field, keyword));
    } else if (keyword == "x-kubernetes-list-map-keys") {
      schema.list_map_keys = value.get<std::vector<std::string>>();
    } else if (keyword == "x-kubernetes-map-type") {
      schema.atomic_map = value.get<std::string>() == "atomic";
    } else if (keyword == "x-kubernetes-validations") {
      for (size_t i = 0; i < value.size(); ++i) {
        ParseRule(schema, value[i], fmt::format("{}.{}[{}]", field, keyword, i));
      }
    } else {
      return false;
    }
    return true;
  }

  void ParseListType(Schema& schema, const std::string& type, const std::string& field) {
    if (type == "set") {
      schema.list_type = ListType::kSet;
    } else if (type == "map") {
      schema.list_type = ListType::kMap;
    } else if (type != "atomic") {
      causes_.push_back(UnsupportedValue(field, type, {"atomic", "map", "set"}));
    }
  }

  void ParseRule(Schema& schema, const Json& json, const std::string& field) {
    const std::string text = json.at("rule").get<std::string>();
    auto rule = CelExpression::Parse(text);
    if (!rule) {
      causes_.push_back(InvalidValue(field + ".rule", text, "compilation failed: " + rule.error().message));
      return;
    }
    ValidationRule parsed{.text = text, .rule = *rule, .message = json.value("message", "")};
    parsed.field_path = json.value("fieldPath", "");
    parsed.reason = json.value("reason", parsed.reason);
    parsed.optional_old_self = json.value("optionalOldSelf", false);
    if (parsed.optional_old_self) {
      causes_.push_back(ForbiddenValue(field + ".optionalOldSelf", "optional values are not supported"));
    }
    if (json.contains("messageExpression")) {
      auto expression = CelExpression::Parse(json["messageExpression"].get<std::string>());
      if (expression) {
        parsed.message_expression = *expression;
      } else {
        causes_.push_back(InvalidValue(field + ".messageExpression", json["messageExpression"],
                                       "messageExpression compilation failed: " + expression.error().message));
      }
    }
    schema.rules.push_back(std::move(parsed));
  }

  void CheckStructure(const Schema& schema, const Json& json, const std::string& field) {
    if (schema.type.empty() && !schema.int_or_string && !schema.preserve_unknown_fields) {
      causes_.push_back(RequiredValue(ChildField(field, "type"), "must not be empty for specified object fields"));
    }
    if (!schema.properties.empty() && schema.additional_properties != nullptr) {
      causes_.push_back(ForbiddenValue(ChildField(field, "additionalProperties"), "must not be used with properties"));
    }
    if (schema.type == "array" && schema.items == nullptr) {
      causes_.push_back(RequiredValue(ChildField(field, "items"), "must be specified"));
    }
    if (schema.list_type == ListType::kMap && schema.list_map_keys.empty()) {
      causes_.push_back(RequiredValue(ChildField(field, "x-kubernetes-list-map-keys"),
                                      "must be set if x-kubernetes-list-type is map"));
    }
    if (json.contains("default") && causes_.empty()) {
      ValidateAgainst(schema, json["default"], nullptr, ChildField(field, "default"), causes_);
    }
  }

  // A rule that looks at fields which cannot exist would fail for every object: better now than then.
  void CheckRules(const Schema& schema, const std::string& field) {
    for (const auto& rule : schema.rules) {
      rule.rule.VisitSelfPaths([&](const std::vector<std::string>& path) {
        const Schema* at = &schema;
        for (const auto& name : path) {
          if (at->type != "object" || at->preserve_unknown_fields || at->additional_properties != nullptr) return;
          const bool metadata = at->Field("metadata") == nullptr || &schema == at;
          if (metadata && (name == "metadata" || name == "apiVersion" || name == "kind")) return;
          const Schema* next = at->Field(name);
          if (next == nullptr) {
            causes_.push_back(InvalidValue(field + ".x-kubernetes-validations", rule.text,
                                           fmt::format("compilation failed: undefined field '{}'", name)));
            return;
          }
          at = next;
        }
      });
    }
  }

  Causes& causes_;
};

}  // namespace

const Schema* Schema::Field(const std::string& name) const {
  const auto found = properties.find(name);
  if (found != properties.end()) return found->second.get();
  return additional_properties.get();
}

SchemaPtr ParseSchema(const Json& schema, const std::string& field, Causes& causes) {
  return SchemaParser(causes).Parse(schema, field, true);
}

std::string ChildField(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "." + name;
}

Json ListMapKey(const std::vector<std::string>& keys, const Json& element) {
  Json key = Json::object();
  if (!element.is_object()) return key;
  for (const auto& name : keys) {
    if (element.contains(name)) key[name] = element[name];
  }
  return key;
}

}  // namespace slotwright::local::apiserver
