// Reflectors and an informer for some namespaces, against the embedded API server.
#include "reconciler/cache/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "local/apiserver/api_server.h"
#include "reconciler/cache/reflector.h"

namespace slotwright::local {
namespace {

using namespace std::chrono_literals;
using reconciler::Informer;
using reconciler::Json;
using reconciler::Reflector;
using ::testing::ElementsAre;
namespace types = reconciler::types;

class WatchedNamespaces : public ::testing::Test {
 protected:
  WatchedNamespaces() {
    for (const char* ns : {"one", "two", "three"}) {
      EXPECT_TRUE(client_.Create(types::kNamespaces, {{"metadata", {{"name", ns}}}}));
      CreateMap(ns, "early");
    }
  }
  ~WatchedNamespaces() override {
    for (auto& thread : threads_) thread.request_stop();
    server_.Shutdown();
  }

  void CreateMap(const std::string& ns, const std::string& name) {
    const auto created = client_.Create(types::kConfigMaps, {{"metadata", {{"namespace", ns}, {"name", name}}}});
    EXPECT_TRUE(created) << created.error().message;
  }
  void DeleteMap(const std::string& ns, const std::string& name) {
    EXPECT_TRUE(client_.Delete(types::kConfigMaps, {ns, name}));
  }
  void Start() {
    for (const auto& reflector : reflectors_) {
      threads_.emplace_back([&reflector = *reflector](const std::stop_token& stop) { reflector.Run(stop); });
    }
  }
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& object : informer_.List()) names.push_back(reconciler::KeyOf(*object).ToString());
    return names;
  }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }

  ApiServer server_{ApiServer::Options{}};
  reconciler::Client client_{server_.InProcessTransport(), {}};
  Informer informer_{types::kConfigMaps};
  std::vector<std::unique_ptr<Reflector>> reflectors_;
  std::vector<std::jthread> threads_;
};

TEST_F(WatchedNamespaces, AreSeenAndOthersAreNot) {
  for (const char* ns : {"one", "two"}) {
    reflectors_.push_back(
        std::make_unique<Reflector>(client_, informer_, reconciler::ReflectorOptions{.ns = ns, .seed = 1}));
  }
  Start();
  ASSERT_TRUE(Eventually([&] { return informer_.HasSynced(); }));
  EXPECT_THAT(Names(), ElementsAre("one/early", "two/early"));

  CreateMap("three", "late");
  for (const char* ns : {"one", "two"}) CreateMap(ns, "late");
  DeleteMap("one", "early");
  EXPECT_TRUE(Eventually([&] { return Names() == std::vector<std::string>{"one/late", "two/early", "two/late"}; }))
      << ::testing::PrintToString(Names());
}

}  // namespace
}  // namespace slotwright::local
