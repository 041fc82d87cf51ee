// See sim_api.h.
#include "tests/simulation/sim_api.h"

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/topology/text.h"

namespace slotwright::simulation {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Json;
using reconciler::Result;

namespace {

struct Target {
  std::string plural;
  reconciler::ObjectKey key;
};

// "/api/v1/namespaces/NS/pods/NAME/status?…"
Target Parse(const std::string& target) {
  const auto words = text::Split(text::NextField(target, '?'), '/');
  Target result;
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] != "namespaces") continue;
    result.key.ns = words[i + 1];
    result.plural = words[i + 2];
    if (i + 3 < words.size()) result.key.name = words[i + 3];
    break;
  }
  return result;
}

}  // namespace

int MachineOf(const std::string& pod) {
  const auto place = ShardAndIndexOf("demo", pod);
  return place ? (place->first + place->second) % kMachines : -1;
}

SimApi::SimApi(std::shared_ptr<reconciler::Transport> inner, Simulator& simulator, Effects* effects,
               ChangeHandler on_change, Inspector inspector, Accuser accuser)
    : inner_(std::move(inner)),
      simulator_(simulator),
      effects_(effects),
      on_change_(std::move(on_change)),
      inspector_(std::move(inspector)),
      accuser_(std::move(accuser)) {}

Result<HttpResponse> SimApi::Inspect(const HttpRequest& request, std::stop_token stop) {
  const auto broken = inspector_(request);
  auto response = Forward(request, std::move(stop));
  if (response && response->status < 300) std::ranges::for_each(broken, accuser_);
  return response;
}

Result<HttpResponse> SimApi::Forward(HttpRequest request, std::stop_token stop) {
  Target target = Parse(request.target);
  if (request.target.find("dryRun=All") != std::string::npos) return inner_->Send(request, stop);
  if (request.method == "POST" && target.plural == "pods" && target.key.name.empty()) {
    // As if a scheduler had been quick.
    Json pod = Json::parse(request.body);
    const Json selector = pod["spec"].value("nodeSelector", Json::object());
    if (std::ranges::find(selector, Json(kNowhere)) == selector.end()) {
      pod["spec"]["nodeName"] = "machine-" + std::to_string(MachineOf(reconciler::KeyOf(pod).name));
    }
    request.body = pod.dump();
  }
  auto response = inner_->Send(request, stop);
  if (!response || response->status >= 300 || request.method == "GET") return response;
  if (target.key.name.empty()) target.key.name = reconciler::KeyOf(Json::parse(response->body)).name;
  on_change_(target.plural, target.key);
  return response;
}

Result<HttpResponse> SimApi::Send(const HttpRequest& request, std::stop_token stop) {
  if (effects_ == nullptr) return Forward(request, stop);
  simulator_.RunFor(simulator_.RandomMs(1, 3));
  if (outage) return Fail(ErrorKind::kUnavailable, "the simulated API server is away");
  if (request.method == "GET") {
    if (effects_->IsMissed()) return Fail(ErrorKind::kTimeout, "the simulated API server does not answer");
    return Forward(request, stop);
  }
  const auto fate = effects_->Next(request.method + " " + std::string(text::NextField(request.target, '?')));
  if (fate == Effects::Fate::kRefused) {
    const bool conflicts = request.method == "PATCH" && simulator_.Random(0, 1) == 0;
    return Fail(conflicts ? ErrorKind::kConflict : ErrorKind::kUnavailable, "the simulated API server refuses");
  }
  auto response = Inspect(request, stop);
  effects_->Done();
  if (fate == Effects::Fate::kLostReply) return Fail(ErrorKind::kTimeout, "the simulated reply was lost");
  return response;
}

Result<HttpResponse> SimApi::Stream(const HttpRequest&, const LineHandler&, std::stop_token) {
  return Fail(ErrorKind::kUnavailable, "there are no watches here: caches are fed from what is written");
}

}  // namespace slotwright::simulation
