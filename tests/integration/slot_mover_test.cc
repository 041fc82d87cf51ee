// What becomes of a key whose way took too long: MIGRATE gives up, and the target takes it all the same.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <optional>
#include <thread>

#include "controllers/act/slot_mover.h"
#include "tests/support/redis_process.h"

namespace slotwright::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr Slot kSlot = 12182;  // of "foo"

// Does something of the test's own after each exchange.
class WatchedCommander final : public Commander {
 public:
  WatchedCommander(Commander& commander, std::function<void(const Command& first)> after)
      : commander_(commander), after_(std::move(after)) {}
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds timeout) override {
    auto results = commander_.Run(requests, timeout);
    after_(requests.at(0).commands.at(0));
    return results;
  }

 private:
  Commander& commander_;
  std::function<void(const Command& first)> after_;
};

// To a server, from an address that we choose.
class RawConnection {
 public:
  RawConnection(const Endpoint& to, const std::string& from) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in here = AddressOf(from, 0);
    const sockaddr_in there = AddressOf(to.host, to.port);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
  }
  ~RawConnection() { ::close(socket_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  /// Its answer to one that fits into a packet; empty if the connection has ended.
  [[nodiscard]] std::string Ask(const std::string& command) const {
    const std::string line = command + "\r\n";
    if (::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) < 0) return "";
    std::string answer(100, '\0');
    answer.resize(static_cast<size_t>(std::max<ssize_t>(::recv(socket_, answer.data(), answer.size(), 0), 0)));
    return answer;
  }

 private:
  static sockaddr_in AddressOf(const std::string& host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1);
    return address;
  }
  const int socket_;
};

