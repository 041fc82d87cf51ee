// Plain blocking sockets and threads: nothing in common with what is tested.
#include "tests/unit/redis/fake_server.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/redis_process.h"

namespace slotwright::testing {
namespace {

int Check(int result, const char* what) {
  if (result < 0) {
    std::perror(what);
    std::abort();
  }
  return result;
}

sockaddr_in Address(const Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(endpoint.port));
  ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr);
  return address;
}

int Listen(const Endpoint& endpoint, int backlog) {
  const int socket = Check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const sockaddr_in address = Address(endpoint);
  Check(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  Check(::listen(socket, backlog), "listen");
  return socket;
}

}  // namespace

bool FakeConnection::ReadUntil(std::string_view end) {
  char buffer[4096];
  received_.clear();
  while (!received_.ends_with(end)) {
    const auto n = ::recv(socket_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
  }
  return true;
}

void FakeConnection::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void FakeConnection::AwaitDelivery() const {
  (void)Eventually([this] {
    int unacknowledged = 0;
    return ::ioctl(socket_, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
  });
}

void FakeConnection::AwaitClose() {
  char buffer[4096];
  for (ssize_t n = 1; n > 0;) {
    n = ::recv(socket_, buffer, sizeof buffer, 0);
    if (n > 0) received_.append(buffer, static_cast<std::size_t>(n));
  }
}

FakeServer::FakeServer(Script script)
    : script_(std::move(script)), endpoint_(FreshEndpoint()), listener_(Listen(endpoint_, 128)) {
  acceptor_ = std::thread([this] { Accept(); });
}

void FakeServer::Accept() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      ::close(socket);
      return;
    }
    sockets_.push_back(socket);
    scripts_.emplace_back([this, socket, number = accepted_++] {
      FakeConnection connection(socket);
      connection.number = number;
      script_(connection);
      ::shutdown(socket, SHUT_RDWR);
      ++finished_;
    });
  }
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& script : scripts_) script.join();
  for (const int socket : sockets_) ::close(socket);
  ::close(listener_);
}

BlackHole::BlackHole() : endpoint_(FreshEndpoint()), sockets_{Listen(endpoint_, 0)} {
  // Once the queue of an unattended listener is full, Linux drops further SYNs.
  const sockaddr_in address = Address(endpoint_);
  for (int i = 0; i < 3; ++i) {
    sockets_.push_back(Check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    ::connect(sockets_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
}

BlackHole::~BlackHole() {
  for (const int socket : sockets_) ::close(socket);
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

}  // namespace slotwright::testing
