// Damaged CLUSTER NODES texts by the hundred thousand: the parser survives them, and what it accepts has one meaning.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controllers/topology/cluster_nodes.h"
#include "tests/support/cluster_nodes_text.h"

namespace slotwright {
namespace {

constexpr int kInputs = 200'000;

const std::vector<std::string> kSeeds = {
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 5462\n"
    "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002,host-1 master - 0 1426238316232 2 connected 6000\n"
    "07c37dfeb235213a872192d90877d0cd55635b91 :0@0 slave,fail,noaddr e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 5 6 1 "
    "disconnected\n",
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca fd00::1:6379@16379,,shard-id=a myself,slave "
    "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 0 0 1 connected [93->-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1] "
    "[7-<-07c37dfeb235213a872192d90877d0cd55635b91]\r\nvars currentEpoch 6 lastVoteEpoch 0\r\n",
    "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :6379@16379 myself,master - 0 0 0 connected",
};

// What the format itself is made of: damage that is likelier to be accepted than random bytes are.
const std::vector<std::string> kWords = {" ",
                                         "\n",
                                         ",",
                                         "@",
                                         ":",
                                         "-",
                                         "[",
                                         "]",
                                         "->-",
                                         "-<-",
                                         "myself",
                                         "slave",
                                         "fail",
                                         "fail?",
                                         "=",
                                         "vars",
                                         "0",
                                         "16384",
                                         "6-5",
                                         "\r",
                                         "16383",
                                         "noaddr",
                                         std::string(1, '\0'),
                                         "%",
                                         "::",
                                         "-1",
                                         "4e",
                                         "65536",
                                         "0-0",
                                         "connected"};

class Mutator {
 public:
  std::string Next() {
    std::string text = Pick(kSeeds);
    for (auto i = Below(3) + 1; i > 0; --i) Damage(text);
    return text;
  }

 private:
  std::size_t Below(std::size_t end) { return random_() % end; }
  const std::string& Pick(const std::vector<std::string>& from) { return from[Below(from.size())]; }

  void Damage(std::string& text) {
    const std::size_t at = Below(text.size() + 1);
    const std::size_t size = Below(std::min<std::size_t>(text.size() - at, Below(5) == 0 ? 60 : 3) + 1);
    switch (Below(6)) {
      case 0:
        text.erase(at, size);
        break;
      case 1:
        text.insert(at, text.substr(at, size));
        break;
      case 2:
        text.insert(at, Pick(kWords));
        break;
      case 3:
        text.replace(at, size, Pick(kWords));
        break;
      case 4:
        if (at < text.size()) text[at] = static_cast<char>(Below(256));
        break;
      default:
        if (Below(8) == 0) text.resize(at);
    }
  }

  std::mt19937 random_{20260101};
};

TEST(ClusterNodes, HoweverDamagedAreRefusedOrReadToOneMeaning) {
  Mutator mutator;
  int accepted = 0;
  for (int i = 0; i < kInputs; ++i) {
    const std::string text = mutator.Next();
    const auto table = ParseClusterNodes(text);
    if (!table) {
      ASSERT_FALSE(table.error().empty());
      continue;
    }
    ++accepted;
    std::set<NodeId> ids;
    int myself = 0;
    for (const NodeLine& line : table->lines) {
      ids.insert(line.id);
      myself += line.flags.myself ? 1 : 0;
    }
    ASSERT_EQ(myself, 1) << text;
    ASSERT_EQ(ids.size(), table->lines.size()) << text;
    const auto again = ParseClusterNodes(testing::ToClusterNodesText(*table));
    ASSERT_TRUE(again) << again.error() << "\nfrom\n" << text;
    ASSERT_EQ(*again, *table) << text;
    (void)ParseClusterInfo(text);
    (void)ParseServerInfo(text);
  }
  // Both outcomes must have been tried for this to say anything.
  EXPECT_GT(accepted, kInputs / 20);
  EXPECT_LT(accepted, kInputs * 19 / 20);
}

}  // namespace
}  // namespace slotwright