class SlowTarget : public ::testing::Test {
 protected:
  void SetUp() override {
    for (auto* process : {&source_, &target_}) {
      const Endpoint endpoint = FreshEndpoint();
      auto started = RedisProcess::Start(
          {.endpoint = endpoint, .arguments = {"--cluster-enabled", "yes", "--cluster-announce-ip", endpoint.host}});
      ASSERT_TRUE(started) << started.error();
      *process = *std::move(started);
    }
    ASSERT_TRUE(Ask(*source_, {"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}).IsOk());
    const Endpoint& to = target_->endpoint();
    ASSERT_TRUE(Ask(*source_, {"CLUSTER", "MEET", to.host, std::to_string(to.port)}).IsOk());
    for (int i = 0; i < 200; ++i) {
      if (Ask(*source_, {"CLUSTER", "INFO"}).text.find("cluster_state:ok") != std::string::npos &&
          Ask(*target_, {"CLUSTER", "INFO"}).text.find("cluster_state:ok") != std::string::npos) {
        return;
      }
      std::this_thread::sleep_for(50ms);
    }
    FAIL() << "they did not come together";
  }

  Reply Ask(const RedisProcess& process, Command command, bool asking = false) {
    std::vector<Command> commands;
    if (asking) commands.push_back({"ASKING"});
    commands.push_back(std::move(command));
    const auto result = commander_->Run({{process.endpoint(), "", std::move(commands)}}, 10s)[0];
    return result ? result->back() : Reply{.type = Reply::Type::kError, .text = result.error().message};
  }
  NodeRef Ref(const char* pod, const RedisProcess& process) {
    return {pod, *NodeId::Parse(Ask(process, {"CLUSTER", "MYID"}).text), process.endpoint()};
  }

  // The target hangs from when keys are on their way until MIGRATE has given up, and longer.
  MoveProgress MoveWhileTheTargetHangs(std::chrono::milliseconds hangs = 2500ms,
                                       SlotSet slots = SlotSet({SlotRange{kSlot, kSlot}})) {
    return MoveWhileTheTargetHangs(*commander_, hangs, std::move(slots));
  }
  MoveProgress MoveWhileTheTargetHangs(Commander& commander, std::chrono::milliseconds hangs, SlotSet slots) {
    const MigrateSlots move{Ref("a", *source_), Ref("b", *target_), std::move(slots)};
    int exchanges = 0;
    std::jthread later;
    const auto after_effect = [&] {
      // It is asked what is open; the slots are counted, opened at the target and at the source, and the names of their
      // keys read.
      if (++exchanges != 5) return;
      target_->Signal(SIGSTOP);
      later = std::jthread([this, hangs] {
        std::this_thread::sleep_for(hangs);
        target_->Signal(SIGCONT);
      });
    };
    SlotMover mover(commander, clock_, "", after_effect, 5s);
    return mover.Move(move, clock_.Now() + 1s);
  }

  std::unique_ptr<Commander> commander_ = MakeTcpCommander();
  reconciler::Clock& clock_ = reconciler::SystemClock();
  std::unique_ptr<RedisProcess> source_;
  std::unique_ptr<RedisProcess> target_;
};

// Else a client that deletes it at the source would find it at the target.
TEST_F(SlowTarget, KeepsNoCopyOfAKeyThatItTookTooLate) {
  ASSERT_TRUE(Ask(*source_, {"SET", "foo", "bar"}).IsOk());
  const MoveProgress progress = MoveWhileTheTargetHangs();
  EXPECT_THAT(progress.error, HasSubstr("IOERR"));
  EXPECT_FALSE(progress.too_large);
  EXPECT_EQ(Ask(*source_, {"GET", "foo"}).text, "bar");
  EXPECT_THAT(Ask(*target_, {"INFO", "commandstats"}).text, HasSubstr("cmdstat_restore-asking:calls=1"))
      << "it did take it";
  EXPECT_EQ(Ask(*target_, {"EXISTS", "foo"}, true).integer, 0);
  EXPECT_EQ(Ask(*source_, {"DEL", "foo"}).integer, 1) << "clients can write again";
}

// A key that goes from the source between the look and the deletion would be gone from both, or be back.
TEST_F(SlowTarget, LetsNobodyWriteWhileCopiesAreCompared) {
  ASSERT_TRUE(Ask(*source_, {"SET", "foo", "bar"}).IsOk());
  std::optional<std::future<Reply>> deleted;
  bool held_back = false;
  WatchedCommander commander(*commander_, [&](const Command& first) {
    const bool of_pauses = first[0] == "CLIENT";
    if (of_pauses && first[1] == "PAUSE" && !deleted) {
      deleted = std::async(std::launch::async, [this] {
        const auto client = MakeTcpCommander();
        return client->Run({{source_->endpoint(), "", {{"DEL", "foo"}}}}, 10s)[0]->at(0);
      });
    }
    // What follows the look at the source is for the target.
    if (first[0] == "ASKING" && deleted) held_back = deleted->wait_for(200ms) == std::future_status::timeout;
  });
  (void)MoveWhileTheTargetHangs(commander, 2500ms, SlotSet({SlotRange{kSlot, kSlot}}));
  ASSERT_TRUE(deleted) << "nothing was compared";
  EXPECT_TRUE(held_back);
  EXPECT_EQ(deleted->get().integer, 1) << "it goes on once they are compared";
  EXPECT_EQ(Ask(*target_, {"EXISTS", "foo"}, true).integer, 0);
}

// As one that the network has lost and sends again when nobody waits for it: it would put an old value over a newer
// one.
TEST_F(SlowTarget, IsRidOfMigratesThatAnEarlierSliceLeft) {
  const RawConnection late(target_->endpoint(), source_->endpoint().host);
  const RawConnection a_person(target_->endpoint(), source_->endpoint().host);
  ASSERT_EQ(late.Ask("SELECT 0"), "+OK\r\n");
  ASSERT_EQ(a_person.Ask("PING"), "+PONG\r\n");
  const NodeRef from = Ref("a", *source_);
  ASSERT_TRUE(Ask(*target_, {"CLUSTER", "SETSLOT", std::to_string(kSlot), "IMPORTING", from.id.ToString()}).IsOk());
  SlotMover mover(*commander_, clock_, "", nullptr, 5s);
  EXPECT_EQ(mover.Move({from, Ref("b", *target_), SlotSet({SlotRange{kSlot, kSlot}})}, clock_.Now() + 1s).error, "");
  EXPECT_EQ(late.Ask("PING"), "");
  EXPECT_EQ(a_person.Ask("PING"), "+PONG\r\n");
}

// MIGRATEs that are read already wait one after the other: in the end others would take the source for dead.
TEST_F(SlowTarget, StopsItsSourceForLessThanANodeTimeout) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Ask(*source_, {"SET", fmt::format("key:{}", i), "x"}).IsOk());
  std::atomic<double> longest = 0;
  std::jthread client([&](const std::stop_token& stop) {
    const auto commander = MakeTcpCommander();
    while (!stop.stop_requested()) {
      const auto start = std::chrono::steady_clock::now();
      (void)commander->Run({{source_->endpoint(), "", {{"PING"}}}}, 60s);
      longest =
          std::max<double>(longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      std::this_thread::sleep_for(10ms);
    }
  });
  (void)MoveWhileTheTargetHangs(7s, SlotSet({SlotRange{0, 16383}}));
  for (int i = 0; i < 100 && longest == 0; ++i) std::this_thread::sleep_for(10ms);
  client.request_stop();
  client.join();
  EXPECT_LT(longest, 4.9);
  EXPECT_GT(longest, 1.0) << "nothing was on its way";
}

TEST_F(SlowTarget, GetsToKnowWhichKeyWasTooLarge) {
  ASSERT_TRUE(Ask(*source_, {"SET", "{foo}small", "x"}).IsOk());
  ASSERT_TRUE(Ask(*source_, {"SETRANGE", "foo", "20000000", "x"}).integer > 0);
  const MoveProgress progress = MoveWhileTheTargetHangs();
  EXPECT_TRUE(progress.too_large);
  EXPECT_THAT(progress.error, HasSubstr(fmt::format("the key \"foo\" of slot {} (", kSlot)));
}

}  // namespace
}  // namespace slotwright::testing
