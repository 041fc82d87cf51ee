// Commands to bytes, bytes to replies.
#include "controllers/redis/resp_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace slotwright {
namespace {

using ::testing::HasSubstr;
using Type = Reply::Type;

struct Outcome {
  std::vector<Reply> replies;
  std::string error;
  bool at_boundary = false;
};

// Feeds in pieces of `size` bytes and takes all that comes.
Outcome Read(std::string_view bytes, std::size_t size) {
  ReplyReader reader;
  Outcome outcome;
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    while (true) {
      auto reply = reader.Next();
      if (!reply) {
        outcome.error = reply.error();
        return outcome;
      }
      if (!*reply) break;
      outcome.replies.push_back(**reply);
    }
  }
  outcome.at_boundary = reader.AtBoundary();
  return outcome;
}

Reply Text(Type type, std::string text) { return {.type = type, .text = std::move(text)}; }
Reply Integer(std::int64_t value) { return {.type = Type::kInteger, .integer = value}; }
Reply Array(std::vector<Reply> elements) { return {.type = Type::kArray, .elements = std::move(elements)}; }

TEST(AppendCommand, WritesWordsAsBytesWhateverTheyAre) {
  std::string wire = "before";
  AppendCommand({"SET", std::string("k\r\n\0", 4), ""}, wire);
  EXPECT_EQ(wire, std::string("before*3\r\n$3\r\nSET\r\n$4\r\nk\r\n\0\r\n$0\r\n\r\n", 35));
}

TEST(ReplyReader, BuildsEveryReplyHoweverTheBytesAreCut) {
  const struct {
    std::string bytes;
    std::vector<Reply> replies;
  } cases[] = {
      {"+OK\r\n", {Text(Type::kStatus, "OK")}},
      {"+\r\n", {Text(Type::kStatus, "")}},
      {"-ERR no\r\n", {Text(Type::kError, "ERR no")}},
      {":-42\r\n:9223372036854775807\r\n", {Integer(-42), Integer(INT64_MAX)}},
      {"$-1\r\n", {Reply{}}},
      {"*-1\r\n", {Reply{}}},
      {"$0\r\n\r\n", {Text(Type::kString, "")}},
      {std::string("$6\r\na\r\n\0+-\r\n", 12), {Text(Type::kString, std::string("a\r\n\0+-", 6))}},
      {"*0\r\n", {Array({})}},
      {"*2\r\n+OK\r\n-WRONGTYPE x\r\n", {Array({Text(Type::kStatus, "OK"), Text(Type::kError, "WRONGTYPE x")})}},
      {"*3\r\n*2\r\n:1\r\n:2\r\n$-1\r\n*1\r\n*1\r\n*0\r\n+next\r\n",
       {Array({Array({Integer(1), Integer(2)}), Reply{}, Array({Array({Array({})})})}), Text(Type::kStatus, "next")}},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n",
       {Array({Array({Array({Array({Array({Array({Array({Integer(7)})})})})})})})}},
  };
  for (const auto& c : cases) {
    for (const std::size_t size : {1U, 2U, 3U, 5U, 7U, 1000U}) {
      SCOPED_TRACE(c.bytes + " in pieces of " + std::to_string(size));
      const Outcome outcome = Read(c.bytes, size);
      EXPECT_EQ(outcome.error, "");
      EXPECT_EQ(outcome.replies, c.replies);
      EXPECT_TRUE(outcome.at_boundary);
    }
  }
}

