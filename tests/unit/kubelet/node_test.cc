// The Node object and the status of claims.
#include "local/kubelet/node.h"

#include <gtest/gtest.h>

#include "local/kubelet/claims.h"

namespace slotwright::local {
namespace {

using reconciler::Json;

TEST(NodeTest, TheNodeIsReadyAndHasWhatTheMachineHas) {
  const Json node = NodeObject("local", "127.77.0.0/16", {});
  EXPECT_EQ(node["metadata"]["name"], "local");
  EXPECT_EQ(node["metadata"]["labels"]["kubernetes.io/hostname"], "local");
  EXPECT_EQ(node["status"]["conditions"][0]["type"], "Ready");
  EXPECT_EQ(node["status"]["conditions"][0]["status"], "True");
  EXPECT_GT(std::stoi(node["status"]["capacity"]["cpu"].get<std::string>()), 0);
  EXPECT_GT(std::stoll(node["status"]["allocatable"]["memory"].get<std::string>()), 100'000);
}

TEST(ClaimsTest, AClaimIsBoundWithAllThatItAsksForAndOnlyOnce) {
  Json claim =
      Json::parse(R"({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})");
  const Json status = BoundStatus(claim);
  EXPECT_EQ(status,
            Json::parse(R"({"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]})"));
  claim["status"] = status;
  EXPECT_TRUE(BoundStatus(claim).is_null());
  claim["spec"]["resources"]["requests"]["storage"] = "2Gi";
  EXPECT_EQ(BoundStatus(claim)["capacity"]["storage"], "2Gi");
}

}  // namespace
}  // namespace slotwright::local
