// See scenario.h.
#include "tests/simulation/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "controllers/api/names.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

using reconciler::Json;
using std::chrono::seconds;

namespace {

class Story {
 public:
  Story(std::uint64_t seed, bool trace) : tracing_(trace), world_(seed) {
    if (trace) world_.Trace();
    if (seed % 4 == 3) world_.UseValkey();
  }

  Verdict Tell() {
    Live();
    if (tracing_ && !problem_.empty()) fmt::print("{}", world_.Tables());
    std::size_t story = 0;
    for (const auto& effect : world_.effects.log()) story = story * 31 + std::hash<std::string>()(effect);
    const auto writes = world_.CountWrites();
    return {.problem = problem_,
            .effects = world_.effects.count(),
            .story = story,
            .gave_up = gave_up_,
            .acknowledged = writes.acknowledged,
            .excused = harmed_ ? writes.excused : 0};
  }

 private:
  void Live() {
    Json spec = {{"masters", Chance(1, 4)}, {"replicasPerMaster", replicas_ = Chance(0, 2)}};
    storage_ = Chance(0, 2) == 0;
    retain_ = storage_ && Chance(0, 1) == 0;
    if (storage_) spec["storage"] = {{"size", "1Gi"}, {"retain", retain_ ? "Retain" : "Delete"}};
    if (Chance(0, 3) == 0) spec["healing"]["takeover"] = "Never";
    if (Chance(0, 3) == 0) spec["healing"]["lostShard"] = "AssignEmpty";
    ChooseFaults();
    world_.Apply(spec);
    if (Chance(0, 3) == 0) world_.AddStrangers(Chance(0, 1) == 0);
    const bool early = Chance(0, 3) == 0;
    if (early)
      world_.Run(milliseconds(Chance(0, 3000)));  // edited before it is whole
    else if (!Settles("after the creation"))
      return;
    world_.StartClients();
    const int edits = Chance(1, 3);
    const int calmness = Chance(0, 3);
    for (int i = 0; i < edits && problem_.empty(); ++i) {
      if (refused_ != Refused::kValue || Chance(0, 1) == 0) PutRight();
      Edit();
      world_.Run(milliseconds(Chance(0, 8000)));
      if (Chance(0, calmness) == 0) Misfortune();
      if (Chance(0, 19) == 0) MakeAnew();
    }
    if (problem_.empty() && Chance(0, 14) == 0) return Delete();  // whatever it is about
    // The last valid specification that the operator has seen may be one with a value that servers refuse, or one that
    // does not say yet that a lost shard is to be served empty.
    if (refused_ == Refused::kSpecification && !early && !tried_ && !world_.may_have_lost_a_shard()) {
      GoOn();
      if (!Settles("while the last change is refused")) return;
    }
    PutRight();
    if (problem_.empty() && Settles("after the last change")) CheckWrites();
    if (problem_.empty() && Chance(0, 9) == 0) Delete();
  }

  int Chance(int low, int high) { return world_.simulator.Random(low, high); }

