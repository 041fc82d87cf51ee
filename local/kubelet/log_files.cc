// Logs of containers.
#include "local/kubelet/log_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::ObjectKey;
using reconciler::Result;
namespace fs = std::filesystem;

namespace {

constexpr size_t kChunk = 64 << 10;
constexpr std::chrono::milliseconds kFollowInterval{50};

fs::path LogPath(const std::string& folder, int run) { return fs::path(folder) / fmt::format("{}.log", run); }

fs::path PidPath(const std::string& pod_folder, const std::string& container) {
  return fs::path(pod_folder) / container / (container + ".pid");
}

// Where the last `lines` lines begin. A last line without newline counts.
off_t TailOffset(int fd, int lines) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  if (lines < 0) return 0;
  if (lines == 0) return size;
  std::vector<char> block(kChunk);
  int found = 0;
  for (off_t end = size; end > 0;) {
    const off_t begin = std::max<off_t>(end - static_cast<off_t>(block.size()), 0);
    const ssize_t count = ::pread(fd, block.data(), static_cast<size_t>(end - begin), begin);
    if (count <= 0) return begin;
    for (ssize_t i = count - 1; i >= 0; --i) {
      const bool ends_the_file = begin + i == size - 1;
      if (block[static_cast<size_t>(i)] == '\n' && !ends_the_file && ++found == lines) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

}  // namespace

struct LogFiles::Reader {
  ObjectKey pod;
  std::string container;
  LogOptions options;
  std::function<bool(std::string_view)> write;
  std::function<void()> done;
  int run = 0;
  int fd = -1;
  Timer timer;

  ~Reader() {
    if (fd >= 0) ::close(fd);
    done();
  }
};

LogFiles::LogFiles() : thread_([this] { loop_.Run(); }) {}

LogFiles::~LogFiles() {
  loop_.Post([this] {
    readers_.clear();
    loop_.Stop();
  });
  thread_.join();
}

Result<int> LogFiles::Open(const ObjectKey& pod, const std::string& pod_folder, const std::string& container, int run) {
  const std::string folder = pod_folder + "/" + container;
  std::error_code error;
  fs::create_directories(folder, error);
  const std::string path = LogPath(folder, run);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) {
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot open the log {}: {}", path, std::strerror(errno)));
  }
  if (run >= 2) fs::remove(LogPath(folder, run - 2), error);
  const std::lock_guard lock(mutex_);
  Pod& entry = pods_[pod];
  if (entry.folder != pod_folder) entry = Pod{pod_folder, container, {}};
  entry.runs[container] = Run{folder, run, true};
  return fd;
}

void LogFiles::SetPid(const std::string& pod_folder, const std::string& container, int pid) {
  const fs::path file = PidPath(pod_folder, container);
  const fs::path temporary = file.string() + ".new";
  std::ofstream(temporary) << pid << "\n";
  std::error_code error;
  fs::rename(temporary, file, error);
}

void LogFiles::Ended(const ObjectKey& pod, const std::string& pod_folder, const std::string& container) {
  std::error_code error;
  fs::remove(PidPath(pod_folder, container), error);
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(pod);
  if (found == pods_.end() || found->second.folder != pod_folder) return;
  const auto run = found->second.runs.find(container);
  if (run != found->second.runs.end()) run->second.active = false;
}

void LogFiles::Forget(const ObjectKey& pod, const std::string& pod_folder) {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(pod);
  if (found != pods_.end() && found->second.folder == pod_folder) pods_.erase(found);
}

Result<LogFiles::Run> LogFiles::Find(const ObjectKey& pod, const std::string& container) const {
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(pod);
  if (found == pods_.end()) {
    return Fail(ErrorKind::kNotFound, fmt::format("pod {} has not started any container yet", pod.ToString()));
  }
  const auto run = found->second.runs.find(container.empty() ? found->second.first_container : container);
  if (run == found->second.runs.end()) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("container \"{}\" in pod {} has not started yet", container, pod.ToString()));
  }
  return run->second;
}

bool LogFiles::IsActive(const ObjectKey& pod, const std::string& container, int number) const {
  const auto run = Find(pod, container);
  return run && run->number == number && run->active;
}

void LogFiles::Read(const ObjectKey& pod, const std::string& container, const LogOptions& options,
                    std::function<bool(std::string_view)> write, std::function<void()> done) {
  const std::shared_ptr<Reader> reader(new Reader{pod, container, options, std::move(write), std::move(done)});
  loop_.Post([this, reader] { Begin(reader); });
}

void LogFiles::Begin(const std::shared_ptr<Reader>& reader) {
  const auto run = Find(reader->pod, reader->container);
  if (!run) {
    reader->write(run.error().message + "\n");
    return;
  }
  reader->run = reader->options.previous ? run->number - 1 : run->number;
  const fs::path path = LogPath(run->folder, reader->run);
  reader->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (reader->fd < 0) {
    reader->write(fmt::format("previous terminated container \"{}\" in pod \"{}\" not found\n", reader->container,
                              reader->pod.name));
    return;
  }
  ::lseek(reader->fd, TailOffset(reader->fd, reader->options.tail_lines), SEEK_SET);
  readers_[reader.get()] = reader;
  Continue(reader);
}

void LogFiles::Continue(const std::shared_ptr<Reader>& reader) {
  // Asked before reading: what was written before the end is then still read.
  const bool goes_on = reader->options.follow && IsActive(reader->pod, reader->container, reader->run);
  std::string chunk(kChunk, '\0');
  for (;;) {
    const ssize_t count = ::read(reader->fd, chunk.data(), chunk.size());
    if (count <= 0) break;
    if (!reader->write({chunk.data(), static_cast<size_t>(count)})) {
      readers_.erase(reader.get());
      return;
    }
  }
  if (goes_on) {
    reader->timer = loop_.After(kFollowInterval, [this, weak = std::weak_ptr(reader)] {
      if (const auto kept = weak.lock()) Continue(kept);
    });
  } else {
    readers_.erase(reader.get());
  }
}

std::string PodFolder(const std::string& state_dir, const ObjectKey& pod, const std::string& uid) {
  return fmt::format("{}/pods/{}_{}_{}", state_dir, pod.ns, pod.name, uid);
}

}  // namespace slotwright::local
