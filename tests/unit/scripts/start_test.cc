// What a pod's start makes of what lies on its volume and of what replicas say; with a server and a client that are
// stubs, and a clock of its own. That real servers then lose nothing is shown by tests/integration.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/unit/scripts/script_test.h"

namespace slotwright {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int64_t kNow = 1'800'000'000;
const std::string kMe(40, 'a');
const std::string kReplica(40, 'b');

// A replica's answers, as seconds without a link to its master.
constexpr const char* kUp = "role:slave\r\nmaster_link_status:up\r\n";
std::string DownFor(int64_t seconds) {
  return fmt::format("role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:{}\r\n", seconds);
}

class Start : public ScriptTest {
 protected:
  Start() {
    Write("password", "se\"cret\\");
    Configure("appendonly yes\nsave 3600 1\n");
    Program("redis-server", "printf '%s\\n' \"$@\" > \"$ROOT/started-with\"");
    // An answer lies in a file that is called as the host. One without is silent, as are the first questions of
    // `silences`.
    Program("redis-cli", R"sh(cat > "$ROOT/asked"
left=$(cat "$ROOT/silences" 2> /dev/null || echo 0)
[ "$left" -gt 0 ] || [ ! -f "$ROOT/answer-$2" ] || exec cat "$ROOT/answer-$2"
echo $((left - 1)) > "$ROOT/silences"
exit 124)sh");
    Program("timeout", R"sh(seconds=$1; shift; "$@" && exit 0 || status=$?
[ "$status" != 124 ] || echo $(($(cat "$ROOT/clock") + seconds)) > "$ROOT/clock"
exit "$status")sh");
    Program("sleep", R"sh(echo "$1" >> "$ROOT/slept"; echo $(($(cat "$ROOT/clock") + $1)) > "$ROOT/clock")sh");
    Program("date", R"sh([ "$1" = +%s ] || exec /bin/date "$@"; cat "$ROOT/clock")sh");
    Write("clock", std::to_string(kNow));
  }

  void Configure(const std::string& redis_conf) const { Write("conf/redis.conf", redis_conf); }

  void ThisIs(const char* role, bool with_replica = true) const {
    const bool master = std::string_view(role) == "master";
    std::string nodes = fmt::format("{} 10.0.0.1:6379@16379 myself,{} {} 0 0 1 connected{}\n", kMe, role,
                                    master ? "-" : kReplica, master ? " 0-5460" : "");
    if (with_replica)
      nodes += fmt::format("{} 10.0.0.2:6379@16379 {} {} 0 0 1 connected\n", kReplica, master ? "slave" : "master",
                           master ? kMe : "-");
    nodes += fmt::format("{} 10.0.0.3:6379@16379 master - 0 0 2 connected 5461-16383\n", std::string(40, 'c'));
    Write("data/nodes.conf", nodes + "vars currentEpoch 2 lastVoteEpoch 0\n");
  }
  void SetTime(const fs::path& name, int64_t seconds) const {
    const timespec time{.tv_sec = seconds, .tv_nsec = 0};
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root_ / name).c_str(), times, 0), 0);
  }
  void HasAppendOnlyFiles(int64_t written = kNow, bool manifest = true) const {
    fs::create_directory(root_ / "data/appendonlydir");
    Write("data/appendonlydir/appendonly.aof.1.base.rdb", "base");
    Write("data/appendonlydir/appendonly.aof.1.incr.aof", "incr");
    SetTime("data/appendonlydir/appendonly.aof.1.incr.aof", written);
    if (manifest) Write("data/appendonlydir/appendonly.aof.manifest", "file ...");
  }
  // With `ctime` as a server of `saved` writes it: a 32-bit integer in little endian (rdbSaveInfoAuxFields in its
  // src/rdb.c).
  void HasSavedFile(int64_t saved) const {
    std::string file = "REDIS0010";
    const auto add = [&](std::string_view name, std::string_view value) {
      file += '\xfa';
      file += static_cast<char>(name.size());
      file += name;
      file += value;
    };
    add("redis-ver",
        "\x05"
        "8.2.3");
    add("redis-bits", "\xc0\x40");
    std::string value = "\xc2";
    for (int shift = 0; shift < 32; shift += 8) value += static_cast<char>(saved >> shift & 0xff);
    add("ctime", value);
    Write("data/dump.rdb", file);
  }
  void TheReplicaSays(const std::string& answer) const { Write("answer-10.0.0.2", answer); }
  // It was this container's server that ended, not its pod.
  void ItWasUpBefore() const { Write("run/started", ""); }

  // Runs it; what it printed.
  std::string Run() const {
    const Result result = ScriptTest::Run("start.sh", "conf/redis.conf password run data 11 --port 6379");
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  }
  // Since it was last asked.
  bool Waited() const {
    const bool waited = Read("slept") == "11\n";
    fs::remove(root_ / "slept");
    Write("clock", std::to_string(kNow));
    return waited;
  }
  bool IsNew() const { return !Has("nodes.conf") && InQuarantine(); }
  bool InQuarantine() const {
    const std::string directives = Read("run/private.conf");
    return directives.contains("repl-diskless-sync-delay 1000000000\n") &&
           directives.contains("repl-diskless-sync-max-replicas 0\n");
  }
  bool LoadsOther(const char* appendonly) const {
    return Read("run/private.conf").contains(fmt::format("appendonly {}\n", appendonly));
  }
};

