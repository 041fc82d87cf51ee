// Real processes: start, exit, signals, and that none is left behind.
#include "local/kubelet/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "local/kubelet/command.h"
#include "local/kubelet/state_folder.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/kubelet/loop_runner.h"

namespace slotwright::local {
namespace {

using reconciler::ErrorKind;
using testing::HasSubstr;

ProcessOptions Shell(const std::string& script) {
  return {.command = {"/bin/sh", "-c", script}, .environment = {"PATH=/usr/bin:/bin"}};
}

class ProcessTest : public testing::Test {
 protected:
  std::unique_ptr<Process> Start(const ProcessOptions& options) {
    auto process = Process::Start(loop_, options, [this](ExitStatus status) { exit_ = status; });
    EXPECT_TRUE(process) << process.error().message;
    return process ? std::move(*process) : nullptr;
  }
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }
  // The number that a script writes into a file.
  int WaitForNumber(const std::string& name) {
    EXPECT_TRUE(RunUntil(loop_, [&] { return NumberIn(File(name)) > 0; }));
    return NumberIn(File(name));
  }

  const TemporaryFolder folder_;
  EventLoop loop_;
  std::optional<ExitStatus> exit_;
};

TEST_F(ProcessTest, TheExitStatusIsThatOfTheProgramOrItsSignal) {
  struct Row {
    const char* script;
    ExitStatus status;
  };
  for (const auto& row : {Row{"exit 0", {0, 0}}, Row{"exit 3", {3, 0}}, Row{"kill -TERM $$", {143, SIGTERM}},
                          Row{"kill -KILL $$", {137, SIGKILL}}}) {
    exit_.reset();
    const auto process = Start(Shell(row.script));
    ASSERT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); })) << row.script;
    EXPECT_EQ(*exit_, row.status) << row.script;
  }
}

TEST_F(ProcessTest, ItGetsItsEnvironmentFolderAndOutputAndNothingElseOfOurs) {
  const int inherited = ::open("/dev/zero", O_RDONLY);  // without close-on-exec, as libraries open files
  const int output = ::open(File("out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ProcessOptions options =
      Shell("env; pwd; umask; ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; echo err >&2");
  options.environment = {"A=1"};
  options.working_dir = "/usr";
  options.output = output;
  const auto process = Start(options);
  ::close(output);
  ASSERT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); }));
  ::close(inherited);
  // ls has the folder it lists open as 3; the shell adds PWD.
  EXPECT_EQ(TextOf(File("out")), "A=1\nPWD=/usr\n/usr\n0022\n0 1 2 3 /dev/null\nerr\n");
}

TEST_F(ProcessTest, BlockedAndIgnoredSignalsOfOursAreNotHandedDown) {
  ::signal(SIGUSR1, SIG_IGN);
  sigset_t set, before;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  const auto process = Start(Shell("grep -E 'SigBlk|SigIgn' /proc/self/status > " + File("out")));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGUSR1, SIG_DFL);
  ASSERT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); }));
  // Signals 32 and 33 belong to the C library: nobody else can set them, and a parent may hand them down ignored.
  EXPECT_THAT(TextOf(File("out")),
              ::testing::MatchesRegex("SigBlk:\t0000000000000000\nSigIgn:\t0000000[01][08]0000000\n"));
}

TEST_F(ProcessTest, WhatCannotBeStartedIsSaidInTheRuntimesWords) {
  struct Row {
    ProcessOptions options;
    ErrorKind kind;
    const char* message;
  };
  ProcessOptions bad_folder = Shell("true");
  bad_folder.working_dir = "/no/such/folder";
  for (const auto& row : {
           Row{{.command = {"no-such-program"}, .search_path = "/usr/bin:/bin"},
               ErrorKind::kNotFound,
               "exec: \"no-such-program\": executable file not found in $PATH"},
           Row{{.command = {"/no/such/program"}}, ErrorKind::kNotFound, "exec: \"/no/such/program\": No such file"},
           Row{{.command = {"/etc/passwd"}}, ErrorKind::kInvalid, "Permission denied"},
           Row{bad_folder, ErrorKind::kInvalid, "chdir to cwd (\"/no/such/folder\")"},
       }) {
    const auto process = Process::Start(loop_, row.options, [](ExitStatus) {});
    ASSERT_FALSE(process) << row.message;
    EXPECT_EQ(process.error().kind, row.kind) << row.message;
    EXPECT_THAT(process.error().message, HasSubstr(row.message));
  }
}

TEST_F(ProcessTest, AProgramIsFoundInItsSearchPathInOrder) {
  for (const char* folder : {"a", "b"}) {
    std::filesystem::create_directory(File(folder));
    std::ofstream(File(folder) + "/tool") << "#!/bin/sh\n";
  }
  std::filesystem::permissions(File("b/tool"), std::filesystem::perms::owner_all);
  EXPECT_EQ(FindProgram("tool", File("a") + ":" + File("b")), File("b/tool"));  // the first is not executable
  EXPECT_EQ(FindProgram("tool", File("a")), "");
  EXPECT_EQ(FindProgram("b", folder_.path()), "");  // a folder
  EXPECT_EQ(FindProgram("./tool", ""), "./tool");
}

TEST_F(ProcessTest, DestroyingItKillsTheWholeGroup) {
  auto process = Start(Shell("sleep 1000 & echo $! > " + File("child") + "; wait"));
  const int child = WaitForNumber("child");
  const int pid = process->pid();
  EXPECT_TRUE(IsAlive(child));
  process.reset();
  EXPECT_EQ(StateOf(pid), 'X');  // reaped
  EXPECT_TRUE(RunUntil(loop_, [&] { return !IsAlive(child); }));
  EXPECT_FALSE(exit_);
}

