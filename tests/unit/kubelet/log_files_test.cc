// Logs: tail, previous, follow.
#include "local/kubelet/log_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>

#include "tests/support/temporary_folder.h"

namespace slotwright::local {
namespace {

using testing::HasSubstr;

// A reader as the API server is one.
class Sink {
 public:
  std::function<bool(std::string_view)> Write() {
    return [this](std::string_view text) {
      const std::lock_guard lock(mutex_);
      text_ += text;
      changed_.notify_all();
      return open_;
    };
  }
  std::function<void()> Done() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++done_;
      changed_.notify_all();
    };
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  [[nodiscard]] bool WaitForText(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return text_ == text; });
  }
  [[nodiscard]] std::string WaitForEnd() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return done_ > 0; }));
    EXPECT_EQ(done_, 1);
    return text_;
  }
  [[nodiscard]] bool ended() {
    const std::lock_guard lock(mutex_);
    return done_ > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  int done_ = 0;
  bool open_ = true;
};

class LogFilesTest : public testing::Test {
 protected:
  // A run whose process wrote `text`.
  void Run(const std::string& container, int run, const std::string& text) {
    const auto fd = logs_.Open(pod_, folder_.path() + "/pod", container, run);
    ASSERT_TRUE(fd) << fd.error().message;
    Append(*fd, text);
    ::close(*fd);
  }
  static void Append(int fd, const std::string& text) {
    ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string Read(const std::string& container, const LogOptions& options) {
    Sink sink;
    logs_.Read(pod_, container, options, sink.Write(), sink.Done());
    return sink.WaitForEnd();
  }

  const reconciler::ObjectKey pod_{"default", "web"};
  const TemporaryFolder folder_;
  LogFiles logs_;
};

TEST_F(LogFilesTest, TailCountsLinesFromTheEnd) {
  Run("a", 0, "one\ntwo\n\nfour\n");
  struct Row {
    int lines;
    const char* text;
  };
  for (const auto& row : {Row{-1, "one\ntwo\n\nfour\n"}, Row{0, ""}, Row{1, "four\n"}, Row{2, "\nfour\n"},
                          Row{4, "one\ntwo\n\nfour\n"}, Row{9, "one\ntwo\n\nfour\n"}}) {
    EXPECT_EQ(Read("a", {.tail_lines = row.lines}), row.text) << row.lines;
  }
}

TEST_F(LogFilesTest, ALastLineWithoutNewlineIsALine) {
  Run("a", 0, "one\ntwo");
  EXPECT_EQ(Read("a", {.tail_lines = 1}), "two");
}

TEST_F(LogFilesTest, TailFindsItsLinesInAFileOfManyBlocks) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "line " + std::to_string(i) + "\n";
  Run("a", 0, text);
  EXPECT_EQ(Read("a", {}), text);
  EXPECT_EQ(Read("a", {.tail_lines = 20'000}), text.substr(text.find("line 30000\n")));
}

TEST_F(LogFilesTest, PreviousIsTheRunBeforeTheCurrentOne) {
  Run("a", 0, "first\n");
  Run("a", 1, "second\n");
  EXPECT_EQ(Read("a", {.previous = true}), "first\n");
  EXPECT_EQ(Read("a", {}), "second\n");
}

TEST_F(LogFilesTest, WhereThereIsNoLogASentenceSaysSo) {
  EXPECT_THAT(Read("a", {}), HasSubstr("default/web has not started any container"));
  Run("a", 0, "first\n");
  EXPECT_THAT(Read("b", {}), HasSubstr("container \"b\""));
  EXPECT_THAT(Read("a", {.previous = true}), HasSubstr("previous terminated container \"a\""));
}

TEST_F(LogFilesTest, WithoutAContainerTheFirstIsMeant) {
  Run("main", 0, "main\n");
  Run("aside", 0, "aside\n");
  EXPECT_EQ(Read("", {}), "main\n");
}

TEST_F(LogFilesTest, FollowingShowsWhatComesAndEndsWithTheRun) {
  const auto fd = logs_.Open(pod_, folder_.path() + "/pod", "a", 0);
  ASSERT_TRUE(fd);
  Append(*fd, "one\n");
  Sink sink;
  logs_.Read(pod_, "a", {.follow = true}, sink.Write(), sink.Done());
  ASSERT_TRUE(sink.WaitForText("one\n"));
  Append(*fd, "two\n");
  ASSERT_TRUE(sink.WaitForText("one\ntwo\n"));
  EXPECT_FALSE(sink.ended());
  Append(*fd, "last\n");
  logs_.Ended(pod_, folder_.path() + "/pod", "a");
  EXPECT_EQ(sink.WaitForEnd(), "one\ntwo\nlast\n");
  ::close(*fd);
}

TEST_F(LogFilesTest, TheEndOfANamesakeWhoseTimeIsOverEndsNothing) {
  Run("a", 0, "old\n");
  const auto fd = logs_.Open(pod_, folder_.path() + "/new", "a", 0);
  ASSERT_TRUE(fd);
  Sink sink;
  logs_.Read(pod_, "a", {.follow = true}, sink.Write(), sink.Done());
  logs_.Ended(pod_, folder_.path() + "/pod", "a");
  logs_.Forget(pod_, folder_.path() + "/pod");
  Append(*fd, "one\n");
  ASSERT_TRUE(sink.WaitForText("one\n"));
  logs_.Ended(pod_, folder_.path() + "/new", "a");
  EXPECT_EQ(sink.WaitForEnd(), "one\n");
  ::close(*fd);
}

TEST_F(LogFilesTest, AReaderThatIsGoneEndsItsFollowing) {
  const auto fd = logs_.Open(pod_, folder_.path() + "/pod", "a", 0);
  ASSERT_TRUE(fd);
  Append(*fd, "one\n");
  Sink sink;
  logs_.Read(pod_, "a", {.follow = true}, sink.Write(), sink.Done());
  ASSERT_TRUE(sink.WaitForText("one\n"));
  sink.Close();
  Append(*fd, "two\n");
  (void)sink.WaitForEnd();
  ::close(*fd);
}

TEST(LogFilesEndTest, TheEndOfTheLogsEndsAllFollowers) {
  const TemporaryFolder folder;
  Sink sink;
  {
    LogFiles logs;
    const auto fd = logs.Open({"default", "web"}, folder.path(), "a", 0);
    ASSERT_TRUE(fd);
    ::close(*fd);
    logs.Read({"default", "web"}, "a", {.follow = true}, sink.Write(), sink.Done());
  }
  EXPECT_EQ(sink.WaitForEnd(), "");
}

}  // namespace
}  // namespace slotwright::local
