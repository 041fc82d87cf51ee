// What a node's replies are taken for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "controllers/observe/observer.h"

namespace slotwright::testing {
namespace {

// Valkey 8 and newer: "keys" are those that it has loaded so far.
std::vector<Reply> Replies(const std::string& loading) {
  const std::string table =
      std::string(40, 'a') + " 10.0.0.1:6379@16379,host myself,master - 0 0 1 connected 0-16383\n";
  std::vector<Reply> replies;
  for (const auto& text : {table, std::string("cluster_state:ok\r\n"), "loading:" + loading + "\r\n"}) {
    replies.push_back({.type = Reply::Type::kString, .text = text});
  }
  replies.push_back({.type = Reply::Type::kArray});
  return replies;
}

TEST(ReadReplies, OfANodeThatIsLoadingAreNoAnswer) {
  NodeView node;
  ReadReplies(Replies("1"), "host", node);
  EXPECT_TRUE(node.loading);
  EXPECT_FALSE(node.Answers());
  EXPECT_FALSE(node.foreign);
  EXPECT_EQ(node.error, "it is loading its data");
}

TEST(ReadReplies, OfANodeThatIsBusyWithAScriptAreNoAnswerAndSayWhatItSays) {
  const Reply busy = {.type = Reply::Type::kError, .text = "BUSY Redis is busy running a script."};
  NodeView node;
  ReadReplies({busy, busy, busy, busy}, "host", node);
  EXPECT_FALSE(node.Answers());
  EXPECT_FALSE(node.loading || node.foreign || node.unauthorized);
  EXPECT_EQ(node.error, busy.text);
}

TEST(ReadReplies, OfANodeThatRefusesAreFitForALine) {
  const Reply refusal = {.type = Reply::Type::kError, .text = "ERR \x1b[2J\nlevel=error" + std::string(1000, 'x')};
  NodeView node;
  ReadReplies({refusal}, "host", node);
  EXPECT_EQ(node.error, "ERR ?[2J?level=error" + std::string(140, 'x') + "...");
}

TEST(ReadReplies, OfANodeThatHasLoadedAreAnAnswer) {
  NodeView node;
  ReadReplies(Replies("0"), "host", node);
  EXPECT_FALSE(node.loading);
  EXPECT_TRUE(node.Answers());
}

// Pods are looked for shard by shard.
TEST(Observation, HasNoMoreShardsThanAClusterCanWhateverAPodSays) {
  Observation observation;
  observation.cluster.spec.masters = 3;
  observation.pods.push_back({.name = "demo-999-0", .shard = 999, .index = 0, .ours = true});
  EXPECT_EQ(observation.ShardCount(), 1000);
  for (const int shard : {1000, 2'000'000'000, std::numeric_limits<int>::max()}) {
    observation.pods.back().shard = shard;
    EXPECT_EQ(observation.ShardCount(), 3) << shard;
  }
}

}  // namespace
}  // namespace slotwright::testing
