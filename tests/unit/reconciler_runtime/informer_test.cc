// What readers see and what handlers hear.
#include "reconciler/cache/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace reconciler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Json Pod(const std::string& name, const std::string& uid, const std::string& version,
         const std::string& node = "node-1") {
  return {{"metadata", {{"namespace", "ns"}, {"name", name}, {"uid", uid}, {"resourceVersion", version}}},
          {"spec", {{"nodeName", node}}}};
}

ObjectKey Key(const std::string& name) { return {"ns", name}; }

std::string Show(const ObjectPtr& object) {
  return object ? KeyOf(*object).name + "/" + UidOf(*object) + "@" + ResourceVersionOf(*object) : "none";
}

std::vector<std::string> Show(const std::vector<ObjectPtr>& objects) {
  std::vector<std::string> shown;
  for (const auto& object : objects) shown.push_back(Show(object));
  return shown;
}

class InformerTest : public testing::Test {
 protected:
  InformerTest() {
    informer_.AddHandler([this](const ObjectPtr& before, const ObjectPtr& after) {
      heard_.push_back(Show(before) + " -> " + Show(after));
    });
    informer_.AddIndex("node", [](const Json& pod) { return std::vector{StringAt(pod, {"spec", "nodeName"})}; });
  }
  std::vector<std::string> Heard() { return std::exchange(heard_, {}); }

  Informer informer_{types::kPods};
  std::vector<std::string> heard_;
};

TEST_F(InformerTest, TellsOfAdditionsChangesAndRemovalsInOrder) {
  informer_.Upsert(Pod("a", "u1", "1"));
  informer_.Upsert(Pod("a", "u1", "2"));
  informer_.Upsert(Pod("b", "u2", "3"));
  informer_.Remove(Key("a"));
  EXPECT_THAT(Heard(), ElementsAre("none -> a/u1@1", "a/u1@1 -> a/u1@2", "none -> b/u2@3", "a/u1@2 -> none"));
  EXPECT_EQ(informer_.Get(Key("a")), nullptr);
  EXPECT_EQ(Show(informer_.Get(Key("b"))), "b/u2@3");
}

TEST_F(InformerTest, KeepsNothingThatOnlyServersRead) {
  Json pod = Pod("a", "u1", "1");
  pod["metadata"]["managedFields"] = Json::array({{{"manager", "kubelet"}}});
  informer_.Upsert(pod);
  EXPECT_EQ(*informer_.Get(Key("a")), Pod("a", "u1", "1"));
  informer_.Replace({pod}, "");
  EXPECT_EQ(*informer_.Get(Key("a")), Pod("a", "u1", "1"));
}

TEST_F(InformerTest, IsSilentAboutWhatItKnows) {
  informer_.Upsert(Pod("a", "u1", "1"));
  Heard();
  informer_.Upsert(Pod("a", "u1", "1"));
  informer_.Replace({Pod("a", "u1", "1")});
  informer_.Remove(Key("unknown"));
  EXPECT_THAT(Heard(), IsEmpty());
}

TEST_F(InformerTest, ReplaceTellsOnlyTheDifferences) {
  informer_.Replace({Pod("same", "u1", "1"), Pod("changed", "u2", "2"), Pod("gone", "u3", "3")});
  Heard();
  informer_.Replace({Pod("new", "u4", "9"), Pod("same", "u1", "1"), Pod("changed", "u2", "8")});
  EXPECT_THAT(Heard(), ElementsAre("none -> new/u4@9", "changed/u2@2 -> changed/u2@8", "gone/u3@3 -> none"));
  EXPECT_THAT(Show(informer_.List()), ElementsAre("changed/u2@8", "new/u4@9", "same/u1@1"));
}

