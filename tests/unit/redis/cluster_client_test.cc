// The tests' own client: what it loses the way to, it would report as lost.
#include "tests/support/cluster_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "tests/unit/redis/fake_server.h"

namespace slotwright::testing {
namespace {

// In a rolling change every seed may go while redirections are all that the client hears of the new nodes.
TEST(ClusterClient, FindsNodesAgainThatItKnowsFromRedirectionsOnly) {
  std::atomic<bool> down{false};
  FakeServer fresh([&](FakeConnection& c) {
    while (c.ReadCommand("key")) c.Send(down.exchange(false) ? "-CLUSTERDOWN\r\n" : "$5\r\nvalue\r\n");
  });
  std::optional<FakeServer> seed;
  seed.emplace([&](FakeConnection& c) {
    while (c.ReadCommand("key")) c.Send("-MOVED 1 " + fresh.endpoint().ToString() + "\r\n");
  });
  ClusterClient client("", {seed->endpoint()});
  ASSERT_TRUE(client.Execute({"GET", "key"}, std::chrono::seconds(5)));
  seed.reset();
  down = true;
  const auto value = client.Execute({"GET", "key"}, std::chrono::seconds(5));
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->text, "value");
  EXPECT_FALSE(down);
}

}  // namespace
}  // namespace slotwright::testing
