// The model that the simulation lives on, held to real servers: the same script must give the same transcript.
//
// SLOTWRIGHT_MODEL_SHOW=1 prints what the real servers said.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <map>
#include <semaphore>

#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

struct Outcome {
  std::string transcript;
  std::vector<std::string> in_vain;
};

std::vector<Script> AllScripts() {
  std::vector<Script> all;
  for (const auto& some : {JoiningScripts(), SlotScripts(), FailureScripts(), FailoverScripts(), MigrationScripts()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

Outcome PlayOn(ClusterUnderTest& cluster, const Script& script) {
  Play play(cluster);
  script.play(play);
  return {play.Transcript(), play.in_vain()};
}

bool IsChosen(const std::string& script) {
  const auto& program = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < program.total_test_suite_count(); ++i) {
    const auto& suite = *program.GetTestSuite(i);
    for (int k = 0; k < suite.total_test_count(); ++k) {
      const auto& test = *suite.GetTestInfo(k);
      if (test.should_run() && std::string(test.name()).ends_with("/" + script)) return true;
    }
  }
  return false;
}

// Plays the chosen scripts on real servers side by side: most of their time is waiting.
class OnRealServers : public ::testing::Environment {
 public:
  void SetUp() override {
    for (const Script& script : AllScripts()) {
      if (!IsChosen(script.name) || ProgramOf(script.engine).empty()) continue;
      outcomes_[script.name] = std::async(std::launch::async, [this, script] {
        places_.acquire();
        const auto cluster = MakeRealCluster(ProgramOf(script.engine));
        Outcome outcome = PlayOn(*cluster, script);
        places_.release();
        return outcome;
      });
    }
  }

  Outcome Of(const Script& script) { return outcomes_.at(script.name).get(); }

 private:
  std::counting_semaphore<> places_{4};
  std::map<std::string, std::future<Outcome>> outcomes_;
};

OnRealServers& RealServers() {
  static auto* const kServers = dynamic_cast<OnRealServers*>(::testing::AddGlobalTestEnvironment(new OnRealServers));
  return *kServers;
}
[[maybe_unused]] const OnRealServers& kRegistered = RealServers();

class RedisModel : public ::testing::TestWithParam<Script> {};

TEST_P(RedisModel, AnswersAsRealServersDo) {
  if (ProgramOf(GetParam().engine).empty()) GTEST_SKIP() << "no such server here; scripts/engines.sh fetches it";
  const auto cluster = MakeSimulatedCluster(GetParam().engine);
  const Outcome simulated = PlayOn(*cluster, GetParam());
  const Outcome real = RealServers().Of(GetParam());
  if (std::getenv("SLOTWRIGHT_MODEL_SHOW") != nullptr) fmt::print("{}", real.transcript);
  EXPECT_EQ(real.transcript, simulated.transcript) << "- real servers, + the model";
  EXPECT_TRUE(real.in_vain.empty()) << "awaited in vain of real servers: " << real.in_vain.front();
}

INSTANTIATE_TEST_SUITE_P(Scripts, RedisModel, ::testing::ValuesIn(AllScripts()),
                         [](const auto& script) { return std::string(script.param.name); });

}  // namespace

// What a failing test is called by.
void PrintTo(const Script& script, std::ostream* out) { *out << script.name; }

}  // namespace slotwright::redis_model