TEST_F(InformerTest, ANamesakeIsARemovalAndThenAnAddition) {
  informer_.Upsert(Pod("a", "u1", "1"));
  informer_.Upsert(Pod("a", "u2", "2"));
  informer_.Replace({Pod("a", "u3", "3")});
  EXPECT_THAT(Heard(),
              ElementsAre("none -> a/u1@1", "a/u1@1 -> none", "none -> a/u2@2", "a/u2@2 -> none", "none -> a/u3@3"));
}

TEST_F(InformerTest, ANamesakeIsNewEvenWithTheSameResourceVersion) {
  informer_.Upsert(Pod("a", "u1", "1"));
  Heard();
  informer_.Upsert(Pod("a", "u2", "1"));
  EXPECT_THAT(Heard(), ElementsAre("a/u1@1 -> none", "none -> a/u2@1"));
}

TEST_F(InformerTest, AnObjectWithoutAVersionIsAlwaysAChange) {
  informer_.Upsert(Pod("a", "u1", ""));
  informer_.Upsert(Pod("a", "u1", ""));
  EXPECT_THAT(Heard(), ElementsAre("none -> a/u1@", "a/u1@ -> a/u1@"));
}

TEST_F(InformerTest, IndexesFollowTheObjects) {
  informer_.Upsert(Pod("a", "u1", "1", "node-1"));
  informer_.Upsert(Pod("b", "u2", "2", "node-1"));
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-1")), ElementsAre("a/u1@1", "b/u2@2"));
  informer_.Upsert(Pod("a", "u1", "3", "node-2"));
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-1")), ElementsAre("b/u2@2"));
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-2")), ElementsAre("a/u1@3"));
  informer_.Replace({Pod("a", "u1", "4", "node-2")});
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-1")), IsEmpty());
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-2")), ElementsAre("a/u1@4"));
  informer_.Remove(Key("a"));
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-2")), IsEmpty());
}

TEST_F(InformerTest, AnObjectMayHaveSeveralIndexValuesOrNone) {
  Informer informer(types::kPods);
  informer.AddIndex("label", [](const Json& pod) {
    std::vector<std::string> values;
    for (const auto& [key, value] : pod["metadata"]["labels"].items()) values.push_back(key);
    return values;
  });
  Json labelled = Pod("a", "u1", "1");
  labelled["metadata"]["labels"] = {{"x", ""}, {"y", ""}};
  Json bare = Pod("b", "u2", "2");
  bare["metadata"]["labels"] = Json::object();
  informer.Replace({labelled, bare});
  EXPECT_THAT(Show(informer.ByIndex("label", "x")), ElementsAre("a/u1@1"));
  EXPECT_THAT(Show(informer.ByIndex("label", "y")), ElementsAre("a/u1@1"));
}

TEST_F(InformerTest, IsSyncedFromTheFirstListOnEvenIfThatIsEmpty) {
  informer_.Upsert(Pod("a", "u1", "1"));
  EXPECT_FALSE(informer_.HasSynced());
  informer_.Replace({});
  EXPECT_TRUE(informer_.HasSynced());
}

Json PodOf(const std::string& ns, const std::string& name, const std::string& uid, const std::string& version) {
  Json pod = Pod(name, uid, version);
  pod["metadata"]["namespace"] = ns;
  return pod;
}

TEST_F(InformerTest, AListOfOneNamespaceLeavesTheOthersAlone) {
  for (const char* ns : {"a", "b", "c"}) informer_.AddScope(ns);
  informer_.Replace({PodOf("b", "x", "u1", "1"), PodOf("b", "y", "u2", "2")}, "b");
  informer_.Replace({PodOf("a", "x", "u3", "3")}, "a");
  informer_.Replace({PodOf("c", "x", "u4", "4")}, "c");
  Heard();
  informer_.Replace({PodOf("b", "y", "u2", "9")}, "b");
  EXPECT_THAT(Heard(), ElementsAre("y/u2@2 -> y/u2@9", "x/u1@1 -> none"));
  informer_.Replace({}, "b");
  EXPECT_THAT(Show(informer_.List()), ElementsAre("x/u3@3", "x/u4@4"));
  EXPECT_THAT(Show(informer_.ByIndex("node", "node-1")), ElementsAre("x/u3@3", "x/u4@4"));
}

