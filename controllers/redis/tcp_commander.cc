// The Commander over TCP: one coroutine for each node, one timer for each Run, all on one thread.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>  // before awaitable.hpp: Boost 1.74 forgets it

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "controllers/redis/commander.h"
#include "controllers/redis/resp_codec.h"
#include "controllers/topology/text.h"

namespace slotwright {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLongestBudget = std::chrono::hours(24);

struct Connection {
  explicit Connection(asio::io_context& io) : socket(io) {}

  tcp::socket socket;
  ReplyReader reader;
  std::array<char, 16'384> buffer{};
  NodeId peer;  // as CLUSTER MYID said on it; empty: not asked
  Clock::time_point idle_since;
};
using ConnectionPtr = std::unique_ptr<Connection>;

// Whether the other side has neither closed nor sent anything that nobody asked for.
bool IsQuiet(tcp::socket& socket) {
  char byte = 0;
  const auto n = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

// Authenticated connections that nobody uses at the moment.
class Pool {
 public:
  using Key = std::pair<Endpoint, std::string>;  // with the password

  explicit Pool(const TcpCommanderOptions& options) : options_(options) {}

  // The one used last, so that those that are too many grow old; null if there is none.
  ConnectionPtr Take(const Key& key) {
    const auto it = kept_.find(key);
    while (it != kept_.end() && !it->second.empty()) {
      ConnectionPtr connection = std::move(it->second.back());
      it->second.pop_back();
      if (IsQuiet(connection->socket)) return connection;
    }
    return nullptr;
  }

  void Keep(const Key& key, ConnectionPtr connection) {
    std::vector<ConnectionPtr>& kept = kept_[key];
    if (kept.size() >= options_.kept_per_node) return;
    connection->idle_since = Clock::now();
    kept.push_back(std::move(connection));
  }

  void Drop(const Key& key) { kept_.erase(key); }

  // Returns when to come again, if anything is left.
  std::optional<Clock::time_point> DropIdle(Clock::time_point now) {
    std::optional<Clock::time_point> next;
    for (auto& [key, kept] : kept_) {
      std::erase_if(kept, [&](const ConnectionPtr& c) { return c->idle_since + options_.idle_timeout <= now; });
      for (const ConnectionPtr& connection : kept) {
        const auto end = connection->idle_since + options_.idle_timeout;
        next = next ? std::min(*next, end) : end;
      }
    }
    std::erase_if(kept_, [](const auto& entry) { return entry.second.empty(); });
    return next;
  }

 private:
  const TcpCommanderOptions options_;
  std::map<Key, std::vector<ConnectionPtr>> kept_;
};

// One node's part in a Run.
struct Exchange {
  const NodeRequest* request = nullptr;
  ConnectionPtr connection;  // here and not in the coroutine, so that the deadline can close it
  NodeResult result;
};

struct Batch {
  Batch(asio::io_context& io, const std::vector<NodeRequest>& requests, std::chrono::milliseconds time)
      : budget(time), deadline(io, Clock::now() + time), exchanges(requests.size()), running(requests.size()) {
    for (std::size_t i = 0; i < requests.size(); ++i) exchanges[i].request = &requests[i];
  }

  const std::chrono::milliseconds budget;
  asio::steady_timer deadline;
  bool late = false;
  std::vector<Exchange> exchanges;
  std::size_t running;
  std::promise<void> done;
};

using Status = std::expected<void, RedisError>;

std::unexpected<RedisError> Fail(RedisError::Kind kind, std::string message) {
  return std::unexpected(RedisError{kind, std::move(message)});
}

std::string Describe(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  }
}

// The first word alone: arguments may be secrets.
std::string Name(const std::vector<Command>& commands) { return text::ForMessage(commands.front().front()); }

std::unexpected<RedisError> DeadlineError(const Batch& batch, const Exchange& exchange, std::string_view waited_for) {
  return Fail(RedisError::Kind::kDeadline, fmt::format("{} {} within {} ms", exchange.request->endpoint.ToString(),
                                                       waited_for, batch.budget.count()));
}

std::vector<NodeResult> NoTime(const std::vector<NodeRequest>& requests) {
  std::vector<NodeResult> results;
  for (const NodeRequest& request : requests) {
    results.push_back(Fail(RedisError::Kind::kDeadline,
                           fmt::format("{} was not asked: no time was left for it", request.endpoint.ToString())));
  }
  return results;
}

// What a server says instead of an answer to a client that it does not want.
std::optional<RedisError> Refusal(const Endpoint& endpoint, const Reply& reply) {
  if (!reply.IsError()) return std::nullopt;
  if (reply.text.starts_with("NOAUTH") || reply.text.starts_with("WRONGPASS")) {
    return RedisError{RedisError::Kind::kAuth,
                      fmt::format("{} refused the password: \"{}\". Either its password was changed, or another server "
                                  "has this address now",
                                  endpoint.ToString(), text::ForMessage(reply.text))};
  }
  if (reply.text.starts_with("ERR max number of clients")) {
    return RedisError{RedisError::Kind::kConnect, fmt::format("{} takes no more connections: \"{}\". Raise maxclients",
                                                              endpoint.ToString(), text::ForMessage(reply.text))};
  }
  return std::nullopt;
}

class TcpCommander final : public Commander {
 public:
  explicit TcpCommander(const TcpCommanderOptions& options)
      : options_(options), pool_(options), idle_timer_(io_), work_(io_.get_executor()), thread_([this] {
          io_.run();
        }) {}

