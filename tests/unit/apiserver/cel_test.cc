// The subset of CEL: what it says, what it calls an error, what it refuses to understand.
#include "local/apiserver/cel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slotwright::local::apiserver {
namespace {

using reconciler::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Json kSelf = Json::parse(R"({
  "n": 3, "half": 0.5, "name": "redis-0", "umlaut": "äö", "yes": true, "nothing": null,
  "list": [1, 2, 3], "words": ["a", "b"], "map": {"k": "v"}, "a-b": 7, "namespace": "x",
  "items": [{"port": 1, "tls": true}, {"port": 2}]})");
const Json kOldSelf = Json::parse(R"({"n": 2})");

std::string Evaluate(const std::string& text) {
  const auto expression = CelExpression::Parse(text);
  if (!expression) return "refused: " + expression.error().message;
  const auto value = expression->Evaluate(kSelf, &kOldSelf);
  return value ? value->dump() : "error: " + value.error().message;
}

struct ValueCase {
  const char* text;
  const char* value;
};

class CelValue : public ::testing::TestWithParam<ValueCase> {};

TEST_P(CelValue, IsWhatTheLanguageSays) { EXPECT_EQ(Evaluate(GetParam().text), GetParam().value) << GetParam().text; }

INSTANTIATE_TEST_SUITE_P(Literals, CelValue,
                         ::testing::Values(ValueCase{"1", "1"}, ValueCase{"1u", "1"}, ValueCase{"0x1F", "31"},
                                           ValueCase{"1.5", "1.5"}, ValueCase{"1e3", "1000.0"},
                                           ValueCase{"-9223372036854775807", "-9223372036854775807"},
                                           ValueCase{R"('a"b')", R"("a\"b")"}, ValueCase{R"("a\n")", R"("a\n")"},
                                           ValueCase{R"(r'\d')", R"("\\d")"},
                                           ValueCase{R"("""it's "so" """)", R"("it's \"so\" ")"},
                                           ValueCase{"[1, 2,]", "[1,2]"}, ValueCase{"{'a': 1}", R"({"a":1})"},
                                           ValueCase{"null", "null"}, ValueCase{"true // why", "true"}));

INSTANTIATE_TEST_SUITE_P(
    Operators, CelValue,
    ::testing::Values(ValueCase{"1 + 2 * 3", "7"}, ValueCase{"(1 + 2) * 3", "9"}, ValueCase{"7 / 2", "3"},
                      ValueCase{"-7 / 2", "-3"}, ValueCase{"-7 % 3", "-1"}, ValueCase{"1.0 / 4.0", "0.25"},
                      ValueCase{"5 - -1", "6"}, ValueCase{"'a' + 'b'", R"("ab")"}, ValueCase{"[1] + [2]", "[1,2]"},
                      ValueCase{"1 == 1.0", "true"}, ValueCase{"1 < 1.5", "true"}, ValueCase{"'a' < 'b'", "true"},
                      ValueCase{"'1' == 1", "false"}, ValueCase{"2 in self.list", "true"},
                      ValueCase{"'k' in self.map", "true"}, ValueCase{"'v' in self.map", "false"},
                      ValueCase{"true || false && false", "true"}, ValueCase{"!true == false", "true"},
                      ValueCase{"!!self.yes", "true"}, ValueCase{"self.n > 2 ? 'many' : 'few'", R"("many")"},
                      ValueCase{"false ? 1 : true ? 2 : 3", "2"}, ValueCase{"1 in [1] && 3 in [3]", "true"}));

INSTANTIATE_TEST_SUITE_P(Fields, CelValue,
                         ::testing::Values(ValueCase{"self.map.k", R"("v")"}, ValueCase{"self.map['k']", R"("v")"},
                                           ValueCase{"self.items[1].port", "2"}, ValueCase{"self.n - oldSelf.n", "1"},
                                           ValueCase{"self.a__dash__b", "7"}, ValueCase{"self.__namespace__", R"("x")"},
                                           ValueCase{"has(self.map)", "true"}, ValueCase{"has(self.absent)", "false"},
                                           ValueCase{"has(self.nothing)", "true"}));

INSTANTIATE_TEST_SUITE_P(
    Functions, CelValue,
    ::testing::Values(ValueCase{"size(self.umlaut)", "2"}, ValueCase{"self.list.size()", "3"},
                      ValueCase{"size(self.map)", "1"}, ValueCase{"self.name.startsWith('redis')", "true"},
                      ValueCase{"self.name.endsWith('-0')", "true"}, ValueCase{"self.name.contains('dis')", "true"},
                      ValueCase{"self.name.matches('^[a-z]+-[0-9]$')", "true"},
                      ValueCase{"self.name.matches('dis')", "true"}, ValueCase{"self.name.matches('^dis')", "false"},
                      ValueCase{R"('a\nb'.matches('^a$'))", "false"}, ValueCase{"'a'.matches('a' + '$')", "true"},
                      ValueCase{"int('12')", "12"}, ValueCase{"int(-1.9)", "-1"}, ValueCase{"double('1.5')", "1.5"},
                      ValueCase{"double(2)", "2.0"}, ValueCase{"string(12)", R"("12")"},
                      ValueCase{"string(1.0)", R"("1")"}, ValueCase{"string(true)", R"("true")"}));

INSTANTIATE_TEST_SUITE_P(Macros, CelValue,
                         ::testing::Values(ValueCase{"self.list.all(x, x > 0)", "true"},
                                           ValueCase{"[].all(x, x > 0)", "true"},
                                           ValueCase{"self.list.exists(x, x == 3)", "true"},
                                           ValueCase{"[].exists(x, true)", "false"},
                                           ValueCase{"self.list.exists_one(x, x > 2)", "true"},
                                           ValueCase{"self.list.exists_one(x, x > 1)", "false"},
                                           ValueCase{"self.list.filter(x, x % 2 == 1)", "[1,3]"},
                                           ValueCase{"self.list.map(x, x * x)", "[1,4,9]"},
                                           ValueCase{"self.list.map(x, x > 1, x * 10)", "[20,30]"},
                                           ValueCase{"self.map.all(k, self.map[k] == 'v')", "true"},
                                           ValueCase{"self.list.all(x, self.list.exists(y, y >= x))", "true"},
                                           ValueCase{"self.items.filter(i, has(i.tls)).map(i, i.port)", "[1]"},
                                           ValueCase{"self.list.exists(self, self == 1)", "true"}));

INSTANTIATE_TEST_SUITE_P(ErrorsAreAbsorbed, CelValue,
                         ::testing::Values(ValueCase{"self.absent == 1 || true", "true"},
                                           ValueCase{"true || self.absent == 1", "true"},
                                           ValueCase{"self.absent == 1 && false", "false"},
                                           ValueCase{"true ? 1 : self.absent", "1"},
                                           ValueCase{"[0, 1].exists(x, 1 / x == 1)", "true"},
                                           ValueCase{"[0, 2].all(x, 1 / x == 1)", "false"}));

class CelError : public ::testing::TestWithParam<ValueCase> {};

TEST_P(CelError, IsReportedWithItsReason) {
  EXPECT_EQ(Evaluate(GetParam().text), std::string("error: ") + GetParam().value) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    All, CelError,
    ::testing::Values(
        ValueCase{"self.absent", "no such key: absent"}, ValueCase{"has(self.absent.x)", "no such key: absent"},
        ValueCase{"self.map['x']", "no such key: x"}, ValueCase{"self.list[3]", "index out of bounds: 3"},
        ValueCase{"self.list[-1]", "index out of bounds: -1"}, ValueCase{"1 / 0", "divide by zero"},
        ValueCase{"1 % 0", "modulus by zero"}, ValueCase{"9223372036854775807 + 1", "integer overflow"},
        ValueCase{"(-9223372036854775807 - 1) / -1", "integer overflow"}, ValueCase{"int(1e19)", "integer overflow"},
        ValueCase{"int('1.5')", "type conversion error"}, ValueCase{"int('0x10')", "type conversion error"},
        ValueCase{"int('')", "type conversion error"}, ValueCase{"double('1x')", "type conversion error"},
        ValueCase{"1 + 'a'", "no such overload: +"}, ValueCase{"1 + 1.0", "no such overload: +"},
        ValueCase{"'a' < 1", "no such overload: <"}, ValueCase{"!1", "no such overload: !"},
        ValueCase{"1 && true", "no such overload: &&"}, ValueCase{"1 ? 2 : 3", "no such overload: ?:"},
        ValueCase{"1 in 2", "no such overload: in"}, ValueCase{"self.name.k", "no such overload: select of field 'k'"},
        ValueCase{"size(1)", "no such overload: size"}, ValueCase{"int(true)", "no such overload: int"},
        ValueCase{"string([1])", "no such overload: string"},
        ValueCase{"self.n.matches('a')", "no such overload: matches"},
        ValueCase{"self.n.all(x, true)", "no such overload: all"}, ValueCase{"{1: 2}", "unsupported key type"}));

class CelRefusal : public ::testing::TestWithParam<ValueCase> {};

TEST_P(CelRefusal, ComesWhenTheRuleIsParsed) {
  const auto expression = CelExpression::Parse(GetParam().text);
  ASSERT_FALSE(expression) << GetParam().text;
  EXPECT_EQ(expression.error().kind, reconciler::ErrorKind::kInvalid);
  EXPECT_THAT(expression.error().message, HasSubstr(GetParam().value)) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    All, CelRefusal,
    ::testing::Values(
        ValueCase{"", "ends too early"}, ValueCase{"1 +", "ends too early"}, ValueCase{"1 2", "unexpected text"},
        ValueCase{"(1", "expected ')'"}, ValueCase{"[1", "expected ']'"}, ValueCase{"{'a' 1}", "expected ':'"},
        ValueCase{"true ? 1", "expected ':'"}, ValueCase{"'a", "does not end"}, ValueCase{"'a\\", "does not end"},
        ValueCase{R"('\x41')", "escape sequence"}, ValueCase{"b'x'", "unexpected text"},
        ValueCase{"9223372036854775808", "64 bits"}, ValueCase{"0xFFFFFFFFFFFFFFFFF", "not a number"},
        ValueCase{"other.x", "undeclared reference to 'other'"},
        ValueCase{"self.list.all(x, true) && x", "undeclared reference to 'x'"},
        ValueCase{"self.list.all(1, true)", "a name is missing"}, ValueCase{"self.1", "a name is missing"},
        ValueCase{"self.name.lowerAscii()", "'lowerAscii' is not supported"},
        ValueCase{"duration('1s')", "'duration' is not supported"}, ValueCase{"size()", "wrong number of arguments"},
        ValueCase{"self.name.startsWith()", "wrong number of arguments"}, ValueCase{"self.?x", "optional fields"},
        ValueCase{"self[?0]", "optional elements"}, ValueCase{"has(self)", "field selection"},
        ValueCase{"while", "reserved word"}, ValueCase{"1 & 1", "unexpected text"},
        ValueCase{"'a'.matches('(')", "is not understood"}, ValueCase{"'a'.matches(1)", "takes a string"}));

TEST(Cel, RefusesWhatIsNestedTooDeeplyInsteadOfOverflowingTheStack) {
  const std::string deep(100'000, '(');
  EXPECT_THAT(Evaluate(deep), HasSubstr("too deeply nested"));
  EXPECT_THAT(Evaluate(std::string(100'000, '!') + "true"), HasSubstr("too deeply nested"));
}

TEST(Cel, NamesTheFieldsThatARuleReads) {
  const auto rule = CelExpression::Parse("self.spec.n > oldSelf.m || self.list.all(x, x.y == self.z[0].w)");
  ASSERT_TRUE(rule);
  EXPECT_TRUE(rule->UsesOldSelf());
  std::vector<std::string> paths;
  rule->VisitSelfPaths([&](const std::vector<std::string>& path) {
    std::string joined;
    for (const auto& name : path) joined += "/" + name;
    paths.push_back(joined);
  });
  EXPECT_THAT(paths, ElementsAre("/spec/n", "/m", "/list", "/z"));
  EXPECT_FALSE(CelExpression::Parse("self.n > 0")->UsesOldSelf());
}

struct PatternCase {
  const char* pattern;
  const char* text;
  bool matches;
};

class Pattern : public ::testing::TestWithParam<PatternCase> {};

TEST_P(Pattern, IsSearchedAsTheRealServerDoes) {
  const auto matches = CompilePattern(GetParam().pattern);
  ASSERT_TRUE(matches) << matches.error().message;
  EXPECT_EQ((*matches)(GetParam().text), GetParam().matches) << GetParam().pattern << " in " << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(All, Pattern,
                         ::testing::Values(PatternCase{"b", "abc", true}, PatternCase{"^b", "abc", false},
                                           PatternCase{"^a.c$", "abc", true}, PatternCase{"^$", "", true},
                                           PatternCase{"^a$", "a\n", false}, PatternCase{"^(?:a|b)+$", "abab", true},
                                           PatternCase{R"(^\d{1,3}$)", "1234", false},
                                           PatternCase{R"(^[(?=]$)", "?", true}, PatternCase{R"(\(?=)", "x=", true}));

TEST(Pattern, RefusesWhatRe2Refuses) {
  for (const char* pattern : {"(", "[", "*a", "a(?=b)", "a(?!b)", "(?<=a)b", R"((a)\1)"}) {
    EXPECT_FALSE(CompilePattern(pattern)) << pattern;
  }
}

TEST(Pattern, TakesLinearTime) {
  const auto matches = CompilePattern("^(a+)+$");
  ASSERT_TRUE(matches);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE((*matches)(std::string(2000, 'a') + "b"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace slotwright::local::apiserver