TEST(ReplyReader, KnowsWhenBytesOfAnotherReplyAreLeft) {
  for (const char* bytes : {"+OK\r\n+", "+OK\r\n$3\r\nab", "*2\r\n+OK\r\n", "+OK\r\n*1\r\n"}) {
    EXPECT_FALSE(Read(bytes, 1000).at_boundary) << bytes;
    EXPECT_FALSE(Read(bytes, 1).at_boundary) << bytes;
  }
  ReplyReader reader;
  EXPECT_TRUE(reader.AtBoundary());
  reader.Feed("+OK\r\n:1\r\n");
  EXPECT_FALSE(reader.AtBoundary()) << "nothing has been taken out yet";
  EXPECT_EQ(**reader.Next(), Text(Type::kStatus, "OK"));
  EXPECT_FALSE(reader.AtBoundary());
  EXPECT_EQ(**reader.Next(), Integer(1));
  EXPECT_TRUE(reader.AtBoundary());
}

TEST(ReplyReader, RefusesWhatIsNoRespOrBeyondAllBounds) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "*1\r\n";
  std::string many = "*2000000\r\n";
  for (int i = 0; i < 1'100'000; ++i) many += ":1\r\n";
  const std::string endless = "+" + std::string(100'000, 'x');
  const struct {
    std::string bytes;
    std::string error;
  } cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n", "got \"H\" as reply type byte"},
      {std::string("\x15\x03\x01\0\x02", 5), "as reply type byte"},  // TLS
      {"$x\r\n", ""},
      {"$-7\r\n", ""},
      {":12monkeys\r\n", ""},
      {"*-5\r\n", ""},
      {"*99999999999999999999\r\n", ""},
      {deep, "nested"},
      {many, "more than 1048576 elements"},
      {endless, "a line longer than"},
      {"*1\r\n" + endless, "a line longer than"},
      {"$" + std::string(100'000, '1'), "a line longer than"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bytes.substr(0, 40));
    const Outcome outcome = Read(c.bytes, 16'384);
    EXPECT_TRUE(outcome.replies.empty());
    EXPECT_NE(outcome.error, "");
    EXPECT_THAT(outcome.error, HasSubstr(c.error));
  }
}

TEST(ReplyReader, BoundsTheElementsOfEachReplyAndNotOfAllTogether) {
  std::string bytes;
  for (int i = 0; i < 1'100'000; ++i) bytes += ":1\r\n";
  const Outcome outcome = Read(bytes, 1U << 20U);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.replies.size(), 1'100'000U);
}

TEST(ReplyReader, DoesNotTakeTypesOfResp3ForAnythingElse) {
  for (const char* bytes : {",1.5\r\n", "#t\r\n", "%1\r\n+a\r\n:1\r\n", "~1\r\n:1\r\n", ">1\r\n:1\r\n",
                            "=6\r\ntxt:ab\r\n", "(12345678901234567890\r\n", "*2\r\n,1.5\r\n:1\r\n", "*1\r\n#t\r\n"}) {
    const Outcome outcome = Read(bytes, 1000);
    EXPECT_NE(outcome.error, "") << bytes;
    EXPECT_TRUE(outcome.replies.empty()) << bytes;
  }
}

TEST(ReplyReader, PaysNothingForSizesThatAreOnlyAnnounced) {
  // Two billion elements and a string of 9 EB: memory for them would end the test.
  EXPECT_EQ(Read("*2147483647\r\n:1\r\n", 1000).error, "");
  EXPECT_EQ(Read("*1000000\r\n*1000000\r\n*1000000\r\n:1\r\n", 1000).error, "");
  EXPECT_EQ(Read("$9000000000000000000\r\nabc", 1000).error, "");
}

TEST(ReplyReader, SurvivesRandomBytes) {
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet = "+-:$*,#_%~>=(\r\n\r\n0123456789-ab";
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 60, '\0');
    for (char& c : bytes) c = random() % 20 == 0 ? static_cast<char>(random()) : kAlphabet[random() % kAlphabet.size()];
    const Outcome whole = Read(bytes, 1000);
    const Outcome pieces = Read(bytes, 1 + random() % 5);
    ASSERT_EQ(whole.replies, pieces.replies) << bytes;
    ASSERT_EQ(whole.error.empty(), pieces.error.empty()) << bytes;
  }
}

}  // namespace
}  // namespace slotwright
