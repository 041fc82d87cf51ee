// Commands as a user would run them.
#include "operator/shell.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

namespace slotwright {
namespace {

TEST(RunShell, GivesTheExitStatus) {
  EXPECT_EQ(RunShell("exit 7", {}), 7);
  EXPECT_EQ(RunShell("kill -KILL $$", {}), 128 + SIGKILL);
}

TEST(RunShell, AddsToTheEnvironmentAndReplacesWhatIsThere) {
  ::setenv("SHELL_TEST_OURS", "ours", 1);
  ::setenv("SHELL_TEST_BOTH", "ours", 1);
  EXPECT_EQ(RunShell(R"(test "$SHELL_TEST_OURS $SHELL_TEST_BOTH $SHELL_TEST_NEW" = "ours b=b c c")",
                     {{"SHELL_TEST_BOTH", "b=b"}, {"SHELL_TEST_NEW", "c c"}}),
            0);
  EXPECT_STREQ(::getenv("SHELL_TEST_BOTH"), "ours");
}

// `seq 1000000 | head -n 1` would end with error messages.
TEST(RunShell, LetsSigpipeEndTheCommandWhereWeIgnoreIt) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(RunShell("kill -PIPE $$; exit 1", {}), 128 + SIGPIPE);
  ::signal(SIGPIPE, before);
}

TEST(RunShell, SaysThatItCouldNotStart) {
  const auto result = RunShell(std::string(1 << 20, ' '), {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "/bin/sh cannot be started: Argument list too long");
}

}  // namespace
}  // namespace slotwright
