// Files of volumes, and how they come to disk.
#include "local/kubelet/volume_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "local/kubelet/atomic_files.h"
#include "local/kubelet/pod_volumes.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/kubelet/pod_parts.h"

namespace slotwright::local {
namespace {

using reconciler::ErrorKind;
using reconciler::Json;
using testing::ElementsAre;
namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int ModeOf(const fs::path& path) {
  struct stat info{};
  ::stat(path.c_str(), &info);
  return static_cast<int>(info.st_mode & 07777);
}

TEST(VolumeFilesTest, AllKeysOfAConfigMapBecomeFilesWithTheDefaultMode) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"b", "2"}, {"a", "1"}});
  const auto files =
      FilesOfVolume(Json::parse(R"({"name": "v", "configMap": {"name": "c", "defaultMode": 420}})"), facts.Get());
  ASSERT_TRUE(files);
  EXPECT_THAT(*files, ElementsAre(VolumeFile{"a", "1", 0644}, VolumeFile{"b", "2", 0644}));
}

TEST(VolumeFilesTest, ItemsChooseKeysPathsAndModes) {
  FakeFacts facts;
  facts.Add("Secret", "s", {{"password", "czNjcmV0"}, {"other", "eA=="}});
  const auto files = FilesOfVolume(Json::parse(R"({"name": "v", "secret": {"secretName": "s", "defaultMode": 256,
    "items": [{"key": "password", "path": "deep/pw"}, {"key": "other", "path": "o", "mode": 384}]}})"),
                                   facts.Get());
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_THAT(*files, ElementsAre(VolumeFile{"deep/pw", "s3cret", 0400}, VolumeFile{"o", "x", 0600}));
}

TEST(VolumeFilesTest, ProjectedVolumesMergeTheirSources) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"a", "1"}});
  const auto files = FilesOfVolume(Json::parse(R"({"name": "v", "projected": {"defaultMode": 288, "sources": [
    {"configMap": {"name": "c"}},
    {"secret": {"name": "none", "optional": true}},
    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                               {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations"}}]}}]}})"),
                                   facts.Get());
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_THAT(*files, ElementsAre(VolumeFile{"a", "1", 0440},
                                  VolumeFile{"labels", "app=\"shop\"\nslotwright.dev/shard=\"2\"", 0440},
                                  VolumeFile{"note", R"(note="a \"quoted\" one")", 0440}));
}

TEST(VolumeFilesTest, WhatCannotBeMountedIsRefused) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"a", "1"}});
  struct Row {
    const char* volume;
    ErrorKind kind;
    const char* message;
  };
  for (const auto& row : {
           Row{R"({"configMap": {"name": "none"}})", ErrorKind::kNotFound, "configmap \"none\" not found"},
           Row{R"({"secret": {"secretName": "none"}})", ErrorKind::kNotFound, "secret \"none\" not found"},
           Row{R"({"configMap": {"name": "c", "items": [{"key": "x", "path": "x"}]}})", ErrorKind::kNotFound, "key x"},
           Row{R"({"configMap": {"name": "c", "items": [{"key": "a", "path": "../x"}]}})", ErrorKind::kInvalid, "../x"},
           Row{R"({"configMap": {"name": "c", "items": [{"key": "a", "path": "/etc/x"}]}})", ErrorKind::kInvalid,
               "/etc/x"},
           Row{R"({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})", ErrorKind::kInvalid,
               "serviceAccountToken"},
       }) {
    const auto files = FilesOfVolume(Json::parse(row.volume), facts.Get());
    ASSERT_FALSE(files) << row.volume;
    EXPECT_EQ(files.error().kind, row.kind) << row.volume;
    EXPECT_NE(files.error().message.find(row.message), std::string::npos) << files.error().message;
  }
}

TEST(AtomicFilesTest, AReaderOfTheFolderSeesAllOldOrAllNewFiles) {
  const TemporaryFolder temporary;
  const fs::path volume = fs::path(temporary.path()) / "v";
  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "old"}, {"b", "old", 0600}, {"d/e", "deep"}}));
  EXPECT_EQ(ReadFile(volume / "a"), "old");
  EXPECT_EQ(ReadFile(volume / "d/e"), "deep");
  EXPECT_EQ(ModeOf(volume / "a"), 0644);
  EXPECT_EQ(ModeOf(volume / "b"), 0600);
  // One link stands between a reader and all files.
  const fs::path data_before = fs::canonical(volume / "..data");
  EXPECT_EQ(fs::read_symlink(volume / "a"), "..data/a");

  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "new"}, {"c", "new"}}));
  EXPECT_EQ(ReadFile(volume / "a"), "new");
  EXPECT_EQ(ReadFile(volume / "c"), "new");
  EXPECT_FALSE(fs::exists(fs::symlink_status(volume / "b")));
  EXPECT_FALSE(fs::exists(fs::symlink_status(volume / "d")));
  EXPECT_NE(fs::canonical(volume / "..data"), data_before);
  EXPECT_FALSE(fs::exists(data_before));
}

