// One folder, one Kubernetes: what a second one may do to the first one's files.
#include "local/local_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "reconciler/http/server.h"
#include "tests/support/temporary_folder.h"

namespace slotwright::local {
namespace {

using reconciler::ErrorKind;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const bool kInitialized = [] {
  reconciler::InitializeHttp();
  return true;
}();

LocalCluster::Options In(const std::string& folder) {
  LocalCluster::Options options;
  options.state_dir = folder;
  return options;
}

TEST(LocalClusterTest, ASecondOneInTheSameFolderIsRefusedAndLeavesTheFirstOnesFiles) {
  TemporaryFolder parent;
  const std::string folder = parent.path() + "/state";
  auto first = LocalCluster::Start(In(folder));
  ASSERT_TRUE(first) << first.error().message;
  const auto second = LocalCluster::Start(In(folder));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("--state-dir"));
  EXPECT_TRUE(fs::exists((*first)->kubeconfig()));
  EXPECT_TRUE(fs::exists(folder + "/lock"));
  (*first)->Stop();
  EXPECT_FALSE(fs::exists(folder));
}

TEST(LocalClusterTest, TheFolderOfOneThatWasKilledGoesWithTheNextOne) {
  TemporaryFolder parent;
  const std::string folder = parent.path() + "/state";
  fs::create_directory(folder);
  std::ofstream(folder + "/lock") << "slotwright local\n";
  auto cluster = LocalCluster::Start(In(folder));
  ASSERT_TRUE(cluster) << cluster.error().message;
  (*cluster)->Stop();
  EXPECT_FALSE(fs::exists(folder));
}

TEST(LocalClusterTest, TheFolderOfOneThatFailedKeepsItsLogUntilTheNextOneEnds) {
  TemporaryFolder parent;
  const std::string folder = parent.path() + "/state";
  {
    auto failed = LocalCluster::Start(In(folder));
    ASSERT_TRUE(failed) << failed.error().message;
    std::ofstream(folder + "/operator.log") << "what went wrong\n";
    (*failed)->Stop(/*keep_log=*/true);
  }
  EXPECT_TRUE(fs::exists(folder + "/operator.log"));
  auto next = LocalCluster::Start(In(folder));
  ASSERT_TRUE(next) << next.error().message;
  (*next)->Stop();
  EXPECT_FALSE(fs::exists(folder));
}

TEST(LocalClusterTest, FilesOfSomebodyElseAreNotOverwritten) {
  for (const char* name : {"kubeconfig", "operator.log", "lock"}) {
    TemporaryFolder parent;
    const std::string theirs = parent.path() + "/" + name;
    std::ofstream(theirs) << "of somebody else\n";
    const auto cluster = LocalCluster::Start(In(parent.path()));
    ASSERT_FALSE(cluster);
    EXPECT_THAT(cluster.error().message, HasSubstr(theirs));
    EXPECT_EQ(fs::file_size(theirs), 17U);
  }
}

TEST(LocalClusterTest, AFolderThatCannotBeWrittenIsNamedAndNotCalledInUse) {
  TemporaryFolder parent;
  fs::create_directory(parent.path() + "/lock");  // root may write anywhere, but not into a folder as if it were a file
  const auto cluster = LocalCluster::Start(In(parent.path()));
  ASSERT_FALSE(cluster);
  EXPECT_THAT(cluster.error().message, HasSubstr(parent.path() + "/lock"));
}

}  // namespace
}  // namespace slotwright::local
