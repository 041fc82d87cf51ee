// Who leads no more sends nothing.
#include "controllers/redis/fenced_commander.h"

#include <gtest/gtest.h>

namespace slotwright {
namespace {

class Door final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    ++runs;
    return std::vector<NodeResult>(requests.size());
  }
  int runs = 0;
};

TEST(FencedCommander, SendsWhileItMayAndNothingAfterwards) {
  Door door;
  bool leads = true;
  FencedCommander fenced(door, [&] { return leads; });
  const std::vector<NodeRequest> requests(2);
  EXPECT_TRUE(fenced.Run(requests, std::chrono::seconds(1))[1].has_value());
  leads = false;
  const auto refused = fenced.Run(requests, std::chrono::seconds(1));
  ASSERT_EQ(refused.size(), 2U);
  for (const auto& result : refused) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, RedisError::Kind::kFenced);
  }
  EXPECT_EQ(door.runs, 1);
}

}  // namespace
}  // namespace slotwright