  ~TcpCommander() override {
    asio::post(io_, [this] { idle_timer_.cancel(); });  // all that could still keep the thread
    work_.reset();
    thread_.join();
  }

  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds budget) override {
    if (requests.empty()) return {};
    if (budget.count() <= 0) return NoTime(requests);
    const auto batch = std::make_shared<Batch>(io_, requests, std::min(budget, kLongestBudget));
    std::future<void> done = batch->done.get_future();
    asio::post(io_, [this, batch] { Start(batch); });
    done.wait();
    std::vector<NodeResult> results;
    results.reserve(batch->exchanges.size());
    for (Exchange& exchange : batch->exchanges) results.push_back(std::move(exchange.result));
    return results;
  }

 private:
  void Start(const std::shared_ptr<Batch>& batch);
  void Finish(Batch& batch, Exchange& exchange, const std::exception_ptr& thrown, NodeResult result);
  void Keep(const Pool::Key& key, ConnectionPtr connection);
  void CloseIdle(Clock::time_point when);

  asio::awaitable<NodeResult> Ask(Batch& batch, Exchange& exchange);
  asio::awaitable<Status> Connect(Batch& batch, Exchange& exchange);
  asio::awaitable<Status> Authenticate(Batch& batch, Exchange& exchange);
  asio::awaitable<Status> Identify(Batch& batch, Exchange& exchange);
  asio::awaitable<NodeResult> Talk(Batch& batch, Exchange& exchange, const std::vector<Command>& commands);

  const TcpCommanderOptions options_;
  asio::io_context io_{1};
  Pool pool_;
  asio::steady_timer idle_timer_;
  bool idle_timer_runs_ = false;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;  // last: it uses all of the above
};

void TcpCommander::Start(const std::shared_ptr<Batch>& batch) {
  batch->deadline.async_wait([batch](error_code error) {
    if (error) return;  // cancelled: all have answered
    batch->late = true;
    for (Exchange& exchange : batch->exchanges) {
      error_code ignored;
      if (exchange.connection) exchange.connection->socket.close(ignored);
    }
  });
  for (Exchange& exchange : batch->exchanges) {
    asio::co_spawn(io_, Ask(*batch, exchange),
                   [this, batch, &exchange](const std::exception_ptr& thrown, NodeResult result) {
                     Finish(*batch, exchange, thrown, std::move(result));
                   });
  }
}

