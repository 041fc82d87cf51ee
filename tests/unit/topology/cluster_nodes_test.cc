// The parser of CLUSTER NODES: every form that servers print, and every trap.
#include "controllers/topology/cluster_nodes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/cluster_nodes_text.h"

namespace slotwright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kA(40, 'a');
const std::string kB(40, 'b');
const std::string kC = "07c37dfeb235213a872192d90877d0cd55635b91";

NodeId Id(std::string_view text) { return NodeId::Parse(text).value(); }

// The one line that every table needs, with these words behind the link state.
std::string Myself(std::string_view slots = "") {
  return fmt::format("{} 10.0.0.1:6379@16379 myself,master - 0 0 1 connected{}{}\n", kA, slots.empty() ? "" : " ",
                     slots);
}

// The second line of a table that is otherwise in order.
NodeLine Second(const std::string& line) {
  const auto table = ParseClusterNodes(Myself() + line + "\n");
  if (!table) {
    ADD_FAILURE() << table.error();
    return {};
  }
  return table->lines.at(1);
}

NodeLine MyselfWith(std::string_view slots) {
  const auto table = ParseClusterNodes(Myself(slots));
  if (!table) {
    ADD_FAILURE() << table.error();
    return {};
  }
  return table->myself();
}

TEST(NodeId, IsExactlyFortyLowerCaseHexDigits) {
  EXPECT_EQ(Id(kC).ToString(), kC);
  EXPECT_EQ(Id(kC).Short(), "07c37dfe");
  for (const std::string& bad : {std::string(), kA.substr(1), kA + "a", std::string(40, 'A'), std::string(40, 'g'),
                                 std::string(39, 'a') + ' ', std::string(39, 'a') + '\0'}) {
    EXPECT_FALSE(NodeId::Parse(bad)) << bad;
  }
}

TEST(Endpoint, PutsBracketsAroundIpV6) {
  EXPECT_EQ((Endpoint{"10.0.0.1", 6379}.ToString()), "10.0.0.1:6379");
  EXPECT_EQ((Endpoint{"fd00::1", 6379}.ToString()), "[fd00::1]:6379");
}

TEST(ClusterNodes, OfAWholeRedis62ClusterAreRead) {
  const std::string text =
      "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 "
      "1426238317239 4 connected\n"
      "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n"
      "292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 127.0.0.1:30003@31003 master - 0 1426238318243 3 connected "
      "10923-16383\n"
      "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460\n";
  const auto table = ParseClusterNodes(text);
  ASSERT_TRUE(table) << table.error();
  ASSERT_EQ(table->lines.size(), 4U);
  const NodeLine replica{.id = Id("07c37dfeb235213a872192d90877d0cd55635b91"),
                         .endpoint = {"127.0.0.1", 30004},
                         .bus_port = 31004,
                         .flags = {.replica = true},
                         .master = Id("e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"),
                         .config_epoch = 4,
                         .link_connected = true};
  EXPECT_EQ(table->lines[0], replica);
  EXPECT_EQ(table->myself().slots, SlotSet({{0, 5460}}));
  EXPECT_EQ(table->Find(replica.id), &table->lines[0]);
  EXPECT_EQ(table->Find(Id(kA)), nullptr);
  EXPECT_EQ(ParseClusterNodes(testing::ToClusterNodesText(*table)), table);
}

