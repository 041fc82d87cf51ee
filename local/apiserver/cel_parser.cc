// CEL's grammar (github.com/google/cel-spec, doc/langdef.md) by recursive descent.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <regex>
#include <set>

#include "local/apiserver/cel.h"
#include "local/apiserver/cel_node.h"

namespace slotwright::local::apiserver {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;

namespace {

using Node = std::shared_ptr<const CelNode>;

struct SyntaxError {
  std::string message;
};

constexpr int kDeepest = 64;
// Names of functions with the number of their arguments, a method's receiver included.
const std::map<std::string, size_t> kFunctions = {{"size", 1}, {"int", 1}, {"string", 1}, {"double", 1}};
const std::map<std::string, size_t> kMethods = {
    {"size", 1}, {"startsWith", 2}, {"endsWith", 2}, {"contains", 2}, {"matches", 2}};
const std::set<std::string> kMacros = {"all", "exists", "exists_one", "filter", "map"};
const std::set<std::string> kReserved = {"as",        "break",  "const",  "continue", "else", "for",
                                         "function",  "if",     "import", "let",      "loop", "package",
                                         "namespace", "return", "var",    "void",     "while"};

// Property names that are no CEL identifiers are written escaped in rules.
std::string Unescape(const std::string& name) {
  if (!name.starts_with("__") && name.find("__") == std::string::npos) return name;
  static const std::vector<std::pair<std::string, std::string>> kEscapes = {
      {"__underscores__", "__"}, {"__dot__", "."}, {"__dash__", "-"}, {"__slash__", "/"}};
  std::string result;
  for (size_t i = 0; i < name.size();) {
    bool replaced = false;
    for (const auto& [escape, text] : kEscapes) {
      if (name.compare(i, escape.size(), escape) != 0) continue;
      result += text;
      i += escape.size();
      replaced = true;
      break;
    }
    if (!replaced) result += name[i++];
  }
  if (result.size() > 4 && result.starts_with("__") && result.ends_with("__")) {
    const std::string inner = result.substr(2, result.size() - 4);
    if (kReserved.contains(inner) || inner == "in" || inner == "true" || inner == "false" || inner == "null") {
      return inner;
    }
  }
  return result;
}

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Node Parse() {
    Node node = Expression();
    SkipSpace();
    if (position_ != text_.size()) Bad("unexpected text");
    return node;
  }

 private:
  [[noreturn]] void Bad(const std::string& why) const {
    throw SyntaxError{fmt::format("{} at column {} of '{}'", why, position_ + 1, text_)};
  }

  static std::shared_ptr<CelNode> Make(CelKind kind, std::string name, std::vector<Node> children) {
    auto node = std::make_shared<CelNode>();
    node->kind = kind;
    node->name = std::move(name);
    node->children = std::move(children);
    return node;
  }

  Node Expression() {
    if (++depth_ > kDeepest) Bad("too deeply nested");
    Node condition = Or();
    if (Accept("?")) {
      Node yes = Or();
      Expect(":");
      condition = Make(CelKind::kCondition, "?:", {condition, yes, Expression()});
    }
    --depth_;
    return condition;
  }

  Node Or() {
    Node left = And();
    while (Accept("||")) left = Make(CelKind::kBinary, "||", {left, And()});
    return left;
  }

  Node And() {
    Node left = Relation();
    while (Accept("&&")) left = Make(CelKind::kBinary, "&&", {left, Relation()});
    return left;
  }

  Node Relation() {
    Node left = Sum();
    while (true) {
      std::string op;
      for (const char* candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (Accept(candidate)) {
          op = candidate;
          break;
        }
      }
      if (op.empty() && AcceptWord("in")) op = "in";
      if (op.empty()) return left;
      left = Make(CelKind::kBinary, op, {left, Sum()});
    }
  }

  Node Sum() {
    Node left = Product();
    while (true) {
      if (Accept("+")) {
        left = Make(CelKind::kBinary, "+", {left, Product()});
      } else if (Accept("-")) {
        left = Make(CelKind::kBinary, "-", {left, Product()});
      } else {
        return left;
      }
    }
  }