TEST_F(Start, OfANewPodIsInQuarantine) {
  Run();
  EXPECT_TRUE(InQuarantine());
  EXPECT_TRUE(fs::exists(root_ / "run/started"));
  EXPECT_FALSE(fs::exists(root_ / "slept"));
  EXPECT_EQ(Read("started-with"),
            "conf/redis.conf\n--include\nrun/private.conf\n--dir\ndata\n--port\n6379\n"
            "--bind\n10.0.0.1\n127.0.0.1\n");
}

// Replicas of that one may follow its address still, and would copy the data of another shard.
TEST_F(Start, WithDataAtAnAddressThatIsAnothersIsInQuarantine) {
  HasAppendOnlyFiles();
  for (const auto& [address, is_anothers] : {std::pair("10.0.0.3", true), std::pair("10.0.0.33", false)}) {
    ThisIs("slave");
    pod_ip_ = address;
    Run();
    EXPECT_TRUE(Has("nodes.conf"));
    EXPECT_EQ(InQuarantine(), is_anothers) << address;
  }
}

TEST_F(Start, WithDataAtAnAddressThatIsAnothersIsInQuarantineWhateverTheClusterIsCalled) {
  HasAppendOnlyFiles();
  Write("data/nodes.conf",
        fmt::format("{} 10.0.0.1:6379@16379,myself-0-1.myself-nodes.ns.svc myself,slave {} 0 0 1 connected\n"
                    "{} 10.0.0.3:6379@16379,myself-1-0.myself-nodes.ns.svc master - 0 0 2 connected 5461-16383\n",
                    kMe, kReplica, std::string(40, 'c')));
  pod_ip_ = "10.0.0.3";
  Run();
  EXPECT_TRUE(InQuarantine());
}

// Local mode: the same one for all.
TEST_F(Start, ListensInsideOfThePodOnlyWhereItHasANetworkOfItsOwn) {
  pod_ip_ = "127.77.0.4";
  Run();
  EXPECT_EQ(Read("started-with"), "conf/redis.conf\n--include\nrun/private.conf\n--dir\ndata\n--port\n6379\n");
}

