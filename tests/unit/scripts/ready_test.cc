// What a pod's readiness makes of what its server says, and what it notes for the next start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/scripts/script_test.h"

namespace slotwright {
namespace {

using ::testing::HasSubstr;

class Ready : public ScriptTest {
 protected:
  Ready() {
    Write("run/auth", "AUTH \"secret\"\n");
    Program("redis-cli", R"sh(cat > "$ROOT/asked"; cat "$ROOT/answers" 2> /dev/null)sh");
  }

  struct Server {
    const char* replication = "role:master";
    const char* delay = "0";
    bool loading = false;
  };
  // What the process has open is looked at; this one stands for the server.
  void ServerIs(const Server& server, pid_t process = ::getpid()) const {
    Write("answers", fmt::format("OK\nrepl-diskless-sync-delay\n{}\nprocess_id:{}\nloading:{}\n{}\n", server.delay,
                                 process, server.loading ? 1 : 0, server.replication));
  }
  Result Run() const { return ScriptTest::Run("ready.sh", "6379 run data"); }
  // An append-only file, open as long as what this returns.
  std::ofstream Appends(const char* name) const {
    std::filesystem::create_directory(root_ / "data/appendonlydir");
    return std::ofstream(root_ / "data/appendonlydir" / name);
  }
};

TEST_F(Ready, IsAMasterAndAReplicaInSync) {
  for (const char* replication : {"role:master", "role:slave\nmaster_link_status:up"}) {
    ServerIs({.replication = replication});
    EXPECT_EQ(Run().status, 0) << replication;
  }
  EXPECT_THAT(Read("asked"), HasSubstr("AUTH \"secret\"\nCONFIG GET"));
}

TEST_F(Ready, SaysWhyNot) {
  const auto expect = [&](const Server& server, const char* why) {
    ServerIs(server);
    const Result result = Run();
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr(why));
  };
  expect({.replication = "role:slave\nmaster_link_status:down"}, "not in sync with its master");
  expect({.delay = "1000000000"}, "no place in the cluster");
  expect({.loading = true}, "loading its data");
  Write("answers", "WRONGPASS invalid\n");
  EXPECT_THAT(Run().output, HasSubstr("refuses to be asked: WRONGPASS invalid"));
  std::filesystem::remove(root_ / "answers");
  EXPECT_THAT(Run().output, HasSubstr("does not answer"));
  std::filesystem::remove(root_ / "run/auth");
  EXPECT_THAT(Run().output, HasSubstr("being started"));
}

TEST_F(Ready, IsWhatAStartWaitsForButForAMinuteOnly) {
  const auto started = [this] { return ScriptTest::Run("started.sh", "6379 run data"); };
  ServerIs({});
  EXPECT_EQ(started().status, 0);
  ServerIs({.loading = true});
  EXPECT_EQ(started().status, 1);
  EXPECT_THAT(started().output, HasSubstr("loading its data"));
  const auto minute = std::chrono::seconds(61);
  std::filesystem::last_write_time(root_ / "run/auth", std::filesystem::file_time_type::clock::now() - minute);
  EXPECT_EQ(started().status, 0);
  std::filesystem::remove(root_ / "run/auth");
  EXPECT_EQ(started().status, 1);
}

TEST_F(Ready, NotesThatAppendOnlyFilesAreCompleteWhileOneIsOpen) {
  ServerIs({});
  Write("data/aof-incomplete", "");
  {
    const std::ofstream file = Appends("appendonly.aof.1.incr.aof");
    EXPECT_EQ(Run().status, 0);
    EXPECT_TRUE(Has("aof-complete"));
    EXPECT_FALSE(Has("aof-incomplete"));
  }
  EXPECT_EQ(Run().status, 0);
  EXPECT_FALSE(Has("aof-complete"));
  EXPECT_TRUE(Has("aof-incomplete"));
}

TEST_F(Ready, ToAppendToATemporaryFileIsNotToHaveEverything) {
  ServerIs({});
  const std::ofstream file = Appends("temp-appendonly.aof.incr");
  Run();
  EXPECT_TRUE(Has("aof-incomplete"));
}

// The kernel closes its files: what it appended to until then has everything.
TEST_F(Ready, LeavesTheNoteOfAServerThatIsKilledMeanwhile) {
  Write("data/aof-complete", "");
  const std::ofstream file = Appends("appendonly.aof.1.incr.aof");
  const pid_t server = ::fork();
  if (server == 0) {
    for (;;) ::pause();
  }
  ServerIs({}, server);
  Program("ls", fmt::format(R"sh(/bin/ls "$@"; status=$?
kill -9 {0}; while [ -n "$(/bin/ls /proc/{0}/fd 2> /dev/null)" ]; do :; done
exit $status)sh",
                            server));
  Run();
  ::waitpid(server, nullptr, 0);
  EXPECT_TRUE(Has("aof-complete"));
  EXPECT_FALSE(Has("aof-incomplete"));
}

TEST_F(Ready, LeavesTheNoteAsItIsWhereItCannotBeTold) {
  Write("data/aof-complete", "");
  ServerIs({.loading = true});
  Run();
  EXPECT_TRUE(Has("aof-complete"));
  Write("answers", "NOAUTH\n");
  Run();
  EXPECT_TRUE(Has("aof-complete"));
  EXPECT_FALSE(Has("aof-incomplete"));
}

}  // namespace
}  // namespace slotwright
