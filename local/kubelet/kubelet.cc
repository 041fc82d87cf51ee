// The kubelet's wiring: caches, the loop, one worker a pod.
#include "local/kubelet/kubelet.h"

#include <fmt/format.h>

#include <set>
#include <thread>

#include "local/kubelet/address_range.h"
#include "local/kubelet/node.h"
#include "local/kubelet/pod_worker.h"
#include "local/kubelet/state_folder.h"
#include "reconciler/base/log.h"
#include "reconciler/cache/reflector.h"

namespace slotwright::local {

using reconciler::Client;
using reconciler::Informer;
using reconciler::Json;
using reconciler::KeyOf;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;
using reconciler::Result;
using reconciler::StringAt;
using reconciler::SystemClock;
using reconciler::UidOf;
namespace types = reconciler::types;

namespace {

constexpr std::chrono::minutes kNodeHeartbeat{1};

// One informer and the thread that fills it.
class Cache {
 public:
  Cache(const Client& client, const reconciler::ResourceType& type)
      : informer_(type), reflector_(client, informer_, {.initial_backoff = std::chrono::milliseconds(100)}) {}

  Informer& informer() { return informer_; }
  void Start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { reflector_.Run(stop); });
  }
  void RequestStop() { thread_.request_stop(); }

 private:
  Informer informer_;
  reconciler::Reflector reflector_;
  std::jthread thread_;
};

// All that lives from Prepare to the end of Run; destroyed from the last member to the first.
class Session {
 public:
  Session(const Client& client, const KubeletOptions& options, LogFiles& logs, StateFolder folder, AddressRange range);
  void Run(const std::stop_token& stop);

 private:
  void HandleChanges();
  void PodChanged(const ObjectPtr& before, const ObjectPtr& after);
  void UpsertPod(const ObjectPtr& pod);
  void DataChanged(DataKind kind, const ObjectKey& key);
  void ClaimChanged(const ObjectPtr& before, const ObjectPtr& after);
  void Gone(const std::string& uid);
  void Heartbeat();
  void Shutdown();

  const KubeletOptions& options_;
  StateFolder folder_;
  AddressRange range_;
  IpPool addresses_;
  ImageResolver images_;
  reconciler::EventRecorder events_;
  ApiWriter writer_;
  Claims claims_;
  const Json node_;
  EventLoop loop_;
  Cache pods_;
  Cache config_maps_;
  Cache secrets_;
  Cache claims_cache_;
  PodServices services_;
  std::map<std::string, std::unique_ptr<PodWorker>> workers_;  ///< By uid.
  std::set<std::string> ended_;  ///< Uids of pods that are over, while their objects still exist.
  bool stopping_ = false;
  Timer heartbeat_;
};

Session::Session(const Client& client, const KubeletOptions& options, LogFiles& logs, StateFolder folder,
                 AddressRange range)
    : options_(options),
      folder_(std::move(folder)),
      range_(std::move(range)),
      addresses_(*LoopbackNetwork::Parse(range_.cidr())),
      images_(options.images, options.engine_folders, folder_.path() + "/images"),
      events_(client, {.component = "kubelet", .instance = options.node_name}),
      writer_(client),
      claims_(folder_.path() + "/volumes", writer_),
      node_(NodeObject(options.node_name, range_.cidr(), SystemClock().WallNow())),
      pods_(client, types::kPods),
      config_maps_(client, types::kConfigMaps),
      secrets_(client, types::kSecrets),
      claims_cache_(client, types::kPersistentVolumeClaims),
      services_{loop_,
                images_,
                logs,
                addresses_,
                claims_,
                writer_,
                events_,
                [this](const ObjectKey& key) { return config_maps_.informer().Get(key); },
                [this](const ObjectKey& key) { return secrets_.informer().Get(key); },
                folder_.path(),
                kHostIp,
                options.restart_backoff} {
  HandleChanges();
}

// Informers call from their reflectors' threads; everything else happens in the loop.
void Session::HandleChanges() {
  pods_.informer().AddHandler([this](const ObjectPtr& before, const ObjectPtr& after) {
    loop_.Post([this, before, after] { PodChanged(before, after); });
  });
  for (const DataKind kind : {DataKind::kConfigMap, DataKind::kSecret}) {
    Cache& cache = kind == DataKind::kSecret ? secrets_ : config_maps_;
    cache.informer().AddHandler([this, kind](const ObjectPtr& before, const ObjectPtr& after) {
      loop_.Post([this, kind, key = KeyOf(after == nullptr ? *before : *after)] { DataChanged(kind, key); });
    });
  }
  claims_cache_.informer().AddHandler([this](const ObjectPtr& before, const ObjectPtr& after) {
    loop_.Post([this, before, after] { ClaimChanged(before, after); });
  });
}