TEST_F(Start, WritesThePasswordWhereOnlyThisUserReadsIt) {
  Run();
  EXPECT_THAT(Read("run/private.conf"), StartsWith("requirepass \"se\\\"cret\\\\\"\nmasterauth \"se\\\"cret\\\\\"\n"));
  EXPECT_EQ(Read("run/auth"), "AUTH \"se\\\"cret\\\\\"\n");
  for (const char* file : {"run/private.conf", "run/auth"})
    EXPECT_EQ(fs::status(root_ / file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_THAT(Read("started-with"), Not(HasSubstr("cret")));
}

TEST_F(Start, OfAMasterWithoutDataWaitsAndForgetsWhoItWas) {
  ThisIs("master");
  TheReplicaSays(kUp);
  EXPECT_THAT(Run(), AllOf(HasSubstr("waiting 11s"), HasSubstr("no data survived")));
  EXPECT_TRUE(Waited());
  EXPECT_TRUE(IsNew());
}

TEST_F(Start, OfAReplicaHasNothingToWaitFor) {
  ThisIs("slave");
  HasAppendOnlyFiles();
  ItWasUpBefore();
  EXPECT_EQ(Run(), "");
  EXPECT_FALSE(InQuarantine());
  EXPECT_FALSE(fs::exists(root_ / "slept"));
}

TEST_F(Start, OfAMasterThatNobodyFollowsHasNothingToWaitFor) {
  ThisIs("master", false);
  HasAppendOnlyFiles();
  ItWasUpBefore();
  EXPECT_EQ(Run(), "");
  EXPECT_FALSE(fs::exists(root_ / "slept"));
}

TEST_F(Start, OfANewPodWithAllItsFilesComesBackAtOnce) {
  ThisIs("master");
  HasAppendOnlyFiles();
  TheReplicaSays(kUp);
  EXPECT_EQ(Run(), "");
  EXPECT_TRUE(Has("nodes.conf"));
  EXPECT_FALSE(LoadsOther("no"));
}

TEST_F(Start, OfAMasterThatIsStartedAgainWaitsForItsReplica) {
  for (const std::string& answer : {std::string(kUp), DownFor(0)}) {
    ThisIs("master");
    HasAppendOnlyFiles();
    ItWasUpBefore();
    TheReplicaSays(answer);
    Run();
    EXPECT_TRUE(Waited()) << answer;
    EXPECT_TRUE(Has("nodes.conf"));
  }
}

TEST_F(Start, OfAMasterWhoseReplicaIsSilentWaits) {
  ThisIs("master");
  HasAppendOnlyFiles();
  ItWasUpBefore();
  Run();
  EXPECT_TRUE(Waited());
  EXPECT_TRUE(Has("nodes.conf"));
}

// What they say is in whole seconds, and so is the files' time as it is read.
TEST_F(Start, ComparesFilesWithTheEndOfALinkAndTwoSecondsMore) {
  for (const auto& [down, waits] : {std::pair(11, true), {12, false}}) {
    ThisIs("master");
    HasAppendOnlyFiles(kNow - 10);
    ItWasUpBefore();
    TheReplicaSays(DownFor(down));
    Run();
    EXPECT_EQ(Waited(), waits) << down;
  }
}

// The machine that saved the file may have had another clock.
TEST_F(Start, ComparesASavedFileWithTheEndOfALinkAndTenSecondsMore) {
  for (const auto& [down, counts] : {std::pair(109, false), {110, true}}) {
    ThisIs("master");
    HasSavedFile(kNow - 100);
    ItWasUpBefore();
    TheReplicaSays(DownFor(down));
    Run();
    EXPECT_EQ(Waited(), !counts) << down;
    EXPECT_EQ(Has("nodes.conf"), counts) << down;
    EXPECT_EQ(Has("dump.rdb"), counts) << down;
    EXPECT_EQ(LoadsOther("no"), counts) << down;
    EXPECT_EQ(Has("aof-incomplete"), counts) << down;
    if (!counts) {
      EXPECT_TRUE(Has("dump.rdb.old"));
      fs::remove(root_ / "data/dump.rdb.old");
    }
  }
}

TEST_F(Start, WithASavedFileAsksAReplicaAgainThatIsSilent) {
  ThisIs("master");
  HasSavedFile(kNow - 100);
  TheReplicaSays(kUp);
  Write("silences", "4");  // before the wait, and for six seconds after it
  EXPECT_THAT(Run(), HasSubstr("no data survived"));
  EXPECT_TRUE(Waited());
  EXPECT_TRUE(IsNew());
}

TEST_F(Start, OfASavedFileThatNobodyHasMoreThanNotesThatAppendOnlyFilesDoNotCount) {
  ThisIs("master");
  HasSavedFile(kNow - 100);
  HasAppendOnlyFiles();
  Write("data/aof-incomplete", "");
  Run();
  EXPECT_TRUE(Waited());
  EXPECT_TRUE(LoadsOther("no"));
  EXPECT_TRUE(Has("dump.rdb"));
  EXPECT_TRUE(Has("aof-incomplete"));
}

TEST_F(Start, ReadsASavedFileWhereAppendOnlyFilesHaveNoManifest) {
  ThisIs("slave");
  HasSavedFile(kNow);
  HasAppendOnlyFiles(kNow, false);
  Write("data/aof-complete", "");
  Run();
  EXPECT_TRUE(LoadsOther("no"));
  EXPECT_TRUE(Has("aof-incomplete"));
  EXPECT_FALSE(Has("aof-complete"));
}

TEST_F(Start, ReadsAppendOnlyFilesThatAreCompleteThoughTheyAreNotWantedAnyMore) {
  Configure("appendonly no\nsave \"\"\n");
  ThisIs("slave");
  HasAppendOnlyFiles();
  Write("data/aof-complete", "");
  Run();
  EXPECT_TRUE(LoadsOther("yes"));
  EXPECT_TRUE(Has("nodes.conf"));
}

TEST_F(Start, ReadsASavedFileWhereNobodySaidThatAppendOnlyFilesAreComplete) {
  Configure("appendonly no\nsave 3600 1\n");
  ThisIs("slave");
  HasSavedFile(kNow);
  HasAppendOnlyFiles();
  Run();
  EXPECT_TRUE(Has("nodes.conf"));
  EXPECT_FALSE(LoadsOther("yes"));
}

TEST_F(Start, TakesNoSavedFileWhereNothingIsToBeSaved) {
  Configure("appendonly no\nsave \"\"\n");
  ThisIs("master", false);
  HasSavedFile(kNow);
  Run();
  EXPECT_TRUE(IsNew());
  EXPECT_TRUE(Has("dump.rdb.old"));
}

TEST_F(Start, TakesNoAppendOnlyFilesWhoseFirstRewriteIsNotOver) {
  ThisIs("slave");
  HasAppendOnlyFiles();
  Write("data/appendonlydir/temp-appendonly.aof.incr", "");
  Run();
  EXPECT_TRUE(IsNew());
  EXPECT_TRUE(Has("appendonlydir.old"));
}

TEST_F(Start, OfANodeThatLeftIsThatOfANewOne) {
  Write("data/nodes.conf", kMe + " 10.0.0.1:6379@16379 myself,master - 0 0 0 connected\nvars currentEpoch 0\n");
  HasAppendOnlyFiles();
  HasSavedFile(kNow);
  Write("data/aof-incomplete", "");
  EXPECT_THAT(Run(), HasSubstr("this node left the cluster"));
  EXPECT_FALSE(Has("aof-incomplete"));
  EXPECT_TRUE(IsNew());
  EXPECT_TRUE(Has("appendonlydir.old"));
  EXPECT_TRUE(Has("dump.rdb.old"));
}

TEST_F(Start, OfTheOnlyNodeOfAClusterIsNotThatOfOneThatLeft) {
  Write("data/nodes.conf", kMe + " 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-16383\nvars currentEpoch 1\n");
  HasAppendOnlyFiles();
  EXPECT_EQ(Run(), "");
  EXPECT_FALSE(InQuarantine());
}

TEST_F(Start, TakesAwayWhatUnfinishedSavesLeft) {
  ThisIs("slave");
  HasAppendOnlyFiles();
  Write("data/temp-1-2.rdb", "");
  Write("data/appendonlydir/temp-rewriteaof-1.aof", "");
  Run();
  EXPECT_FALSE(Has("temp-1-2.rdb"));
  EXPECT_FALSE(Has("appendonlydir/temp-rewriteaof-1.aof"));
}

}  // namespace
}  // namespace slotwright
