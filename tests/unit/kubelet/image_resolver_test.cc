// Images as programs of this machine.
#include "local/kubelet/image_resolver.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace slotwright::local {
namespace {

namespace fs = std::filesystem;

TEST(ImageNameTest, NamesAndVersionsAreFoundInEveryFormOfReference) {
  struct Row {
    const char* image;
    const char* name;
    const char* version;
  };
  for (const auto& row : {
           Row{"redis", "redis", ""},
           Row{"redis:latest", "redis", ""},
           Row{"redis:7", "redis", "7"},
           Row{"redis:7.0", "redis", "7.0"},
           Row{"redis:8.2.3-alpine", "redis", "8.2.3"},
           Row{"redis:7.0-bookworm", "redis", "7.0"},
           Row{"redis:alpine", "redis", ""},
           Row{"valkey/valkey:9.1", "valkey", "9.1"},
           Row{"docker.io/library/redis:7.2@sha256:0123", "redis", "7.2"},
           Row{"localhost:5000/valkey", "valkey", ""},
           Row{"localhost:5000/x/valkey:8", "valkey", "8"},
       }) {
    EXPECT_EQ(ImageName::Parse(row.image), (ImageName{row.name, row.version})) << row.image;
  }
}

TEST(ImageNameTest, AVersionMatchesByWholeComponents) {
  for (const char* wanted : {"", "7", "7.0", "7.0.15"}) EXPECT_TRUE(VersionMatches("7.0.15", wanted)) << wanted;
  for (const char* wanted : {"7.0.1", "7.1", "6", "7.0.15.1", "0"})
    EXPECT_FALSE(VersionMatches("7.0.15", wanted)) << wanted;
  EXPECT_TRUE(VersionLess("7.0.9", "7.0.15"));
  EXPECT_TRUE(VersionLess("9.1.2", "10.0.0"));
  EXPECT_FALSE(VersionLess("7.0.15", "7.0.15"));
}

TEST(ImageNameTest, TheServersOwnWordsGiveProductAndVersion) {
  const auto redis = ParseServerVersion("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "/r");
  ASSERT_TRUE(redis);
  EXPECT_EQ(redis->ToString(), "redis:7.0.15");
  const auto valkey = ParseServerVersion("Valkey server v=9.1.2 sha=0:0", "/v");
  ASSERT_TRUE(valkey);
  EXPECT_EQ(valkey->ToString(), "valkey:9.1.2");
  EXPECT_FALSE(ParseServerVersion("nginx version: nginx/1.2", "/n"));
}

class ImageResolverTest : public testing::Test {
 protected:
  // A program that says a version, as the servers do.
  void AddServer(const std::string& path, const std::string& product, const std::string& version) const {
    const fs::path file = fs::path(folder_.path()) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "#!/bin/sh\necho '" << product << " server v=" << version << " sha=0'\n";
    fs::permissions(file, fs::perms::owner_all);
  }
  ImageResolver Make(std::map<std::string, std::string> known = {}) const {
    return {std::move(known), {folder_.path() + "/engines/*"}, folder_.path() + "/links"};
  }
  static std::string TargetOf(const ResolvedImage& image, const std::string& program) {
    return fs::canonical(fs::path(image.folder) / program);
  }

  const TemporaryFolder folder_;
};

TEST_F(ImageResolverTest, TheNewestEngineThatFitsIsTaken) {
  AddServer("engines/a/valkey-server", "Valkey", "9.1.2");
  AddServer("engines/b/bin/valkey-server", "Valkey", "9.1.10");
  AddServer("engines/c/valkey-server", "Valkey", "8.0.1");
  ImageResolver resolver = Make();
  for (const auto& [image, folder] :
       {std::pair{"valkey/valkey:9.1", "b/bin"}, {"valkey:8", "c"}, {"valkey:9.1.2", "a"}}) {
    const auto resolved = resolver.Resolve(image);
    ASSERT_TRUE(resolved) << image << ": " << resolved.error().message;
    EXPECT_EQ(TargetOf(*resolved, "valkey-server"), folder_.path() + "/engines/" + folder + "/valkey-server") << image;
    EXPECT_EQ(resolved->entry_point, std::vector<std::string>{"valkey-server"});
  }
}

TEST_F(ImageResolverTest, AnEngineAnswersToBothProductsNames) {
  AddServer("engines/v/valkey-server", "Valkey", "99.0.1");
  AddServer("engines/v/valkey-cli", "Valkey", "99.0.1");
  const auto resolved = Make().Resolve("valkey:99");
  ASSERT_TRUE(resolved) << resolved.error().message;
  for (const char* product : {"redis", "valkey"}) {
    for (const char* tool : {"server", "cli"}) {
      EXPECT_EQ(TargetOf(*resolved, std::string(product) + "-" + tool), folder_.path() + "/engines/v/valkey-" + tool);
    }
  }
}

TEST_F(ImageResolverTest, AnUnknownImageIsRefusedWithWhatIsKnownAndIsFoundOnceItIsThere) {
  ImageResolver resolver = Make({{"tools:1", "/bin"}});
  AddServer("engines/a/redis-server", "Redis", "99.1.0");
  const auto missing = resolver.Resolve("redis:98");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, reconciler::ErrorKind::kNotFound);
  for (const char* part : {"redis:98", "tools:1", "redis:99.1.0", "engines/*", "scripts/engines.sh"}) {
    EXPECT_NE(missing.error().message.find(part), std::string::npos) << part << " in " << missing.error().message;
  }
  AddServer("engines/b/redis-server", "Redis", "98.0.0");
  EXPECT_TRUE(resolver.Resolve("redis:98"));
}

TEST_F(ImageResolverTest, AProgramThatIsReplacedIsAskedAgain) {
  ImageResolver resolver = Make();
  AddServer("engines/a/redis-server", "Redis", "99.1.0");
  ASSERT_TRUE(resolver.Resolve("redis:99.1"));
  AddServer("engines/a/redis-server", "Redis", "99.2.0");
  EXPECT_TRUE(resolver.Resolve("redis:99.2"));
  EXPECT_FALSE(resolver.Resolve("redis:99.1"));
}

TEST_F(ImageResolverTest, ImagesNamedBeforehandAreTakenAsTheyAre) {
  const auto resolved = Make({{"busybox:1.36", "/opt/box"}}).Resolve("busybox:1.36");
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->folder, "/opt/box");
  EXPECT_TRUE(resolved->entry_point.empty());
}

}  // namespace
}  // namespace slotwright::local