void Session::Run(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { loop_.Post([this] { Shutdown(); }); });
  events_.Start();
  Heartbeat();
  for (Cache* cache : {&config_maps_, &secrets_, &claims_cache_, &pods_}) cache->Start();
  loop_.Run();
  for (Cache* cache : {&config_maps_, &secrets_, &claims_cache_, &pods_}) cache->RequestStop();
  folder_.Close();
}

void Session::PodChanged(const ObjectPtr& before, const ObjectPtr& after) {
  if (stopping_) return;
  if (after != nullptr) return UpsertPod(after);
  ended_.erase(UidOf(*before));
  const auto worker = workers_.find(UidOf(*before));
  if (worker != workers_.end()) worker->second->Vanished();
}

void Session::UpsertPod(const ObjectPtr& pod) {
  // The API server is the scheduler, too.
  if (StringAt(*pod, {"spec", "nodeName"}) != options_.node_name) return;
  const std::string uid = UidOf(*pod);
  if (ended_.contains(uid)) return;
  auto& worker = workers_[uid];
  const bool fresh = worker == nullptr;
  if (fresh) worker = std::make_unique<PodWorker>(services_, pod, [this, uid] { Gone(uid); });
  if (!fresh || reconciler::IsBeingDeleted(*pod)) worker->Update(pod);
}

void Session::DataChanged(DataKind kind, const ObjectKey& key) {
  for (auto& [uid, worker] : workers_) {
    if (KeyOf(*worker->pod()).ns == key.ns) worker->DataChanged(kind, key.name);
  }
}

void Session::ClaimChanged(const ObjectPtr& before, const ObjectPtr& after) {
  if (after == nullptr) return claims_.Remove(*before);
  claims_.Upsert(after);
  for (auto& [uid, worker] : workers_) {
    if (KeyOf(*worker->pod()).ns == KeyOf(*after).ns) worker->ClaimChanged();
  }
}

void Session::Gone(const std::string& uid) {
  // Not from within its own call.
  loop_.Post([this, uid] {
    // A pod whose object has vanished already is not heard of any more.
    const ObjectKey key = KeyOf(*workers_[uid]->pod());
    const ObjectPtr object = pods_.informer().Get(key);
    if (object != nullptr && UidOf(*object) == uid) ended_.insert(uid);
    workers_.erase(uid);
    if (stopping_ && workers_.empty()) loop_.Stop();
  });
}

void Session::Heartbeat() {
  writer_.Submit("node", [node = node_](const Client& client) -> Result<void> {
    const auto created = client.Create(types::kNodes, node);
    if (!created && created.error().kind != reconciler::ErrorKind::kAlreadyExists) {
      return std::unexpected(created.error());
    }
    Json status = node["status"];
    status["conditions"][0]["lastHeartbeatTime"] = reconciler::FormatTime(SystemClock().WallNow());
    const auto patched = client.Patch(types::kNodes, KeyOf(node), reconciler::PatchType::kMerge, {{"status", status}},
                                      {.subresource = "status"});
    if (!patched) return std::unexpected(patched.error());
    return {};
  });
  heartbeat_ = loop_.After(kNodeHeartbeat, [this] { Heartbeat(); });
}

void Session::Shutdown() {
  stopping_ = true;
  if (workers_.empty()) return loop_.Stop();
  for (auto& [uid, worker] : workers_) worker->Shutdown(options_.stop_grace);
}

class KubeletOfThisMachine : public Kubelet {
 public:
  KubeletOfThisMachine(const Client& client, KubeletOptions options) : client_(client), options_(std::move(options)) {}

  Result<void> Prepare() override {
    auto range = AddressRange::Claim(options_.pod_cidr);
    if (!range) return std::unexpected(range.error());
    auto folder = StateFolder::Open(options_.state_dir, options_.keep_volumes);
    if (!folder) return std::unexpected(folder.error());
    session_ = std::make_unique<Session>(client_, options_, logs_, std::move(*folder), std::move(*range));
    return {};
  }

  Result<void> Run(std::stop_token stop) override {
    if (!session_) {
      if (auto ready = Prepare(); !ready) {
        reconciler::Log(reconciler::LogLevel::kError, "the kubelet cannot run", {{"error", ready.error().message}});
        return ready;
      }
    }
    session_->Run(stop);
    session_.reset();  // its threads end before the caller is told that all is over
    return {};
  }

  void Read(const ObjectKey& pod, const std::string& container, const LogOptions& options,
            std::function<bool(std::string_view)> write, std::function<void()> done) override {
    logs_.Read(pod, container, options, std::move(write), std::move(done));
  }

 private:
  const Client& client_;
  const KubeletOptions options_;
  LogFiles logs_;
  std::unique_ptr<Session> session_;
};

}  // namespace

std::unique_ptr<Kubelet> Kubelet::Make(const Client& client, KubeletOptions options) {
  return std::make_unique<KubeletOfThisMachine>(client, std::move(options));
}

}  // namespace slotwright::local