  Node Product() {
    Node left = Unary();
    while (true) {
      std::string op;
      for (const char* candidate : {"*", "/", "%"}) {
        if (Accept(candidate)) op = candidate;
        if (!op.empty()) break;
      }
      if (op.empty()) return left;
      left = Make(CelKind::kBinary, op, {left, Unary()});
    }
  }

  Node Unary() {
    if (++depth_ > kDeepest) Bad("too deeply nested");
    Node result;
    if (PeekIs("!") && !PeekIs("!=")) {
      Accept("!");
      result = Make(CelKind::kUnary, "!", {Unary()});
    } else if (Accept("-")) {
      result = Make(CelKind::kUnary, "-", {Unary()});
    } else {
      result = Member();
    }
    --depth_;
    return result;
  }

  Node Member() {
    Node node = Primary();
    while (true) {
      if (Accept(".")) {
        if (PeekIs("?")) Bad("optional fields (.?) are not supported");
        const std::string name = Identifier();
        node = Accept("(") ? MethodCall(node, name) : Make(CelKind::kSelect, Unescape(name), {node});
      } else if (Accept("[")) {
        if (PeekIs("?")) Bad("optional elements ([?]) are not supported");
        Node index = Expression();
        Expect("]");
        node = Make(CelKind::kIndex, "[]", {node, index});
      } else {
        return node;
      }
    }
  }

  Node MethodCall(const Node& receiver, const std::string& name) {
    if (kMacros.contains(name)) return Macro(receiver, name);
    const auto method = kMethods.find(name);
    if (method == kMethods.end()) Bad(fmt::format("the function '{}' is not supported", name));
    std::vector<Node> arguments = Arguments(")");
    arguments.insert(arguments.begin(), receiver);
    if (arguments.size() != method->second) Bad(fmt::format("wrong number of arguments for '{}'", name));
    return WithPattern(Make(CelKind::kCall, name, std::move(arguments)));
  }

  std::shared_ptr<CelNode> WithPattern(std::shared_ptr<CelNode> call) {
    if (call->name != "matches" || call->children[1]->kind != CelKind::kLiteral) return call;
    if (!call->children[1]->value.is_string()) Bad("matches() takes a string");
    auto pattern = CompilePattern(call->children[1]->value.get<std::string>());
    if (!pattern) Bad(pattern.error().message);
    call->pattern = std::move(*pattern);
    return call;
  }

  Node Macro(const Node& receiver, const std::string& name) {
    const std::string variable = Identifier();
    Expect(",");
    std::vector<Node> children = {receiver, Expression()};
    if (name == "map" && Accept(",")) children.push_back(Expression());
    Expect(")");
    auto node = Make(CelKind::kMacro, name, std::move(children));
    node->variable = variable;
    return node;
  }

  std::vector<Node> Arguments(const char* end) {
    std::vector<Node> arguments;
    if (Accept(end)) return arguments;
    do {
      if (PeekIs(end)) break;  // a trailing comma
      arguments.push_back(Expression());
    } while (Accept(","));
    Expect(end);
    return arguments;
  }

  Node Primary() {
    SkipSpace();
    if (position_ == text_.size()) Bad("the expression ends too early");
    if (Accept("(")) {
      Node node = Expression();
      Expect(")");
      return node;
    }
    if (Accept("[")) return Make(CelKind::kList, "[]", Arguments("]"));
    if (Accept("{")) return MapLiteral();
    const char c = text_[position_];
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) return Number();
    if (AtString()) return Literal(String());
    return Word();
  }

  Node MapLiteral() {
    std::vector<Node> children;
    if (Accept("}")) return Make(CelKind::kMap, "{}", {});
    do {
      if (PeekIs("}")) break;
      children.push_back(Expression());
      Expect(":");
      children.push_back(Expression());
    } while (Accept(","));
    Expect("}");
    return Make(CelKind::kMap, "{}", std::move(children));
  }