void TcpCommander::Finish(Batch& batch, Exchange& exchange, const std::exception_ptr& thrown, NodeResult result) {
  exchange.result = std::move(result);
  if (thrown) {
    exchange.result = Fail(RedisError::Kind::kIo, exchange.request->endpoint.ToString() + ": " + Describe(thrown));
  }
  const Pool::Key key{exchange.request->endpoint, exchange.request->password};
  if (exchange.result && exchange.connection && !batch.late && exchange.connection->reader.AtBoundary()) {
    Keep(key, std::move(exchange.connection));
  } else if (!exchange.result) {
    pool_.Drop(key);  // the connections beside a broken one are hardly better
  }
  exchange.connection.reset();
  if (--batch.running > 0) return;
  batch.deadline.cancel();
  batch.done.set_value();
}

void TcpCommander::Keep(const Pool::Key& key, ConnectionPtr connection) {
  pool_.Keep(key, std::move(connection));
  if (!idle_timer_runs_) CloseIdle(Clock::now() + options_.idle_timeout);
}

void TcpCommander::CloseIdle(Clock::time_point when) {
  idle_timer_runs_ = true;
  idle_timer_.expires_at(when);
  idle_timer_.async_wait([this](error_code error) {
    idle_timer_runs_ = false;
    if (error) return;
    if (const auto next = pool_.DropIdle(Clock::now())) CloseIdle(*next);
  });
}

asio::awaitable<NodeResult> TcpCommander::Ask(Batch& batch, Exchange& exchange) {
  const NodeRequest& request = *exchange.request;
  if (request.commands.empty()) co_return NodeResult{};
  for (const Command& command : request.commands) {
    if (command.empty()) co_return Fail(RedisError::Kind::kProtocol, "a command without words was not sent");
  }
  exchange.connection = pool_.Take({request.endpoint, request.password});
  if (!exchange.connection) {
    Status connected = co_await Connect(batch, exchange);
    if (!connected) co_return std::unexpected(std::move(connected).error());
  }
  if (!request.expected.empty() && exchange.connection->peer != request.expected) {
    Status identified = co_await Identify(batch, exchange);
    if (!identified) co_return std::unexpected(std::move(identified).error());
  }
  NodeResult replies = co_await Talk(batch, exchange, request.commands);
  co_return replies;
}

// A connection leads to one process, and a process keeps its id: once is enough.
asio::awaitable<Status> TcpCommander::Identify(Batch& batch, Exchange& exchange) {
  const std::vector<Command> commands = {{"CLUSTER", "MYID"}};
  NodeResult replies = co_await Talk(batch, exchange, commands);
  if (!replies) co_return std::unexpected(std::move(replies).error());
  const NodeId& expected = exchange.request->expected;
  // As BUSY while a script runs: it may be the expected one all the same.
  if (replies->front().IsError()) {
    co_return Fail(
        RedisError::Kind::kConnect,
        fmt::format("{} does not say whether it is node {} ({}); nothing was sent to it",
                    exchange.request->endpoint.ToString(), expected.Short(), text::ForMessage(replies->front().text)));
  }
  if (replies->front().text != expected.ToString()) {
    co_return Fail(
        RedisError::Kind::kStranger,
        fmt::format("{} is not node {} any more (CLUSTER MYID: \"{}\"); nothing was sent to it",
                    exchange.request->endpoint.ToString(), expected.Short(), text::ForMessage(replies->front().text)));
  }
  exchange.connection->peer = expected;
  co_return Status{};
}