  void ChooseFaults() {
    auto& rates = world_.effects.rates;
    if (Chance(0, 1) == 0) rates.crash_percent = Chance(1, 8);
    if (Chance(0, 1) == 0) rates.lost_reply_percent = Chance(1, 8);
    if (Chance(0, 1) == 0) rates.refused_percent = Chance(1, 8);
    if (Chance(0, 2) == 0) rates.missed_percent = Chance(1, 8);
    if (Chance(0, 3) == 0) world_.SetCacheLag(milliseconds(1), milliseconds(Chance(50, 2000)));
    if (Chance(0, 1) == 0) world_.SetAnswerSpread(milliseconds(Chance(1, 20)));
    if (Chance(0, 2) == 0) world_.SetLongestLoad(milliseconds(Chance(1000, 20'000)));
    if (Chance(0, 7) != 0) world_.look_delay = milliseconds(Chance(50, 300));
  }

  void Edit() {
    switch (Chance(0, 13)) {
      case 0:
      case 1:
        world_.Apply({{"masters", Chance(1, 5)}});
        break;
      case 2:
        world_.Apply({{"image", image_ = fmt::format("redis:7.{}", Chance(0, 9))}});
        break;
      case 3:
        // Refused as a whole; whatever befalls the cluster meanwhile is healed all the same.
        refused_ = Refused::kSpecification;
        world_.Apply({{"image", kRefusedImage}, {"config", {{"port", "7000"}}}});
        break;
      case 4:
        // Nothing of it shows before a server is to take it: while it runs, or as it starts.
        PutRight();
        world_.Apply({{"config", {{Chance(0, 1) == 0 ? "maxmemory-policy" : "databases", kRefusedValue}}}});
        refused_ = Refused::kValue;
        tried_ = true;
        break;
      case 5:
        Configure("databases", Chance(0, 2) == 0 ? Json() : Json(std::to_string(Chance(20, 23))));
        break;
      case 6:
        world_.Apply({{"replicasPerMaster", replicas_ = Chance(0, 2)}});
        break;
      case 7:
        paused_ = true;
        world_.Pause(true);
        if (Chance(0, 1) == 0) world_.Run(seconds(Chance(10, 30)));
        break;
      case 8:
        world_.Apply({{"rebalance", {{"mode", Chance(0, 2) == 0 ? "Manual" : "Automatic"}}}});
        break;
      case 9:
        if (!harmed_) world_.MoveSlotsByHand(Chance(1, 800), Chance(0, 1) == 0);
        break;
      case 10:
        world_.Apply({{"healing",
                       {{"takeover", Chance(0, 1) == 0 ? "Never" : "Fenced"},
                        {"lostShard", Chance(0, 1) == 0 ? "AssignEmpty" : "Wait"}}}});
        break;
      case 11:
        world_.Apply(
            {{"rebalance", {{"method", Chance(0, 1) == 0 ? "Keys" : "Auto"}, {"thresholdPercent", Chance(1, 10)}}}});
        break;
      case 12:
        if (storage_) world_.Apply({{"storage", {{"size", fmt::format("{}Gi", gigabytes_ += Chance(0, 2))}}}});
        break;
      default:
        Configure("maxmemory-policy", Chance(0, 3) == 0 ? Json() : Chance(0, 1) == 0 ? "allkeys-lru" : "noeviction");
    }
  }

  void Configure(const char* directive, Json value) {
    world_.Apply({{"config", {{directive, value}}}});
    config_[directive] = std::move(value);
  }

  void GoOn() {
    if (std::exchange(paused_, false)) world_.Pause(false);
  }

  void PutRight() {
    GoOn();
    if (std::exchange(refused_, Refused::kNothing) == Refused::kNothing) return;
    world_.Apply({{"image", image_}, {"config", config_}});
  }

  // In whatever state it is; over retained volumes it comes back with everything. (But if the volume of its first
  // master was lost a moment before: nobody knows then that there are other volumes to look at.)
  void MakeAnew() {
    PutRight();
    world_.DeleteCluster();
    world_.Run(milliseconds(Chance(0, 10'000)));
    world_.MakeAnew(!retain_ || emptied_);
    if (Settles("after it was made anew")) world_.StartClients();
  }

  void Delete() {
    world_.DeleteCluster();
    world_.Run(seconds(60));
    const auto left = world_.LeftOvers(retain_);
    if (!left.empty()) problem_ = left[0] + " is left of a deleted cluster";
    if (!world_.StaysSilent(seconds(10))) problem_ = "not silent after the deletion";
    if (!world_.violations().empty()) problem_ = "broken promise " + world_.violations()[0];
  }

  // Only such as a cluster with a replica or a volume survives, and one at a time.
  void Misfortune() {
    const auto pods = world_.Pods();
    if (pods.empty()) return;
    const std::string& pod = pods[static_cast<size_t>(Chance(0, static_cast<int>(pods.size()) - 1))];
    if (Chance(0, 3) == 0) {
      if (Chance(0, 1) == 0) {
        world_.Outage(milliseconds(Chance(100, 5000)));
      } else {
        world_.SlowDown(pod, milliseconds(Chance(50, 1500)), milliseconds(Chance(1000, 20'000)));
      }
      return;
    }
    // Without a volume the last copy must not be the one that dies: whoever was hurt before is well again, and a master
    // has a replica in sync.
    const bool in_the_middle = (storage_ || !harmed_) && Chance(0, 3) != 0;
    if (!storage_ && harmed_ && !IsWell()) return;
    const bool copied = replicas_ > 0 && (in_the_middle || world_.Converges(seconds(120))) && world_.IsCopied(pod);
    if (!copied && !storage_) return;
    harmed_ = true;
    if (Chance(0, 5) == 0) world_.RunOutOfRoom(seconds(Chance(5, 180)));
    if (!storage_ && Chance(0, 19) == 0) return world_.LoseShard(ShardAndIndexOf("demo", pod)->first);
    // In the middle of whatever goes on nobody knows of the others whether they are copied.
    const int kind = Chance(0, storage_ ? 8 : copied && !in_the_middle ? 6 : 2);
    if (!in_the_middle || Chance(0, 1) == 0) return Befall(pod, kind);
    // Perhaps between a look and what is done about it.
    world_.simulator.After(milliseconds(Chance(0, 3000)), [this, pod = pod, kind] {
      if (storage_ || world_.IsCopied(pod)) Befall(pod, kind);
    });
  }

  void Befall(const std::string& pod, int kind) {
    switch (kind) {
      case 0:
        world_.KillContainer(pod);
        break;
      case 1:
        if (Chance(0, 1) == 0) {
          world_.DeletePod(pod);
        } else {
          world_.FailPod(pod);
        }
        break;
      case 2:
        world_.Hang(pod, milliseconds(Chance(100, Chance(0, 3) == 0 ? 60'000 : 12'000)));
        break;
      case 3:
        world_.LoseMachine(Chance(0, kMachines - 1));
        break;
      case 4:
        // Until probes have failed, a budget takes it for a copy.
        if (Chance(0, 1) == 0) {
          world_.Hang(pod, seconds(40));
          if (!storage_) world_.Run(seconds(15));
        }
        world_.simulator.After(seconds(storage_ ? Chance(0, 15) : 0),
                               [this, machine = Chance(0, kMachines - 1)] { world_.Drain(machine); });
        break;
      case 7:
        world_.DeleteAllPods();
        break;
      case 8:
        if (!world_.IsCopied(pod)) break;
        emptied_ = true;
        world_.KillContainer(pod, true);
        break;
      default:
        world_.Partition(SomeOf(world_.Pods()), Chance(0, 1) == 0,
                         milliseconds(Chance(100, Chance(0, 3) == 0 ? 60'000 : 20'000)));
    }
  }

  std::set<std::string> SomeOf(const std::vector<std::string>& pods) {
    std::set<std::string> some;
    for (const auto& pod : pods) {
      if (Chance(0, 2) == 0) some.insert(pod);
    }
    return some;
  }

  // Every shard has a replica in sync, and the status is not from before the last misfortune.
  bool IsWell() {
    world_.Run(seconds(14));
    return world_.Converges(seconds(120));
  }

  bool ConvergesAsAdvised(reconciler::Duration limit) {
    bool converged = world_.Converges(limit);
    while (!converged && world_.DoesAsAdvised()) converged = world_.Converges(seconds(300));
    return converged;
  }

  // Masters that piled up are spread first, one each 30 s.
  bool FallsSilent() {
    world_.Run(seconds(2));
    for (int i = 0; i < 5; ++i) {
      const bool held_up = world_.IsHeldUp();
      const bool silent = world_.StaysSilent(seconds(32));
      if (silent && (!held_up || world_.Converges(seconds(1)))) return true;  // else it can only wait
      if (!ConvergesAsAdvised(seconds(held_up ? 200 : 10))) return false;
    }
    return false;
  }

  bool HasKeysThatNobodyCanJudge() {
    const std::string said = world_.ReadyMessage();
    return said.find("NodesNotEmpty") != std::string::npos ||
           said.find("makes it a master that has them") != std::string::npos;
  }

  bool Settles(const char* when) {
    const FaultRates rates = world_.effects.rates;
    world_.Run(milliseconds(Chance(0, 1) == 0 ? Chance(0, 3000) : Chance(0, 30'000)));
    world_.effects.rates = {};
    // Whoever died is back by then, the operator included: what the status says is no older.
    world_.Run(seconds(14));
    const bool converged = ConvergesAsAdvised(seconds(300));
    if (!world_.violations().empty()) {
      problem_ = "broken promise " + world_.violations()[0];
    } else if (!converged && harmed_ && HasKeysThatNobodyCanJudge()) {
      // Refused aloud: a replica that was elected, or cut off, just after keys had moved away has old copies of them,
      // and nobody can say that they are older (docs/testing.md).
      gave_up_ = true;
      return false;
    } else if (!converged) {
      problem_ = fmt::format("no convergence {}: {}", when, world_.ReadyMessage());
    } else if (!FallsSilent()) {
      problem_ = fmt::format("not silent {}: {}", when, world_.ReadyMessage());
    }
    if (!world_.violations().empty()) problem_ = "broken promise " + world_.violations()[0];
    if (problem_.empty() && refused_ == Refused::kNothing) {
      auto wrong = world_.MisconfiguredServers(seconds(0));
      std::ranges::copy(world_.Differences(), std::back_inserter(wrong));
      if (!wrong.empty()) problem_ = fmt::format("{} {}", wrong[0], when);
    }
    world_.effects.rates = rates;
    return problem_.empty();
  }

  void CheckWrites() {
    world_.StopClients();
    const auto lost = world_.LostWrites(harmed_);
    if (!lost.empty()) problem_ = fmt::format("{} acknowledged writes are lost, first: {}", lost.size(), lost[0]);
  }

  const bool tracing_;
  World world_;
  int replicas_ = 0;
  bool storage_ = false;
  bool retain_ = false;
  int gigabytes_ = 1;
  bool emptied_ = false;  // a volume was
  std::string image_ = "redis:7.0";
  Json config_ = {{"port", nullptr}, {"databases", nullptr}, {"maxmemory-policy", nullptr}};  // null: as by default
  enum class Refused : std::uint8_t { kNothing, kSpecification, kValue };
  Refused refused_ = Refused::kNothing;  // of what was edited, by the operator or by servers
  bool tried_ = false;                   // a value that servers refuse, at any time
  bool paused_ = false;
  bool harmed_ = false;   // something died that Redis replicates only asynchronously
  bool gave_up_ = false;  // the operator did, aloud
  std::string problem_;
};

}  // namespace

Verdict RunSeed(std::uint64_t seed, bool trace) { return Story(seed, trace).Tell(); }

}  // namespace slotwright::simulation
