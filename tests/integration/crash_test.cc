// The operator dies after its k-th effect, for every k; its successor finishes the creation.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/integration/harness.h"

namespace slotwright::testing {
namespace {

// Effects of creating 3x1: 1 password, 6 objects, 6 pods, 3 masters' slots, 1 record, 6 introductions, 3 replicas.
constexpr int kEffects = 26;

// Runs an operator that dies after `effects`; false if it was still alive when the cluster was ready.
bool RunUntilItDies(Harness& harness, int effects) {
  const std::string count = std::to_string(effects);
  const std::string kubeconfig = harness.cluster().kubeconfig();
  const char* const arguments[] = {CRASHING_OPERATOR, kubeconfig.c_str(), count.c_str(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, CRASHING_OPERATOR, nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  int status = 0;
  const bool died = Harness::Eventually(
      [&] {
        return ::waitpid(child, &status, WNOHANG) == child || harness.Condition("Ready").value("status", "") == "True";
      },
      60s);
  EXPECT_TRUE(died) << "neither dead nor done";
  if (WIFSIGNALED(status)) {
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    return true;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return false;
}

class Crash : public ::testing::TestWithParam<int> {};

TEST_P(Crash, InTheMiddleOfCreationIsFinishedByTheNextOperator) {
  Harness harness;
  harness.Create(3, 1);
  ASSERT_TRUE(RunUntilItDies(harness, GetParam()));
  harness.StartOperator();
  ASSERT_TRUE(harness.BecomesReady());
  EXPECT_EQ(harness.ViolatedPromise(), "");
}

INSTANTIATE_TEST_SUITE_P(AfterEffect, Crash, ::testing::Range(1, kEffects + 1));

TEST(CrashTable, HoldsEveryEffectOfACreation) {
  Harness harness;
  harness.Create(3, 1);
  EXPECT_FALSE(RunUntilItDies(harness, kEffects + 8)) << "a creation has more effects than this table knows";
}

}  // namespace
}  // namespace slotwright::testing
