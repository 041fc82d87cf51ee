// Evaluation of CEL trees. Errors are values too: && and || may absorb them, as CEL's definition wants it.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

#include "local/apiserver/cel.h"
#include "local/apiserver/cel_node.h"

namespace slotwright::local::apiserver {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;

namespace {

Result<Json> NoOverload(const std::string& what) { return Fail(ErrorKind::kInvalid, "no such overload: " + what); }

size_t CodePoints(const std::string& text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

Result<Json> IntegerArithmetic(const std::string& op, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else {
    if (right == 0) return Fail(ErrorKind::kInvalid, op == "/" ? "divide by zero" : "modulus by zero");
    overflow = left == INT64_MIN && right == -1;
    if (!overflow) result = op == "/" ? left / right : left % right;
  }
  if (overflow) return Fail(ErrorKind::kInvalid, "integer overflow");
  return Json(result);
}

Result<Json> Arithmetic(const std::string& op, const Json& left, const Json& right) {
  if (left.is_number_integer() && right.is_number_integer()) {
    return IntegerArithmetic(op, left.get<std::int64_t>(), right.get<std::int64_t>());
  }
  if (left.is_number_float() && right.is_number_float() && op != "%") {
    const double a = left.get<double>();
    const double b = right.get<double>();
    return Json(op == "+" ? a + b : op == "-" ? a - b : op == "*" ? a * b : a / b);
  }
  if (op == "+" && left.is_string() && right.is_string()) {
    return Json(left.get<std::string>() + right.get<std::string>());
  }
  if (op == "+" && left.is_array() && right.is_array()) {
    Json joined = left;
    for (const auto& element : right) joined.push_back(element);
    return joined;
  }
  return NoOverload(op);
}

bool Comparable(const Json& left, const Json& right) {
  return (left.is_number() && right.is_number()) || (left.is_string() && right.is_string()) ||
         (left.is_boolean() && right.is_boolean());
}

Result<Json> Contains(const Json& container, const Json& element) {
  if (container.is_array()) {
    for (const auto& one : container) {
      if (one == element) return Json(true);
    }
    return Json(false);
  }
  if (container.is_object()) return Json(element.is_string() && container.contains(element.get<std::string>()));
  return NoOverload("in");
}

class Evaluator {
 public:
  Evaluator(const Json& self, const Json* old_self) {
    scope_.emplace_back("self", &self);
    if (old_self != nullptr) scope_.emplace_back("oldSelf", old_self);
  }

  Result<Json> Evaluate(const CelNode& node) {
    switch (node.kind) {
      case CelKind::kLiteral:
        return node.value;
      case CelKind::kVariable:
        return Variable(node.name);
      case CelKind::kSelect:
        return Select(node);
      case CelKind::kIndex:
        return Index(node);
      case CelKind::kHas:
        return Has(node);
      case CelKind::kUnary:
        return Unary(node);
      case CelKind::kBinary:
        return node.name == "&&" || node.name == "||" ? Logical(node) : Binary(node);
      case CelKind::kCondition:
        return Condition(node);
      case CelKind::kList:
        return List(node);
      case CelKind::kMap:
        return Map(node);
      case CelKind::kCall:
        return Call(node);
      case CelKind::kMacro:
        break;
    }
    return Macro(node);
  }

 private:
  Result<Json> Variable(const std::string& name) const {
    for (auto entry = scope_.rbegin(); entry != scope_.rend(); ++entry) {
      if (entry->first == name) return *entry->second;
    }
    return Fail(ErrorKind::kInvalid, fmt::format("no such attribute: {}", name));
  }

  // Without copying what is on the way: rules often look at one field of a large object.
  const Json* Find(const CelNode& node) const {
    if (node.kind == CelKind::kVariable) {
      for (auto entry = scope_.rbegin(); entry != scope_.rend(); ++entry) {
        if (entry->first == node.name) return entry->second;
      }
      return nullptr;
    }
    if (node.kind != CelKind::kSelect) return nullptr;
    const Json* object = Find(*node.children[0]);
    if (object == nullptr || !object->is_object()) return nullptr;
    const auto found = object->find(node.name);
    return found == object->end() ? nullptr : &*found;
  }

  Result<Json> Select(const CelNode& node) {
    if (const Json* found = Find(node)) return *found;
    auto object = Evaluate(*node.children[0]);
    if (!object) return object;
    if (!object->is_object()) return NoOverload(fmt::format("select of field '{}'", node.name));
    const auto found = object->find(node.name);
    if (found == object->end()) return Fail(ErrorKind::kInvalid, fmt::format("no such key: {}", node.name));
    return *found;
  }

  Result<Json> Has(const CelNode& node) {
    const CelNode& select = *node.children[0];
    auto object = Evaluate(*select.children[0]);
    if (!object) return object;
    if (!object->is_object()) return NoOverload("has()");
    return Json(object->contains(select.name));
  }

  Result<Json> Index(const CelNode& node) {
    auto container = Evaluate(*node.children[0]);
    if (!container) return container;
    auto index = Evaluate(*node.children[1]);
    if (!index) return index;
    if (container->is_object() && index->is_string()) {
      const auto found = container->find(index->get<std::string>());
      if (found == container->end()) {
        return Fail(ErrorKind::kInvalid, fmt::format("no such key: {}", index->get<std::string>()));
      }
      return *found;
    }
    if (!container->is_array() || !index->is_number_integer()) return NoOverload("[]");
    const auto at = index->get<std::int64_t>();
    if (at < 0 || static_cast<size_t>(at) >= container->size()) {
      return Fail(ErrorKind::kInvalid, fmt::format("index out of bounds: {}", at));
    }
    return (*container)[static_cast<size_t>(at)];
  }

  Result<Json> Unary(const CelNode& node) {
    auto operand = Evaluate(*node.children[0]);
    if (!operand) return operand;
    if (node.name == "!") return operand->is_boolean() ? Json(!operand->get<bool>()) : NoOverload("!");
    if (operand->is_number_float()) return Json(-operand->get<double>());
    if (operand->is_number_integer()) return IntegerArithmetic("-", 0, operand->get<std::int64_t>());
    return NoOverload("-");
  }

  // One decisive side is enough, even if the other one is an error.
  Result<Json> Logical(const CelNode& node) {
    const bool decisive = node.name == "||";
    std::optional<Result<Json>> error;
    for (const auto& child : node.children) {
      auto side = Evaluate(*child);
      if (side && side->is_boolean()) {
        if (side->get<bool>() == decisive) return Json(decisive);
      } else if (!error) {
        error = side ? NoOverload(node.name) : side;
      }
    }
    return error ? *error : Result<Json>(Json(!decisive));
  }

  Result<Json> Binary(const CelNode& node) {
    auto left = Evaluate(*node.children[0]);
    if (!left) return left;
    auto right = Evaluate(*node.children[1]);
    if (!right) return right;
    const std::string& op = node.name;
    if (op == "==") return Json(*left == *right);
    if (op == "!=") return Json(*left != *right);
    if (op == "in") return Contains(*right, *left);
    if (op != "<" && op != "<=" && op != ">" && op != ">=") return Arithmetic(op, *left, *right);
    if (!Comparable(*left, *right)) return NoOverload(op);
    if (op == "<") return Json(*left < *right);
    if (op == "<=") return Json(*left <= *right);
    if (op == ">") return Json(*left > *right);
    return Json(*left >= *right);
  }

  Result<Json> Condition(const CelNode& node) {
    auto condition = Evaluate(*node.children[0]);
    if (!condition) return condition;
    if (!condition->is_boolean()) return NoOverload("?:");
    return Evaluate(*node.children[condition->get<bool>() ? 1 : 2]);
  }

  Result<Json> List(const CelNode& node) {
    Json list = Json::array();
    for (const auto& child : node.children) {
      auto element = Evaluate(*child);
      if (!element) return element;
      list.push_back(std::move(*element));
    }
    return list;
  }

  Result<Json> Map(const CelNode& node) {
    Json map = Json::object();
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      auto key = Evaluate(*node.children[i]);
      if (!key) return key;
      if (!key->is_string()) return Fail(ErrorKind::kInvalid, "unsupported key type");
      auto value = Evaluate(*node.children[i + 1]);
      if (!value) return value;
      map[key->get<std::string>()] = std::move(*value);
    }
    return map;
  }

  Result<Json> Call(const CelNode& node) {
    auto receiver = Evaluate(*node.children[0]);
    if (!receiver) return receiver;
    if (node.children.size() == 1) return Convert(node.name, *receiver);
    auto argument = Evaluate(*node.children[1]);
    if (!argument) return argument;
    if (!receiver->is_string() || !argument->is_string()) return NoOverload(node.name);
    const auto text = receiver->get<std::string>();
    const auto other = argument->get<std::string>();
    if (node.name == "startsWith") return Json(text.starts_with(other));
    if (node.name == "endsWith") return Json(text.ends_with(other));
    if (node.name == "contains") return Json(text.find(other) != std::string::npos);
    if (node.pattern) return Json(node.pattern(text));
    auto pattern = CompilePattern(other);
    if (!pattern) return std::unexpected(pattern.error());
    return Json((*pattern)(text));
  }

  static Result<Json> Convert(const std::string& function, const Json& value) {
    if (function == "size") {
      if (value.is_string()) return Json(CodePoints(value.get<std::string>()));
      if (value.is_structured()) return Json(value.size());
      return NoOverload("size");
    }
    if (function == "string") {
      if (value.is_string()) return value;
      if (value.is_number_float()) return Json(fmt::format("{}", value.get<double>()));  // 1.0 is "1", as in Go
      return value.is_primitive() && !value.is_null() ? Json(value.dump()) : NoOverload(function);
    }
    if (!value.is_number() && !value.is_string()) return NoOverload(function);
    if (function == "double") return value.is_string() ? Parsed<double>(value) : Json(value.get<double>());
    if (value.is_string()) return Parsed<std::int64_t>(value);
    if (!value.is_number_float()) return value;
    const auto number = value.get<double>();
    if (!(std::abs(number) < 0x1p63)) return Fail(ErrorKind::kInvalid, "integer overflow");
    return Json(static_cast<std::int64_t>(number));
  }

  template <typename Number>
  static Result<Json> Parsed(const Json& value) {
    const auto& text = value.get_ref<const std::string&>();
    const char* const end = text.data() + text.size();
    Number number{};
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end) return Fail(ErrorKind::kInvalid, "type conversion error");
    return Json(number);
  }

