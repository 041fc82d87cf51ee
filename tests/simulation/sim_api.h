// The operator's way to the embedded API server: takes simulated time, fails when told to, and tells what changed.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "local/apiserver/api_server.h"
#include "reconciler/kube/client.h"
#include "tests/simulation/effects.h"

namespace slotwright::simulation {

/// What the simulated scheduler does: machines are 0 … kMachines-1; the pods of a shard of "demo" are on different
/// ones.
constexpr int kMachines = 4;
[[nodiscard]] int MachineOf(const std::string& pod);
/// No machine has a label with this value; each other nodeSelector fits all of them.
inline constexpr const char* kNowhere = "nowhere";

class SimApi final : public reconciler::Transport {
 public:
  /// Hears of every write to `plural`, whoever made it.
  using ChangeHandler = std::function<void(const std::string& plural, const reconciler::ObjectKey& key)>;
  /// Sees a write of the operator before it happens; says which promise it breaks if it takes effect.
  using Inspector = std::function<std::vector<std::string>(const reconciler::HttpRequest& request)>;
  using Accuser = std::function<void(const std::string& broken_promise)>;

  SimApi(std::shared_ptr<reconciler::Transport> inner, Simulator& simulator, Effects* effects, ChangeHandler on_change,
         Inspector inspector, Accuser accuser);

  reconciler::Result<reconciler::HttpResponse> Send(const reconciler::HttpRequest& request,
                                                    std::stop_token stop) override;
  reconciler::Result<reconciler::HttpResponse> Stream(const reconciler::HttpRequest&, const LineHandler&,
                                                      std::stop_token) override;
  std::string Host() const override { return "simulated"; }

  bool outage = false;

 private:
  reconciler::Result<reconciler::HttpResponse> Inspect(const reconciler::HttpRequest& request, std::stop_token stop);
  reconciler::Result<reconciler::HttpResponse> Forward(reconciler::HttpRequest request, std::stop_token stop);

  std::shared_ptr<reconciler::Transport> inner_;
  Simulator& simulator_;
  Effects* effects_;  // null: nobody's faults (the kubelet, a user)
  ChangeHandler on_change_;
  Inspector inspector_;
  Accuser accuser_;
};

}  // namespace slotwright::simulation
