// Starting, awaiting and killing of server processes.
#include "tests/support/redis_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

namespace slotwright::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kLogName = "server.log";

std::vector<std::string> CommandLine(const RedisProcessOptions& options) {
  std::vector<std::string> words = {options.binary,
                                    "--bind",
                                    options.endpoint.host,
                                    "--port",
                                    std::to_string(options.endpoint.port),
                                    "--dir",
                                    options.directory.string(),
                                    "--daemonize",
                                    "no",
                                    "--protected-mode",
                                    "no",
                                    "--save",
                                    "",
                                    "--appendonly",
                                    "no"};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  return words;
}

// In the child, where only async-signal-safe calls are allowed.
[[noreturn]] void Exec(char* const* argv, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  ::execvp(argv[0], argv);
  ::_exit(127);
}

milliseconds Left(Clock::time_point deadline) {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline - Clock::now()));
}

bool Ready(int socket, short events, Clock::time_point deadline) {
  pollfd poll{socket, events, 0};
  return ::poll(&poll, 1, static_cast<int>(Left(deadline).count())) == 1;
}

bool Ping(int socket, const Endpoint& endpoint, Clock::time_point deadline) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(endpoint.port));
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr) != 1) return false;
  constexpr std::string_view kPing = "PING\r\n";
  char first = 0;
  return (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
          (errno == EINPROGRESS && Ready(socket, POLLOUT, deadline))) &&
         ::send(socket, kPing.data(), kPing.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kPing.size()) &&
         Ready(socket, POLLIN, deadline) && ::recv(socket, &first, 1, 0) == 1 && (first == '+' || first == '-');
}

bool Answers(const Endpoint& endpoint, Clock::time_point deadline) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool answered = socket >= 0 && Ping(socket, endpoint, deadline);
  if (socket >= 0) ::close(socket);
  return answered;
}

}  // namespace

Endpoint FreshEndpoint() {
  // The pid picks the third byte and the port, a counter the rest, so that test programs may run side by side.
  constexpr int kHosts = 250;
  constexpr int kPorts = 2000;
  static std::atomic<int> count{0};
  const int pid = ::getpid();
  const int n = count++;
  return {fmt::format("127.78.{}.{}", pid % kHosts + 1, n % kHosts + 1), 7000 + (pid / kHosts + n / kHosts) % kPorts};
}

std::expected<std::unique_ptr<RedisProcess>, std::string> RedisProcess::Launch(RedisProcessOptions options) {
  const bool owns_directory = options.directory.empty();
  if (owns_directory) {
    std::string pattern = (std::filesystem::temp_directory_path() / "slotwright-redis-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return std::unexpected(fmt::format("no temporary directory {}: {}", pattern, std::strerror(errno)));
    }
    options.directory = pattern;
  }
  std::vector<std::string> words = CommandLine(options);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const auto log_path = options.directory / kLogName;
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return std::unexpected(fmt::format("cannot write {}: {}", log_path.string(), std::strerror(errno)));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) Exec(argv.data(), log, parent);
  const int fork_error = errno;
  ::close(log);
  if (pid < 0) return std::unexpected(fmt::format("cannot fork: {}", std::strerror(fork_error)));
  return std::unique_ptr<RedisProcess>(new RedisProcess(std::move(options), owns_directory, pid));
}

std::expected<std::unique_ptr<RedisProcess>, std::string> RedisProcess::Start(RedisProcessOptions options,
                                                                              milliseconds patience) {
  auto process = Launch(std::move(options));
  if (!process) return process;
  if (auto ready = (*process)->AwaitReady(patience); !ready) return std::unexpected(ready.error());
  return process;
}

RedisProcess::~RedisProcess() {
  Kill();
  std::error_code ignored;
  if (owns_directory_) std::filesystem::remove_all(options_.directory, ignored);
}

std::expected<void, std::string> RedisProcess::AwaitReady(milliseconds patience) const {
  const auto deadline = Clock::now() + patience;
  while (!Answers(options_.endpoint, deadline)) {
    siginfo_t info{};
    const bool ended =
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
    if (ended || Left(deadline).count() == 0) {
      return std::unexpected(fmt::format("{} at {} {}; is it installed, and is the address free? Its log:\n{}",
                                         options_.binary, options_.endpoint.ToString(),
                                         ended ? "has ended" : "does not answer PING", Log()));
    }
    ::poll(nullptr, 0, 5);
  }
  return {};
}

void RedisProcess::Signal(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

void RedisProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

std::string RedisProcess::Log() const {
  std::ifstream file(options_.directory / kLogName);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace slotwright::testing