  Result<Json> Macro(const CelNode& node) {
    auto range = Evaluate(*node.children[0]);
    if (!range) return range;
    if (!range->is_structured()) return NoOverload(node.name);
    Json elements = *range;
    if (range->is_object()) {
      elements = Json::array();
      for (const auto& [key, value] : range->items()) elements.push_back(key);
    }
    if (node.name == "filter" || node.name == "map") return Transform(node, elements);
    return Quantify(node, elements);
  }

  Result<Json> WithVariable(const CelNode& node, size_t child, const Json& element) {
    scope_.emplace_back(node.variable, &element);
    auto result = Evaluate(*node.children[child]);
    scope_.pop_back();
    return result;
  }

  Result<Json> Transform(const CelNode& node, const Json& elements) {
    const bool has_filter = node.name == "filter" || node.children.size() == 3;
    Json list = Json::array();
    for (const auto& element : elements) {
      if (has_filter) {
        auto wanted = WithVariable(node, 1, element);
        if (!wanted) return wanted;
        if (!wanted->is_boolean()) return NoOverload(node.name);
        if (!wanted->get<bool>()) continue;
      }
      if (node.name == "filter") {
        list.push_back(element);
        continue;
      }
      auto mapped = WithVariable(node, node.children.size() - 1, element);
      if (!mapped) return mapped;
      list.push_back(std::move(*mapped));
    }
    return list;
  }

  Result<Json> Quantify(const CelNode& node, const Json& elements) {
    std::optional<Result<Json>> error;
    size_t hits = 0;
    for (const auto& element : elements) {
      auto holds = WithVariable(node, 1, element);
      if (!holds || !holds->is_boolean()) {
        if (!error) error = holds ? NoOverload(node.name) : holds;
        continue;
      }
      if (holds->get<bool>()) {
        ++hits;
        if (node.name == "exists") return Json(true);
      } else if (node.name == "all") {
        return Json(false);
      }
    }
    if (error) return *error;
    return Json(node.name == "all" || (node.name == "exists_one" && hits == 1));
  }

  std::vector<std::pair<std::string, const Json*>> scope_;
};

}  // namespace

Result<Json> CelExpression::Evaluate(const Json& self, const Json* old_self) const {
  return Evaluator(self, old_self).Evaluate(*root_);
}

}  // namespace slotwright::local::apiserver
