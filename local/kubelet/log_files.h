// Where containers' output goes, and how it is read back.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "local/apiserver/api_server.h"
#include "local/kubelet/event_loop.h"
#include "reconciler/base/error.h"

namespace slotwright::local {

/// One file for each run of a container: <folder>/<container>/<run>.log; those of the current run and the one before it
/// are kept. Beside them <container>.pid holds the process id while the container runs.
/// Thread-safe. Reading happens in a thread of its own.
class LogFiles : public LogSource {
 public:
  LogFiles();
  ~LogFiles() override;  ///< Ends all readers.

  /// A new run, and from now on the current one. Returns a file descriptor for appending, which is the caller's.
  [[nodiscard]] reconciler::Result<int> Open(const reconciler::ObjectKey& pod, const std::string& pod_folder,
                                             const std::string& container, int run);
  /// `pod_folder` tells pods of the same name apart: an old one may still be ending while the new one runs.
  void SetPid(const std::string& pod_folder, const std::string& container, int pid);
  /// The current run is over: readers that follow it come to an end.
  void Ended(const reconciler::ObjectKey& pod, const std::string& pod_folder, const std::string& container);
  /// The pod is gone.
  void Forget(const reconciler::ObjectKey& pod, const std::string& pod_folder);

  /// As `kubectl logs`; an empty container means the pod's first. Where there is no log, a sentence says so.
  void Read(const reconciler::ObjectKey& pod, const std::string& container, const LogOptions& options,
            std::function<bool(std::string_view)> write, std::function<void()> done) override;

 private:
  struct Run {
    std::string folder;
    int number = 0;
    bool active = false;
  };
  struct Pod {
    std::string folder;
    std::string first_container;
    std::map<std::string, Run> runs;
  };
  struct Reader;
  [[nodiscard]] reconciler::Result<Run> Find(const reconciler::ObjectKey& pod, const std::string& container) const;
  [[nodiscard]] bool IsActive(const reconciler::ObjectKey& pod, const std::string& container, int run) const;
  void Begin(const std::shared_ptr<Reader>& reader);
  void Continue(const std::shared_ptr<Reader>& reader);

  mutable std::mutex mutex_;
  std::map<reconciler::ObjectKey, Pod> pods_;
  EventLoop loop_;
  std::map<Reader*, std::shared_ptr<Reader>> readers_;  ///< Those that follow; in loop_'s thread.
  std::thread thread_;
};

/// state_dir/pods/<namespace>_<name>_<uid>: where a pod's volumes, logs and pid files are.
[[nodiscard]] std::string PodFolder(const std::string& state_dir, const reconciler::ObjectKey& pod,
                                    const std::string& uid);

}  // namespace slotwright::local