asio::awaitable<Status> TcpCommander::Connect(Batch& batch, Exchange& exchange) {
  const Endpoint& endpoint = exchange.request->endpoint;
  error_code error;
  const auto address = asio::ip::make_address(endpoint.host, error);
  if (error || endpoint.port <= 0 || endpoint.port > 65535) {
    co_return Fail(RedisError::Kind::kConnect,
                   fmt::format("\"{}\" is no IP address with a port; nothing was sent", endpoint.ToString()));
  }
  exchange.connection = std::make_unique<Connection>(io_);
  tcp::socket& socket = exchange.connection->socket;
  const tcp::endpoint target(address, static_cast<unsigned short>(endpoint.port));
  socket.open(target.protocol(), error);
  if (!error) {
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);  // local mode starts processes
    co_await socket.async_connect(target, asio::redirect_error(asio::use_awaitable, error));
  }
  if (batch.late || error == asio::error::timed_out) {
    co_return DeadlineError(batch, exchange, "neither accepted nor refused the connection");
  }
  if (error) {
    co_return Fail(RedisError::Kind::kConnect,
                   fmt::format("could not connect to {}: {}", endpoint.ToString(), error.message()));
  }
  socket.set_option(tcp::no_delay(true), error);  // without it all works as well, only slower
  if (exchange.request->password.empty()) co_return Status{};
  Status authenticated = co_await Authenticate(batch, exchange);
  co_return authenticated;
}

asio::awaitable<Status> TcpCommander::Authenticate(Batch& batch, Exchange& exchange) {
  // Alone and not in one pipeline with the commands: a server without a password refuses AUTH, and would then carry
  // them out although it is not the one they were meant for.
  const std::vector<Command> commands = {{"AUTH", exchange.request->password}};
  NodeResult replies = co_await Talk(batch, exchange, commands);
  if (!replies) co_return std::unexpected(std::move(replies).error());
  if (!replies->front().IsOk()) {
    co_return Fail(RedisError::Kind::kAuth,
                   fmt::format("{} refused AUTH: \"{}\". Perhaps another server has this address now",
                               exchange.request->endpoint.ToString(), text::ForMessage(replies->front().text)));
  }
  co_return Status{};
}

asio::awaitable<NodeResult> TcpCommander::Talk(Batch& batch, Exchange& exchange, const std::vector<Command>& commands) {
  const Endpoint& endpoint = exchange.request->endpoint;
  Connection& connection = *exchange.connection;
  std::string wire;
  for (const Command& command : commands) AppendCommand(command, wire);
  error_code error;
  co_await asio::async_write(connection.socket, asio::buffer(wire), asio::redirect_error(asio::use_awaitable, error));
  std::vector<Reply> replies;
  std::size_t received = 0;
  while (!error && replies.size() < commands.size()) {
    auto reply = connection.reader.Next();
    if (!reply) {
      co_return Fail(RedisError::Kind::kProtocol, fmt::format("{} answered {} with something that is no RESP2: {}",
                                                              endpoint.ToString(), Name(commands), reply.error()));
    }
    if (*reply) {
      replies.push_back(**std::move(reply));
      if (replies.size() > 1) continue;
      if (auto refusal = Refusal(endpoint, replies.front())) co_return std::unexpected(*std::move(refusal));
      continue;
    }
    const std::size_t n = co_await connection.socket.async_read_some(asio::buffer(connection.buffer),
                                                                     asio::redirect_error(asio::use_awaitable, error));
    received += n;
    if (received > options_.largest_answer) {
      co_return Fail(RedisError::Kind::kProtocol, fmt::format("{} answered {} with more than {} bytes",
                                                              endpoint.ToString(), Name(commands), received));
    }
    connection.reader.Feed({connection.buffer.data(), n});
  }
  if (!error) co_return replies;
  if (batch.late) {
    co_return DeadlineError(
        batch, exchange,
        fmt::format("gave {} of {} answers, beginning with {},", replies.size(), commands.size(), Name(commands)));
  }
  co_return Fail(RedisError::Kind::kIo,
                 fmt::format("the connection to {} broke before {} of {} answers, beginning with {}, were there: {}",
                             endpoint.ToString(), commands.size() - replies.size(), commands.size(), Name(commands),
                             error.message()));
}

}  // namespace

std::unique_ptr<Commander> MakeTcpCommander(const TcpCommanderOptions& options) {
  return std::make_unique<TcpCommander>(options);
}

}  // namespace slotwright
