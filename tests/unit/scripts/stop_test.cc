// To whom a pod that is told to end gives its slots, and when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/scripts/script_test.h"

namespace slotwright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Stop : public ScriptTest {
 protected:
  Stop() {
    Write("run/auth", "AUTH \"secret\"\n");
    // Each call is a line of $ROOT/calls; what this pod's server says of itself is in $ROOT/nodes, and once it was
    // asked as often as $ROOT/busy says, without open slots.
    Program("redis-cli", R"sh(question=$(sed 1d); host=$2
echo "$host $question" >> "$ROOT/calls"
case $question in
  "CLUSTER NODES")
    asked=$(grep -c "CLUSTER NODES" "$ROOT/calls")
    if [ "$asked" -gt "$(cat "$ROOT/busy")" ]; then sed 's/ \[.*\]//' "$ROOT/nodes"; else cat "$ROOT/nodes"; fi ;;
  "CLUSTER FAILOVER")
    echo OK
    [ "$(grep -c "CLUSTER FAILOVER" "$ROOT/calls")" -lt "$(cat "$ROOT/elected-by")" ] || touch "$ROOT/handed-over" ;;
  "INFO replication")
    if [ -e "$ROOT/handed-over" ]; then echo role:master; else echo "role:slave"; echo "master_link_status:up"; fi ;;
  "CLUSTER INFO")
    asked=$(grep -c "CLUSTER INFO" "$ROOT/calls")
    [ "$asked" -le "$(cat "$ROOT/says-nothing-after")" ] || exit 0
    printf 'cluster_state:ok\r\ncluster_current_epoch:%s\r\n' "$asked"  # others' elections
    votes=$(($(cat "$ROOT/elections") * $(grep -c FAILOVER "$ROOT/calls")))
    [ "$votes" = 0 ] || printf 'cluster_stats_messages_auth-req_sent:%s\r\n' "$votes" ;;
  *) echo OK ;;
esac)sh");
    Program("sleep", R"sh(echo "sleep $1" >> "$ROOT/calls")sh");
    Program("date", R"sh(echo second >> "$ROOT/seconds"; wc -l < "$ROOT/seconds")sh");  // one passes with each look
    Write("busy", "0");
    Write("elected-by", "1");
    Write("elections", "1");  // with each attempt
    Write("says-nothing-after", "100");
  }

  void IsMasterWith(const char* open) const {
    Write("nodes", fmt::format("{:a>40} 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-99{}\n"
                               "{:b>40} 10.0.0.2:6379@16379 slave {:a>40} 0 0 1 connected\n",
                               "", open, "", ""));
  }
  [[nodiscard]] std::string Calls() const {
    EXPECT_EQ(Run("stop.sh", "6379 run data").status, 0);
    return Read("calls");
  }
};

constexpr const char* kHandOver = "10.0.0.2 CLUSTER FAILOVER";

TEST_F(Stop, HandsOverToAReplicaInSync) {
  IsMasterWith("");
  EXPECT_THAT(Calls(), HasSubstr(kHandOver));
}

TEST_F(Stop, WaitsForSlotsThatAreBeingMoved) {
  IsMasterWith(" [7->-cccccccccccccccccccccccccccccccccccccccc]");
  Write("busy", "3");
  const std::string calls = Calls();
  EXPECT_THAT(calls.substr(calls.find("CLUSTER NODES")),
              StartsWith("CLUSTER NODES\nsleep 0.5\n10.0.0.1 CLUSTER NODES\nsleep 0.5\n10.0.0.1 CLUSTER NODES\n"
                         "sleep 0.5\n10.0.0.1 CLUSTER NODES\n10.0.0.2 INFO replication\n"));
  EXPECT_THAT(calls, HasSubstr(kHandOver));
}

TEST_F(Stop, WaitsNoLongerThanItHasTime) {
  IsMasterWith(" [7-<-cccccccccccccccccccccccccccccccccccccccc]");
  Write("busy", "100");
  const std::string calls = Calls();
  EXPECT_THAT(calls, HasSubstr(kHandOver));
  int sleeps = 0;
  for (auto at = calls.find("sleep 0.5"); at != std::string::npos; at = calls.find("sleep 0.5", at + 1)) ++sleeps;
  EXPECT_EQ(sleeps, 4);
}

// Redis would begin no election, and hold back the clients for nothing.
TEST_F(Stop, TellsAReplicaOnceThatWasNotElected) {
  IsMasterWith("");
  Write("elected-by", "100");
  const std::string calls = Calls();
  EXPECT_EQ(calls.find(kHandOver), calls.rfind(kHandOver));
  EXPECT_THAT(calls, HasSubstr(kHandOver));
}

TEST_F(Stop, TellsAReplicaAgainOfWhichThereWasNoElection) {
  IsMasterWith("");
  Write("elected-by", "2");
  Write("elections", "0");
  const std::string calls = Calls();
  EXPECT_NE(calls.find(kHandOver), calls.rfind(kHandOver));
}

TEST_F(Stop, TellsAReplicaAgainThatDoesNotSayWhetherThereWasAnElection) {
  IsMasterWith("");
  Write("elected-by", "2");
  for (const char* heard : {"0", "1"}) {
    Write("says-nothing-after", heard);
    const std::string calls = Calls();
    EXPECT_NE(calls.find(kHandOver), calls.rfind(kHandOver));
    std::filesystem::remove(root_ / "calls");
    std::filesystem::remove(root_ / "handed-over");
  }
}

TEST_F(Stop, AReplicaHasNothingToGive) {
  Write("nodes",
        fmt::format("{:a>40} 10.0.0.1:6379@16379 myself,slave {:b>40} 0 0 1 connected [7->-{:c>40}]\n", "", "", ""));
  EXPECT_THAT(Calls(), Not(HasSubstr("sleep")));
}

}  // namespace
}  // namespace slotwright
