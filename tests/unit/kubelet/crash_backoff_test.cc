// Back-off between the runs of a container.
#include "local/kubelet/crash_backoff.h"

#include <gtest/gtest.h>

namespace slotwright::local {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST(CrashBackoffTest, TheFirstRestartIsImmediateAndDelaysDoubleUpToFiveMinutes) {
  CrashBackoff backoff(seconds(10));
  for (const int expected : {0, 10, 20, 40, 80, 160, 300, 300}) {
    EXPECT_EQ(backoff.Ended(seconds(1)), seconds(expected));
  }
}

TEST(CrashBackoffTest, TenMinutesOfRunningForgiveAllFailures) {
  CrashBackoff backoff(seconds(10));
  for (int i = 0; i < 5; ++i) (void)backoff.Ended(seconds(1));
  EXPECT_EQ(backoff.Ended(minutes(10) - seconds(1)), seconds(160));
  EXPECT_EQ(backoff.Ended(minutes(10)), seconds(0));
  EXPECT_EQ(backoff.Ended(seconds(1)), seconds(10));
}

}  // namespace
}  // namespace slotwright::local