TEST_F(InformerTest, ANamespaceWhoseNameBeginsWithAnothersIsNotPartOfIt) {
  for (const char* ns : {"a", "a-b", "aa"}) {
    informer_.AddScope(ns);
    informer_.Replace({PodOf(ns, ns, "u", "1")}, ns);
  }
  informer_.Replace({}, "a");
  EXPECT_THAT(Show(informer_.List()), ElementsAre("a-b/u@1", "aa/u@1"));
}

TEST_F(InformerTest, IsSyncedWhenAllItsNamespacesAre) {
  informer_.AddScope("a");
  informer_.AddScope("b");
  informer_.Replace({}, "b");
  informer_.Replace({}, "b");
  EXPECT_FALSE(informer_.HasSynced());
  informer_.Replace({}, "a");
  EXPECT_TRUE(informer_.HasSynced());
}

TEST_F(InformerTest, IsNotFilledAsAWholeAndInPartsAtTheSameTime) {
  informer_.AddScope("a");
  EXPECT_DEATH(informer_.AddScope(""), "ScopesAreDisjoint");
  EXPECT_DEATH(informer_.Replace({}), "ScopesAreDisjoint");
}

TEST_F(InformerTest, HandlersHearOneChangeAtATimeWhoeverFillsTheInformer) {
  std::atomic<int> inside = 0;
  std::atomic<bool> overlapped = false;
  int calls = 0;
  informer_.AddHandler([&](const ObjectPtr&, const ObjectPtr&) {
    if (++inside > 1) overlapped = true;
    ++calls;
    std::this_thread::yield();
    --inside;
  });
  {
    std::vector<std::jthread> writers;
    for (const char* ns : {"a", "b"}) {
      informer_.AddScope(ns);
      writers.emplace_back([this, ns] {
        for (int round = 1; round <= 200; ++round) {
          informer_.Replace({PodOf(ns, "x", "u", std::to_string(round))}, ns);
          informer_.Upsert(PodOf(ns, "y", "u", std::to_string(round)));
        }
      });
    }
  }
  EXPECT_FALSE(overlapped);
  // Of each round of each namespace: x changes, y comes; from the second on y goes before.
  EXPECT_EQ(calls, 2 * (200 + 200 + 199));
}

TEST_F(InformerTest, HandlersMayReadTheInformer) {
  std::vector<std::string> seen;
  informer_.AddHandler([&](const ObjectPtr&, const ObjectPtr& after) {
    seen.push_back(Show(informer_.Get(after ? KeyOf(*after) : Key("a"))));
  });
  informer_.Upsert(Pod("a", "u1", "1"));
  informer_.Replace({Pod("b", "u2", "2")});
  EXPECT_THAT(seen, ElementsAre("a/u1@1", "b/u2@2", "none"));
}

TEST_F(InformerTest, ReadersSeeAllOfAListOrNothingOfIt) {
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    for (int round = 0; round < 300; ++round) {
      const std::string node = round % 2 == 0 ? "even" : "odd";
      const std::string version = std::to_string(round + 1);
      informer_.Replace({Pod("a", "u1", version, node), Pod("b", "u2", version, node)});
    }
    done = true;
  });
  while (!done) {
    std::vector<std::string> versions;
    for (const auto& object : informer_.List()) versions.push_back(ResourceVersionOf(*object));
    if (!versions.empty()) {
      ASSERT_THAT(versions, ElementsAre(versions[0], versions[0]));
    }
    const auto odd = informer_.ByIndex("node", "odd");
    ASSERT_TRUE(odd.empty() || odd.size() == 2);
  }
}

}  // namespace
}  // namespace reconciler