TEST(AtomicFilesTest, NothingIsWrittenIfNothingChanged) {
  const TemporaryFolder temporary;
  const fs::path volume = fs::path(temporary.path()) / "v";
  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "1", 0600}}));
  const fs::path before = fs::canonical(volume / "..data");
  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "1", 0600}}));
  EXPECT_EQ(fs::canonical(volume / "..data"), before);
  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "1", 0644}}));
  EXPECT_EQ(ModeOf(volume / "a"), 0644);
}

TEST(AtomicFilesTest, AFileNamedLikeOurOwnLinksIsJustAFile) {
  const TemporaryFolder temporary;
  const fs::path volume = fs::path(temporary.path()) / "v";
  ASSERT_TRUE(WriteFilesAtomically(volume, {{"a", "1"}, {"a.new", "2"}, {"new", "3"}}));
  EXPECT_EQ(ReadFile(volume / "a"), "1");
  EXPECT_EQ(ReadFile(volume / "a.new"), "2");
  EXPECT_EQ(ReadFile(volume / "new"), "3");
}

class PodVolumesTest : public testing::Test {
 protected:
  PodVolumes Make() {
    return {temporary_.path(), [](const reconciler::ObjectKey& claim) -> reconciler::Result<std::string> {
              if (claim.name == "data") return "/claims/data";
              return reconciler::Fail(ErrorKind::kNotFound, "no such claim");
            }};
  }
  const TemporaryFolder temporary_;
};

TEST_F(PodVolumesTest, EachMountPathLeadsToItsVolumeAndSubPath) {
  FakeFacts facts(Json::parse(R"({"volumes": [
    {"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}},
    {"name": "h", "hostPath": {"path": "/usr/share"}}]})"));
  facts.Add("ConfigMap", "c", {{"redis.conf", "port 1"}});
  PodVolumes volumes = Make();
  ASSERT_TRUE(volumes.Prepare(facts.Get()));
  const auto mounts = volumes.Mounts(Json::parse(R"json({
    "env": [{"name": "POD", "value": "web-0"}],
    "volumeMounts": [
      {"name": "e", "mountPath": "/data"}, {"name": "e", "mountPath": "/sub", "subPath": "x/y"},
      {"name": "e", "mountPath": "/expr", "subPathExpr": "$(POD)/z"}, {"name": "h", "mountPath": "/share"},
      {"name": "c", "mountPath": "/etc/redis.conf", "subPath": "redis.conf"}]})json"),
                                     facts.Get());
  ASSERT_TRUE(mounts) << mounts.error().message;
  std::map<std::string, std::string> folders;
  for (const auto& mount : *mounts) folders[mount.path] = mount.folder;
  const std::string root = temporary_.path();
  EXPECT_EQ(folders["/data"], root + "/e");
  EXPECT_EQ(folders["/sub"], root + "/e/x/y");
  EXPECT_EQ(folders["/expr"], root + "/e/web-0/z");
  EXPECT_EQ(folders["/share"], "/usr/share");
  EXPECT_EQ(ReadFile(folders["/etc/redis.conf"]), "port 1");
  for (const char* folder : {"/data", "/sub", "/expr"}) EXPECT_TRUE(fs::is_directory(folders[folder])) << folder;
}

TEST_F(PodVolumesTest, ASubPathThatLeadsOutIsRefused) {
  const FakeFacts facts(Json::parse(R"({"volumes": [{"name": "e", "emptyDir": {}}]})"));
  PodVolumes volumes = Make();
  ASSERT_TRUE(volumes.Prepare(facts.Get()));
  for (const char* path : {"..", "../x", "a/../../x", "/etc"}) {
    const auto mounts = volumes.Mounts(
        {{"volumeMounts", Json::array({{{"name", "e"}, {"mountPath", "/d"}, {"subPath", path}}})}}, facts.Get());
    EXPECT_FALSE(mounts) << path;
  }
}

TEST_F(PodVolumesTest, AMissingClaimAndAnUnknownTypeNameTheVolume) {
  for (const char* volume :
       {R"({"name": "v", "persistentVolumeClaim": {"claimName": "none"}})", R"({"name": "v", "nfs": {}})"}) {
    const FakeFacts facts(Json{{"volumes", Json::array({Json::parse(volume)})}});
    const auto prepared = Make().Prepare(facts.Get());
    ASSERT_FALSE(prepared) << volume;
    EXPECT_NE(prepared.error().message.find("volume \"v\""), std::string::npos) << prepared.error().message;
  }
}

}  // namespace
}  // namespace slotwright::local