TEST(ClusterNodes, GiveTheAddressInEachFormThatServersPrint) {
  struct Case {
    std::string printed;
    NodeLine expected;
  };
  const Case cases[] = {
      {"10.0.0.2:6379@16379", {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379}},          // 4.0+
      {"10.0.0.2:6379", {.endpoint = {"10.0.0.2", 6379}}},                                   // 3.x
      {":6379@16379", {.endpoint = {"", 6379}, .bus_port = 16379}},                          // never met anybody
      {":0@0", {}},                                                                          // noaddr
      {"fd00::1:6379@16379", {.endpoint = {"fd00::1", 6379}, .bus_port = 16379}},            // IPv6, no brackets
      {"::1:6379", {.endpoint = {"::1", 6379}}},                                             //
      {"fe80::1%eth0:6379@16379", {.endpoint = {"fe80::1%eth0", 6379}, .bus_port = 16379}},  //
      {"redis-0.svc:6379@16379", {.endpoint = {"redis-0.svc", 6379}, .bus_port = 16379}},    // announce-ip, a name
      {"10.0.0.2:6379@16379,redis-0.redis.default.svc",                                      // 7.0+ announce-hostname
       {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379, .hostname = "redis-0.redis.default.svc"}},
      {":6379@16379,redis-0", {.endpoint = {"", 6379}, .bus_port = 16379, .hostname = "redis-0"}},
      // nodes.conf of 7.2 and later, with and without a host name
      {"10.0.0.2:6379@16379,,tls-port=0,shard-id=69bc080733d1355567173199cff4a6a039a2f024",
       {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379}},
      {"10.0.0.2:6379@16379,redis-0,nodename=a@b:c,tls-port=0,shard-id=69bc080733d1355567173199cff4a6a039a2f024",
       {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379, .hostname = "redis-0"}},
      {"10.0.0.2:6379@16379,,tcp-port=6380,client-ipv4=192.0.2.1,client-ipv6=2001:db8::1,availability-zone=a",
       {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379}},
      {"10.0.0.2:6379@16379,shard-id=69bc080733d1355567173199cff4a6a039a2f024",
       {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379}},
      {"10.0.0.2:6379@16379,", {.endpoint = {"10.0.0.2", 6379}, .bus_port = 16379}},
      {"10.0.0.2:65535@65535", {.endpoint = {"10.0.0.2", 65535}, .bus_port = 65535}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.printed);
    const NodeLine line = Second(kB + " " + c.printed + " master - 0 0 0 connected");
    EXPECT_EQ(line.endpoint, c.expected.endpoint);
    EXPECT_EQ(line.bus_port, c.expected.bus_port);
    EXPECT_EQ(line.hostname, c.expected.hostname);
  }
}

TEST(ClusterNodes, GiveTheFlagsAsWholeWordsAndIgnoreUnknownOnes) {
  const struct {
    std::string printed;
    NodeFlags expected;
  } cases[] = {
      {"master", {.master = true}},
      {"primary", {.master = true}},
      {"slave", {.replica = true}},
      {"replica", {.replica = true}},
      {"master,fail?", {.master = true, .pfail = true}},
      {"master,fail", {.master = true, .fail = true}},
      {"slave,fail?,fail", {.replica = true, .pfail = true, .fail = true}},
      {"master,noaddr", {.master = true, .noaddr = true}},
      {"master,fail,noaddr", {.master = true, .fail = true, .noaddr = true}},
      {"handshake", {.handshake = true}},
      {"master,handshake", {.master = true, .handshake = true}},
      {"slave,nofailover", {.replica = true}},
      {"noflags", {}},
      {"master,brand-new,fail??", {.master = true}},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Second(kB + " 10.0.0.2:6379@16379 " + c.printed + " - 0 0 0 disconnected").flags, c.expected)
        << c.printed;
  }
}

TEST(ClusterNodes, GiveSlotsAndOpenSlots) {
  const NodeLine line = MyselfWith(fmt::format("0 2-5460 16383 [93->-{}] [77-<-{}] [16383->-{}]", kB, kC, kC));
  EXPECT_EQ(line.slots.ToString(), "0 2-5460 16383");
  const std::vector<OpenSlot> expected = {{93, OpenSlot::Direction::kMigrating, Id(kB)},
                                          {77, OpenSlot::Direction::kImporting, Id(kC)},
                                          {16383, OpenSlot::Direction::kMigrating, Id(kC)}};
  EXPECT_EQ(line.open_slots, expected);
}

TEST(ClusterNodes, GiveTheOpenSlotsThatValkey8PrintsOnAReplicasOwnLine) {
  const auto table =
      ParseClusterNodes(fmt::format("{} 10.0.0.1:6379@16379 myself,slave {} 0 0 7 connected [93-<-{}]\n", kA, kB, kC));
  ASSERT_TRUE(table) << table.error();
  EXPECT_EQ(table->myself().master, Id(kB));
  EXPECT_EQ(table->myself().open_slots.size(), 1U);
}

TEST(ClusterNodes, GiveNumbersToTheirLimits) {
  const NodeLine line =
      Second(kB + " 10.0.0.2:6379@16379 slave - 9223372036854775807 1700000000123 18446744073709551615 disconnected");
  EXPECT_EQ(line.config_epoch, UINT64_MAX);
  EXPECT_FALSE(line.link_connected);
  EXPECT_FALSE(line.master) << "a replica whose master its viewer does not know";
}

TEST(ClusterNodes, AreReadWithAnyLineEndsAndWithTheLinesThatOnlyNodesConfHas) {
  const std::string line = Myself("0-5");
  const std::string bare = line.substr(0, line.size() - 1);
  for (const std::string& text :
       {line, bare, bare + "\r\n", bare + "\r", bare + " \n", "\n\n" + line + "\n",
        line + "vars currentEpoch 6 lastVoteEpoch 0\n", "vars\r\n" + line, line + "log 1 2 3\n"}) {
    const auto table = ParseClusterNodes(text);
    ASSERT_TRUE(table) << table.error();
    ASSERT_EQ(table->lines.size(), 1U);
    EXPECT_EQ(table->myself().slots, SlotSet({{0, 5}}));
  }
}

