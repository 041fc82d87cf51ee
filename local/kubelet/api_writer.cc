// ApiWriter on the runtime's work queue.
#include "local/kubelet/api_writer.h"

#include "reconciler/base/log.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::ObjectKey;

namespace {

constexpr int kWorkers = 2;

bool IsFinal(ErrorKind kind) {
  return kind == ErrorKind::kNotFound || kind == ErrorKind::kConflict || kind == ErrorKind::kInvalid;
}

}  // namespace

ApiWriter::ApiWriter(const reconciler::Client& client)
    : client_(client),
      queue_({.name = "kubelet-writes",
              .base_delay = std::chrono::milliseconds(50),
              .max_delay = std::chrono::seconds(5)}) {
  for (int i = 0; i < kWorkers; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { Work(stop); });
  }
}

ApiWriter::~ApiWriter() {
  for (auto& worker : workers_) worker.request_stop();
}

void ApiWriter::Submit(const std::string& key, Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_[key] = std::move(job);
  }
  queue_.Add({"", key});
}

void ApiWriter::Work(const std::stop_token& stop) {
  while (const auto key = queue_.Get(stop)) {
    RunJob(*key);
    queue_.Done(*key);
  }
}

void ApiWriter::RunJob(const ObjectKey& key) {
  Job job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(key.name);
    if (found == jobs_.end()) return;
    job = std::move(found->second);
    jobs_.erase(found);
  }
  const auto done = job(client_);
  if (done || IsFinal(done.error().kind)) {
    queue_.Forget(key);
    if (!done && done.error().kind == ErrorKind::kInvalid) {
      reconciler::Log(reconciler::LogLevel::kError, "the API server refused what the kubelet wrote",
                      {{"write", key.name}, {"error", done.error().message}});
    }
    return;
  }
  reconciler::Log(reconciler::LogLevel::kDebug, "a write of the kubelet failed and is tried again",
                  {{"write", key.name}, {"error", done.error().message}});
  const std::lock_guard lock(mutex_);
  // A newer job may have come meanwhile.
  jobs_.try_emplace(key.name, std::move(job));
  queue_.AddRateLimited(key);
}

}  // namespace slotwright::local