  Node Word() {
    const std::string word = Identifier();
    if (word == "true") return Literal(true);
    if (word == "false") return Literal(false);
    if (word == "null") return Literal(nullptr);
    if (kReserved.contains(word)) Bad(fmt::format("'{}' is a reserved word", word));
    if (!Accept("(")) return Make(CelKind::kVariable, word, {});
    if (word == "has") return Has();
    const auto function = kFunctions.find(word);
    if (function == kFunctions.end()) Bad(fmt::format("the function '{}' is not supported", word));
    std::vector<Node> arguments = Arguments(")");
    if (arguments.size() != function->second) Bad(fmt::format("wrong number of arguments for '{}'", word));
    return Make(CelKind::kCall, word, std::move(arguments));
  }

  Node Has() {
    Node argument = Expression();
    Expect(")");
    if (argument->kind != CelKind::kSelect) Bad("has() takes a field selection");
    return Make(CelKind::kHas, "has", {argument});
  }

  static Node Literal(Json value) {
    auto node = std::make_shared<CelNode>();
    node->value = std::move(value);
    return node;
  }

  Node Number() {
    const char* begin = text_.data() + position_;
    const char* end = text_.data() + text_.size();
    if (text_.compare(position_, 2, "0x") == 0) {
      std::int64_t hex = 0;
      const auto parsed = std::from_chars(begin + 2, end, hex, 16);
      if (parsed.ec != std::errc()) Bad("not a number");
      position_ = static_cast<size_t>(parsed.ptr - text_.data());
      return Literal(hex);
    }
    std::int64_t integer = 0;
    const auto as_integer = std::from_chars(begin, end, integer);
    const bool fraction =
        as_integer.ptr != end && (*as_integer.ptr == '.' || *as_integer.ptr == 'e' || *as_integer.ptr == 'E');
    if (!fraction) {
      if (as_integer.ec != std::errc()) Bad("the number does not fit into 64 bits");
      position_ = static_cast<size_t>(as_integer.ptr - text_.data());
      if (position_ < text_.size() && (text_[position_] == 'u' || text_[position_] == 'U')) ++position_;
      return Literal(integer);
    }
    double real = 0;
    const auto as_real = std::from_chars(begin, end, real);
    if (as_real.ec != std::errc()) Bad("not a number");
    position_ = static_cast<size_t>(as_real.ptr - text_.data());
    return Literal(real);
  }

  bool AtString() const {
    const size_t at = (text_[position_] == 'r' || text_[position_] == 'R') ? position_ + 1 : position_;
    return at < text_.size() && (text_[at] == '\'' || text_[at] == '"');
  }

  std::string String() {
    const bool raw = text_[position_] == 'r' || text_[position_] == 'R';
    if (raw) ++position_;
    std::string quote(1, text_[position_]);
    const std::string triple(3, quote[0]);
    if (text_.compare(position_, 3, triple) == 0) quote = triple;
    position_ += quote.size();
    std::string result;
    while (text_.compare(position_, quote.size(), quote) != 0) {
      if (position_ >= text_.size()) Bad("the string does not end");
      if (text_[position_] == '\\' && !raw) {
        result += Escape();
      } else {
        result += text_[position_++];
      }
    }
    position_ += quote.size();
    return result;
  }

  std::string Escape() {
    ++position_;
    if (position_ == text_.size()) Bad("the string does not end");
    const char c = text_[position_++];
    switch (c) {
      case 'n':
        return "\n";
      case 't':
        return "\t";
      case 'r':
        return "\r";
      case '\\':
      case '\'':
      case '"':
      case '`':
      case '?':
        return std::string(1, c);
      default:
        Bad(fmt::format("the escape sequence \\{} is not supported", c));
    }
  }