TEST_F(ProcessTest, TheEndOfTheFirstProcessEndsAllOfItsGroup) {
  const auto process = Start(Shell("sleep 1000 & echo $! > " + File("child")));
  const int child = WaitForNumber("child");
  EXPECT_TRUE(RunUntil(loop_, [&] { return exit_.has_value() && !IsAlive(child); }));
}

TEST_F(ProcessTest, ASignalGoesToTheProcessAloneAndKillToAStoppedOneToo) {
  const auto process = Start(Shell("trap 'exit 7' TERM; sleep 1000 & echo $! > " + File("child") + "; wait"));
  (void)WaitForNumber("child");
  process->Signal(SIGTERM);
  ASSERT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); }));
  EXPECT_EQ(exit_->exit_code, 7);

  exit_.reset();
  const auto stopped = Start(Shell("echo $$ > " + File("self") + "; sleep 1000"));
  (void)WaitForNumber("self");
  ::kill(stopped->pid(), SIGSTOP);
  ASSERT_TRUE(RunUntil(loop_, [&] { return StateOf(stopped->pid()) == 'T'; }));
  stopped->Kill();
  EXPECT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); }));
}

TEST_F(ProcessTest, AKilledKubeletTakesItsProcessesWithIt) {
  const pid_t kubelet = ::fork();
  if (kubelet == 0) {
    EventLoop loop;
    const auto process =
        Process::Start(loop, Shell("echo $$ > " + File("self") + "; exec sleep 1000"), [](ExitStatus) {});
    ::pause();
    ::_exit(0);
  }
  const int pid = WaitForNumber("self");
  EXPECT_TRUE(IsAlive(pid));
  ::kill(kubelet, SIGKILL);
  ::waitpid(kubelet, nullptr, 0);
  EXPECT_TRUE(RunUntil(loop_, [&] { return !IsAlive(pid); }));
}

TEST_F(ProcessTest, OrphansAreFoundByTheirLogAndKilled) {
  // A child in a session of its own: neither the end of its parent nor of its parent's group reaches it.
  std::filesystem::create_directories(File("pods/p"));
  const int log = ::open(File("pods/p/0.log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ProcessOptions options = Shell("setsid sh -c 'echo $$ > " + File("orphan") + "; exec sleep 1000' & while [ ! -s " +
                                 File("orphan") + " ]; do :; done");
  options.output = log;
  const auto process = Start(options);
  ::close(log);
  ASSERT_TRUE(RunUntil(loop_, [&] { return exit_.has_value(); }));
  const int orphan = WaitForNumber("orphan");
  KillWriters(File("others/"));
  EXPECT_TRUE(IsAlive(orphan));
  KillWriters(File("pods/"));
  EXPECT_TRUE(RunUntil(loop_, [&] { return !IsAlive(orphan); }));
}

class CommandTest : public testing::Test {
 protected:
  CommandResult Run(const ProcessOptions& options, std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    std::optional<CommandResult> result;
    const Command command(loop_, options, timeout, [&](CommandResult r) { result = std::move(r); });
    EXPECT_FALSE(result);  // never from within the constructor
    EXPECT_TRUE(RunUntil(loop_, [&] { return result.has_value(); }));
    return result.value_or(CommandResult{});
  }
  EventLoop loop_;
};

TEST_F(CommandTest, OutputOfBothStreamsAndTheExitCodeComeBack) {
  const CommandResult result = Run(Shell("echo out; echo err >&2; exit 4"));
  EXPECT_TRUE(result.started);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.output, "out\nerr");
}

TEST_F(CommandTest, MuchOutputNeitherBlocksNorIsKept) {
  const CommandResult result = Run(Shell("head -c 1000000 /dev/zero | tr '\\0' x; exit 0"));
  EXPECT_TRUE(result.started);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.output, std::string(10 << 10, 'x'));
}

TEST_F(CommandTest, ACommandThatTakesTooLongIsKilled) {
  const CommandResult result = Run(Shell("sleep 1000"), std::chrono::milliseconds(50));
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.exit_code, 137);
}

TEST_F(CommandTest, ACommandThatCannotBeStartedSaysSo) {
  const CommandResult result = Run({.command = {"no-such-program"}});
  EXPECT_FALSE(result.started);
  EXPECT_THAT(result.output, HasSubstr("no-such-program"));
}

TEST_F(CommandTest, OutputOfWaitsForTheEnd) {
  EXPECT_EQ(*OutputOf(Shell("echo hello"), std::chrono::seconds(20)), "hello");
  EXPECT_EQ(OutputOf(Shell("sleep 1000"), std::chrono::milliseconds(50)).error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(OutputOf(Shell("exit 1"), std::chrono::seconds(20)).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(OutputOf({.command = {"no-such-program"}}, std::chrono::seconds(1)).error().kind, ErrorKind::kNotFound);
}

TEST(EventLoopTest, ACancelledOrDestroyedTimerIsNeverCalledEvenIfItIsDue) {
  EventLoop loop;
  int calls = 0;
  Timer cancelled = loop.After({}, [&] { ++calls; });
  Timer first;
  Timer second;
  // Both are due at once; whichever comes first cancels the other.
  first = loop.After({}, [&] {
    ++calls;
    second.Cancel();
  });
  second = loop.After({}, [&] {
    ++calls;
    first.Cancel();
  });
  {
    const Timer destroyed = loop.After({}, [&] { ++calls; });
  }
  cancelled.Cancel();
  RunFor(loop, std::chrono::milliseconds(20));
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, TasksPostedByOtherThreadsRunInOrderInTheLoopsThread) {
  EventLoop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) loop.Post([&, i] { order.push_back(i); });
    loop.Post([&] { loop.Stop(); });
  });
  other.join();
  loop.Run();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace slotwright::local