TEST(ClusterNodes, ThatCannotBeTrueAreRefusedWithTheLineAndTheReason) {
  const std::string head = kB + " 10.0.0.2:6379@16379 ";
  const struct {
    std::string text;
    std::string reason;
  } cases[] = {
      {"", "none of 0 nodes is 'myself'"},
      {"\n", "none of 0 nodes is 'myself'"},
      {head + "master - 0 0 0 connected\n", "none of 1 nodes is 'myself'"},
      {Myself() + head + "myself,master - 0 0 0 connected\n", "line 2: line 1 is 'myself' too"},
      {Myself() + Myself(), "line 2: the id stands on an earlier line already"},
      {Myself() + " " + kA + " 10.0.0.2:6379@16379 master - 0 0 0 connected", "line 2: the id stands on an earlier"},
      {Myself() + "\n\nrubbish\n", "line 4: has 1 fields, at least 8 expected: \"rubbish\""},
      {Myself() + head + "master - 0 0 0", "line 2: has 7 fields"},
      {Myself() + std::string(40, 'X') + " 10.0.0.2:6379@16379 master - 0 0 0 connected", "40 lower-case hex digits"},
      {Myself() + kB + " 10.0.0.2 master - 0 0 0 connected", "the address has no port"},
      {Myself() + kB + " 10.0.0.2@16379 master - 0 0 0 connected", "the address has no port"},
      {Myself() + kB + " 10.0.0.2:65536@1 master - 0 0 0 connected", "the port is not"},
      {Myself() + kB + " 10.0.0.2:-1@1 master - 0 0 0 connected", "the port is not"},
      {Myself() + kB + " 10.0.0.2:@1 master - 0 0 0 connected", "the port is not"},
      {Myself() + kB + " 10.0.0.2:1@99999999999 master - 0 0 0 connected", "the bus port after '@' is not"},
      {Myself() + kB + " 10.0.0.2:1@ master - 0 0 0 connected", "the bus port after '@' is not"},
      {Myself() + kB + " evil\"host:1@1 master - 0 0 0 connected", "characters that no address has"},
      {Myself() + kB + " 10.0.0.2:1@1,a\x1b[31m master - 0 0 0 connected", "characters that no address has"},
      {Myself() + head + "master,slave - 0 0 0 connected", "both master and replica"},
      {Myself() + head + "slave bbbb 0 0 0 connected", "the master is neither"},
      {Myself() + head + "master - x 0 0 connected", "is not a number"},
      {Myself() + head + "master - 0 9223372036854775808 0 connected", "is not a number"},
      {Myself() + head + "master - 0 0 -1 connected", "is not a number"},
      {Myself() + head + "master - 0 0 0 maybe", "the link state is neither"},
      {Myself("16384"), "line 1: a slot is not a number from 0 to 16383"},
      {Myself("0-16384"), "a slot is not a number"},
      {Myself("-5"), "a slot is not a number"},
      {Myself("5-"), "a slot is not a number"},
      {Myself("1-2-3"), "a slot is not a number"},
      {Myself("0x10"), "a slot is not a number"},
      {Myself("99999999999999999999"), "a slot is not a number"},
      {Myself("6-5"), "a slot range is upside down"},
      {Myself("["), "an open slot is not"},
      {Myself("[]"), "an open slot is not"},
      {Myself("[93]"), "an open slot is not"},
      {Myself("[93->-" + kB), "an open slot is not"},
      {Myself("[->-]"), "no valid slot or node id"},
      {Myself("[93->-bbbb]"), "no valid slot or node id"},
      {Myself("[16384->-" + kB + "]"), "no valid slot or node id"},
      {Myself("[93-<-" + kB + "x]"), "no valid slot or node id"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto table = ParseClusterNodes(c.text);
    ASSERT_FALSE(table);
    EXPECT_THAT(table.error(), HasSubstr(c.reason));
  }
}

TEST(ClusterNodes, ErrorsAreFitForALogWhateverTheInput) {
  const auto table = ParseClusterNodes(std::string("\x1b[31m\0\x80", 7) + std::string(1 << 20, 'x'));
  ASSERT_FALSE(table);
  EXPECT_LT(table.error().size(), 400U);
  EXPECT_THAT(table.error(), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace slotwright