  std::string Identifier() {
    SkipSpace();
    const size_t start = position_;
    while (position_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[position_])) != 0 || text_[position_] == '_')) {
      ++position_;
    }
    if (start == position_ || std::isdigit(static_cast<unsigned char>(text_[start])) != 0) {
      position_ = start;
      Bad("a name is missing");
    }
    return text_.substr(start, position_ - start);
  }

  bool PeekIs(std::string_view symbol) {
    SkipSpace();
    return text_.compare(position_, symbol.size(), symbol) == 0;
  }

  bool Accept(std::string_view symbol) {
    if (!PeekIs(symbol)) return false;
    position_ += symbol.size();
    return true;
  }

  bool AcceptWord(std::string_view word) {
    if (!PeekIs(word)) return false;
    const size_t after = position_ + word.size();
    if (after < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[after])) != 0 || text_[after] == '_')) {
      return false;
    }
    position_ = after;
    return true;
  }

  void Expect(std::string_view symbol) {
    if (!Accept(symbol)) Bad(fmt::format("expected '{}'", symbol));
  }

  void SkipSpace() {
    while (position_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[position_])) != 0) {
        ++position_;
      } else if (text_.compare(position_, 2, "//") == 0) {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else {
        return;
      }
    }
  }

  const std::string& text_;
  size_t position_ = 0;
  int depth_ = 0;
};

void CheckVariables(const CelNode& node, std::set<std::string>& bound) {
  if (node.kind == CelKind::kVariable && !bound.contains(node.name)) {
    throw SyntaxError{fmt::format("undeclared reference to '{}'", node.name)};
  }
  if (node.kind != CelKind::kMacro) {
    for (const auto& child : node.children) CheckVariables(*child, bound);
    return;
  }
  CheckVariables(*node.children[0], bound);
  const bool added = bound.insert(node.variable).second;
  for (size_t i = 1; i < node.children.size(); ++i) CheckVariables(*node.children[i], bound);
  if (added) bound.erase(node.variable);
}

bool Mentions(const CelNode& node, const std::string& variable) {
  if (node.kind == CelKind::kVariable && node.name == variable) return true;
  return std::ranges::any_of(node.children, [&](const Node& child) { return Mentions(*child, variable); });
}

void VisitPaths(const CelNode& node, const std::function<void(const std::vector<std::string>&)>& visit) {
  std::vector<std::string> path;
  const CelNode* at = &node;
  while (at->kind == CelKind::kSelect) {
    path.insert(path.begin(), at->name);
    at = at->children[0].get();
  }
  if (!path.empty() && at->kind == CelKind::kVariable && (at->name == "self" || at->name == "oldSelf")) {
    visit(path);
    return;
  }
  for (const auto& child : node.children) VisitPaths(*child, visit);
}

// "(?=", "(?!" and the like: std::regex knows some of them, the engine of a real server none.
bool LooksAround(const std::string& pattern) {
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (in_class || pattern[i] == '[') {
      in_class = pattern[i] != ']';
    } else if (pattern.compare(i, 2, "(?") == 0 && pattern.compare(i, 3, "(?:") != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<CelExpression> CelExpression::Parse(const std::string& text) {
  try {
    CelExpression expression;
    expression.root_ = Parser(text).Parse();
    std::set<std::string> bound = {"self", "oldSelf"};
    CheckVariables(*expression.root_, bound);
    return expression;
  } catch (const SyntaxError& error) {
    return Fail(ErrorKind::kInvalid, error.message);
  }
}

bool CelExpression::UsesOldSelf() const { return Mentions(*root_, "oldSelf"); }

void CelExpression::VisitSelfPaths(const std::function<void(const std::vector<std::string>&)>& visit) const {
  VisitPaths(*root_, visit);
}

Result<std::function<bool(const std::string&)>> CompilePattern(const std::string& pattern) {
  if (LooksAround(pattern)) {
    return Fail(ErrorKind::kInvalid, fmt::format("the pattern '{}' looks ahead or behind, which RE2 cannot", pattern));
  }
  try {
    // libstdc++'s breadth-first matcher: no recursion over the input, no exponential time.
    auto regex =
        std::make_shared<const std::regex>(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
    return [regex](const std::string& text) { return std::regex_search(text, *regex); };
  } catch (const std::regex_error& error) {
    return Fail(ErrorKind::kInvalid, fmt::format("the pattern '{}' is not understood: {}", pattern, error.what()));
  }
}

}  // namespace slotwright::local::apiserver
