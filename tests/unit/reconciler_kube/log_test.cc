// One line for each decision, whatever words of others are in it.
#include "reconciler/base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace reconciler {
namespace {

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override {
    ConfigureLog(LogLevel::kInfo, LogFormat::kText);
    std::remove(path_.c_str());
  }

  // What is written, without time and level.
  [[nodiscard]] std::string Written(LogFormat format, std::string_view message, const std::string& value) const {
    std::remove(path_.c_str());
    ConfigureLog(LogLevel::kInfo, format, path_);
    Log(LogLevel::kInfo, message, {{"key", value}});
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str().substr(text.str().find(format == LogFormat::kText ? "info" : "\"message\""));
  }

  const std::string path_ = ::testing::TempDir() + "log_test." + std::to_string(::getpid());
};

TEST_F(LogTest, LeavesPlainWordsAsTheyAre) {
  EXPECT_EQ(Written(LogFormat::kText, "a \"b\" c:\\ä", "v"), "info    a \"b\" c:\\ä key=v\n");
}

TEST_F(LogTest, IsOneLineWhateverIsInTheMessage) {
  EXPECT_EQ(Written(LogFormat::kText, "no\r\nerror \x1b[2Jx\ty", "v"), "info    no\\r\\nerror \\u001b[2Jx\\ty key=v\n");
}

TEST_F(LogTest, QuotesValuesThatAreNoWord) {
  for (const auto& [value, quoted] :
       std::initializer_list<std::pair<const char*, const char*>>{{"a b", R"("a b")"},
                                                                  {"a=b", R"("a=b")"},
                                                                  {"a\nb", R"("a\nb")"},
                                                                  {"a\rb", R"("a\rb")"},
                                                                  {"a\x1b[2Jb", R"("a\u001b[2Jb")"}}) {
    EXPECT_EQ(Written(LogFormat::kText, "m", value), std::string("info    m key=") + quoted + "\n");
  }
}

TEST_F(LogTest, AsJsonEscapesBoth) {
  EXPECT_EQ(Written(LogFormat::kJson, "a\nb", "c\rd"), "\"message\":\"a\\nb\",\"key\":\"c\\rd\"}\n");
}

}  // namespace
}  // namespace reconciler
