// What a kubelet mounts: configuration that changes, and claims whose data outlives pods.
#include "tests/unit/kubelet/kubelet_fixture.h"

namespace slotwright::local {
namespace {

TEST_F(KubeletTest, ConfigMapsAndSecretsAreWaitedForMountedAndKeptUpToDate) {
  StartKubelet();
  CreatePod(
      Pod("a", "cat /etc/app/conf /etc/pw/password; exec sleep 1000",
          Json::parse(
              R"({"volumeMounts": [{"name": "c", "mountPath": "/etc/app"}, {"name": "s", "mountPath": "/etc/pw"}]})"),
          Json::parse(R"({"volumes": [{"name": "c", "configMap": {"name": "conf"}},
                                            {"name": "s", "secret": {"secretName": "pw", "defaultMode": 256}}]})")));
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) {
    return ContainerOf(pod).value(Json::json_pointer("/state/waiting/reason"), "") == "ContainerCreating";
  }));
  ASSERT_TRUE(UntilEvent("FailedMount"));
  CreateData(types::kConfigMaps, "conf", {{"conf", "one\n"}});
  CreateData(types::kSecrets, "pw", {{"password", "czNjcmV0"}});
  ASSERT_TRUE(UntilReady("a"));
  EXPECT_TRUE(Eventually([&] { return LogOf("a") == "one\ns3cret"; }));
  EXPECT_EQ(fs::status(File("state/pods")).permissions(), fs::perms::owner_all);  // nobody else looks at secrets
  EXPECT_EQ(fs::status(PodFile("a", "volumes/s/password")).permissions(), fs::perms::owner_read);

  const auto patched = client_.Patch(types::kConfigMaps, {"default", "conf"}, reconciler::PatchType::kMerge,
                                     {{"data", {{"conf", "two\n"}}}});
  ASSERT_TRUE(patched);
  EXPECT_TRUE(Eventually([&] { return TextOf(PodFile("a", "volumes/c/conf")) == "two\n"; }));
  EXPECT_EQ(ContainerOf(GetPod("a"))["restartCount"], 0);
}

TEST_F(KubeletTest, DownwardApiFilesFollowThePodsLabels) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000", Json::object(), Json::parse(R"({"volumes": [{"name": "d", "downwardAPI": {
    "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]})")));
  ASSERT_TRUE(UntilReady("a"));
  EXPECT_EQ(TextOf(PodFile("a", "volumes/d/labels")), "app=\"a\"");
  ASSERT_TRUE(client_.Patch(types::kPods, {"default", "a"}, reconciler::PatchType::kMerge,
                            {{"metadata", {{"labels", {{"app", "b"}}}}}}));
  EXPECT_TRUE(Eventually([&] { return TextOf(PodFile("a", "volumes/d/labels")) == "app=\"b\""; }));
}

class KubeletClaimTest : public KubeletTest {
 protected:
  static Json PodWithClaim(const std::string& name, const std::string& script) {
    return Pod(name, script, Json::parse(R"({"volumeMounts": [{"name": "v", "mountPath": "/data"}]})"),
               Json::parse(R"({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]})"));
  }
  // The folders of claims that exist.
  size_t Volumes() const {
    std::error_code missing;
    return static_cast<size_t>(std::distance(fs::directory_iterator(File("state/volumes"), missing), {}));
  }
};

TEST_F(KubeletClaimTest, AClaimIsBoundAndItsDataSurvivesItsPods) {
  StartKubelet();
  CreatePod(PodWithClaim("a", "echo kept > /data/file; echo written; exec sleep 1000"));
  CreateClaim("data");
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(Eventually([&] {
    const auto claim = client_.Get(types::kPersistentVolumeClaims, {"default", "data"});
    return StringAt(*claim, {"status", "phase"}) == "Bound" &&
           StringAt(*claim, {"status", "capacity", "storage"}) == "1Gi";
  }));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "written\n"; }));
  DeletePod("a");
  ASSERT_TRUE(UntilGone("a"));
  CreatePod(PodWithClaim("b", "cat /data/file; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("b"));
  EXPECT_TRUE(Eventually([&] { return LogOf("b") == "kept\n"; }));
}

TEST_F(KubeletClaimTest, TheFolderGoesWithItsClaimOnceNoPodUsesIt) {
  StartKubelet();
  CreateClaim("data");
  CreatePod(PodWithClaim("a", "echo old > /data/file; echo written; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "written\n"; }));
  ASSERT_TRUE(client_.Delete(types::kPersistentVolumeClaims, {"default", "data"}));
  (void)client_.Patch(types::kPersistentVolumeClaims, {"default", "data"}, reconciler::PatchType::kMerge,
                      {{"metadata", {{"finalizers", nullptr}}}});
  ASSERT_TRUE(Eventually([&] { return !client_.Get(types::kPersistentVolumeClaims, {"default", "data"}); }));
  CreateClaim("data");  // a namesake starts empty
  ASSERT_TRUE(Eventually([&] { return Volumes() == 2; }));
  CreatePod(PodWithClaim("b", "ls /data; echo listed; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("b"));
  EXPECT_TRUE(Eventually([&] { return LogOf("b") == "listed\n"; }));
  DeletePod("a");
  ASSERT_TRUE(UntilGone("a"));
  EXPECT_TRUE(Eventually([&] { return Volumes() == 1; }));
}

TEST_F(KubeletClaimTest, KeptVolumesGoToTheClaimOfTheSameNameOfTheNextKubelet) {
  options_.keep_volumes = true;
  StartKubelet();
  CreateClaim("data");
  CreatePod(PodWithClaim("a", "echo kept > /data/file; echo written; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "written\n"; }));
  StopKubelet();
  EXPECT_EQ(Volumes(), 1U);
  EXPECT_FALSE(fs::exists(File("state/pods")));
  DeletePod("a", seconds(0));
  (void)client_.Delete(types::kPersistentVolumeClaims, {"default", "data"});
  (void)client_.Patch(types::kPersistentVolumeClaims, {"default", "data"}, reconciler::PatchType::kMerge,
                      {{"metadata", {{"finalizers", nullptr}}}});
  ASSERT_TRUE(Eventually([&] { return !client_.Get(types::kPersistentVolumeClaims, {"default", "data"}); }));
  StartKubelet();
  CreateClaim("data");
  CreatePod(PodWithClaim("a", "cat /data/file; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  EXPECT_TRUE(Eventually([&] { return LogOf("a") == "kept\n"; }));
}

}  // namespace
}  // namespace slotwright::local
