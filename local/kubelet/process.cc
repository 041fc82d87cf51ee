// fork and exec, pidfd and waitid.
#include "local/kubelet/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;
namespace asio = boost::asio;

namespace {

// What the child tells through the pipe if it does not come to exec.
struct StartFailure {
  enum Step { kChdir, kExec } step;
  int error;
};

// Everything the child needs, made before the fork: after it, only async-signal-safe calls are allowed.
struct ChildPlan {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* working_dir;
  int output;
  int null;
  int failure_pipe;
  pid_t parent;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Report(int pipe, StartFailure::Step step) {
  const StartFailure failure{step, errno};
  [[maybe_unused]] const ssize_t ignored = ::write(pipe, &failure, sizeof failure);
  ::_exit(127);
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the line above.
  if (::getppid() != plan.parent) ::_exit(127);
  ::setsid();
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(022);
  if (::chdir(plan.working_dir) != 0) Report(plan.failure_pipe, StartFailure::kChdir);
  ::dup2(plan.null, STDIN_FILENO);
  ::dup2(plan.output, STDOUT_FILENO);
  ::dup2(plan.output, STDERR_FILENO);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(plan.program.c_str(), plan.argv.data(), plan.environment.data());
  Report(plan.failure_pipe, StartFailure::kExec);
}

// Signals stay blocked across the fork, so that none of our handlers runs in the child.
pid_t Fork(const ChildPlan& plan) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) RunChild(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

reconciler::Error Explain(const StartFailure& failure, const ProcessOptions& options) {
  if (failure.step == StartFailure::kChdir) {
    return {ErrorKind::kInvalid,
            fmt::format("chdir to cwd (\"{}\"): {}", options.working_dir, std::strerror(failure.error))};
  }
  const auto kind = failure.error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kInvalid;
  return {kind, fmt::format("exec: \"{}\": {}", options.command.front(), std::strerror(failure.error))};
}

// Waits for the end of `pid`, which must be near.
ExitStatus Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return {128 + WTERMSIG(status), WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { Close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace

// Outlives the Process while a wait is queued in the loop.
struct Process::Watch {
  asio::posix::stream_descriptor pidfd;
  Process* process;
};

Process::Process(EventLoop& loop, pid_t pid, int pidfd, ExitHandler on_exit)
    : pid_(pid),
      on_exit_(std::move(on_exit)),
      watch_(std::make_shared<Watch>(asio::posix::stream_descriptor(loop.context(), pidfd), this)) {
  watch_->pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                           [watch = watch_](const boost::system::error_code&) {
                             if (watch->process != nullptr) watch->process->Ended();
                           });
}

Result<std::unique_ptr<Process>> Process::Start(EventLoop& loop, const ProcessOptions& options, ExitHandler on_exit) {
  const std::string program = FindProgram(options.command.front(), options.search_path);
  if (program.empty()) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("exec: \"{}\": executable file not found in $PATH", options.command.front()));
  }
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot start {}: {}", program, std::strerror(errno)));
  }
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  const ChildPlan plan{program,
                       Pointers(options.command),
                       Pointers(options.environment),
                       options.working_dir.c_str(),
                       options.output >= 0 ? options.output : null.get(),
                       null.get(),
                       write_end.get(),
                       ::getpid()};
  const pid_t pid = Fork(plan);
  if (pid < 0) return Fail(ErrorKind::kUnavailable, fmt::format("cannot start {}: {}", program, std::strerror(errno)));
  write_end.Close();
  StartFailure failure{};
  ssize_t count = 0;
  while ((count = ::read(read_end.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (count == sizeof failure) {
    Reap(pid);
    return std::unexpected(Explain(failure, options));
  }
  // glibc 2.36 declares pidfd_open for C only.
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int error = errno;
    ::kill(-pid, SIGKILL);
    Reap(pid);
    return Fail(ErrorKind::kUnsupported, fmt::format("cannot watch {}: pidfd_open: {} (Linux 5.3 or later is needed)",
                                                     program, std::strerror(error)));
  }
  return std::unique_ptr<Process>(new Process(loop, pid, pidfd, std::move(on_exit)));
}

Process::~Process() {
  watch_->process = nullptr;
  watch_->pidfd.close();
  if (!running_) return;
  Kill();
  Reap(pid_);
}

void Process::Signal(int signal) {
  if (running_) ::kill(pid_, signal);
}

void Process::Kill() {
  // A stopped process dies of SIGKILL, too.
  if (running_) ::kill(-pid_, SIGKILL);
}

void Process::Ended() {
  // Before it is reaped: as long as the zombie is there, nobody else gets its number.
  Kill();
  running_ = false;
  const ExitStatus status = Reap(pid_);
  watch_->pidfd.close();
  const ExitHandler on_exit = std::exchange(on_exit_, nullptr);
  if (on_exit) on_exit(status);
}

std::string FindProgram(const std::string& program, const std::string& search_path) {
  if (program.find('/') != std::string::npos) return program;
  if (program.empty()) return "";
  size_t begin = 0;
  while (begin <= search_path.size()) {
    const size_t end = std::min(search_path.find(':', begin), search_path.size());
    const std::string candidate = search_path.substr(begin, end - begin) + "/" + program;
    struct stat info{};
    if (::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    begin = end + 1;
  }
  return "";
}

}  // namespace slotwright::local
