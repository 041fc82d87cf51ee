// RESP2 by hiredis' reader, whose elements are built as Reply values at once.
#include "controllers/redis/resp_codec.h"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace slotwright {
namespace {

constexpr std::size_t kMostElements = 1U << 20U;
constexpr std::size_t kDeepestArray = 7;         // as hiredis 0.14; a Reply is destroyed recursively
constexpr std::size_t kLongestLine = 1U << 16U;  // status, error, number, or an announced length
constexpr std::size_t kReservedElements = 1024;  // of an announced number, before any has arrived

}  // namespace

struct ReplyReader::Builder {
  Reply root;
  std::size_t elements = 0;
  std::size_t missing = 0;  // announced by arrays and not built yet
  std::string problem;

  // The place for the element of `task`: the root, or the next one of its array. hiredis finishes an element before it
  // begins its sibling, so that the vector never moves an element under construction.
  Reply* Place(const redisReadTask* task) {
    if (++elements > kMostElements) {
      problem = fmt::format("more than {} elements in one reply", kMostElements);
      return nullptr;
    }
    if (task->parent == nullptr) {
      root = Reply{};
      return &root;
    }
    --missing;
    return &static_cast<Reply*>(task->parent->obj)->elements.emplace_back();
  }

  void* Text(const redisReadTask* task, const char* data, std::size_t size) {
    Reply::Type type = Reply::Type::kString;
    switch (task->type) {
      case REDIS_REPLY_STRING:
        break;
      case REDIS_REPLY_STATUS:
        type = Reply::Type::kStatus;
        break;
      case REDIS_REPLY_ERROR:
        type = Reply::Type::kError;
        break;
      default:
        problem = "a reply type of RESP3, which was not asked for";
        return nullptr;
    }
    Reply* reply = Place(task);
    if (reply == nullptr) return nullptr;
    reply->type = type;
    reply->text.assign(data, size);
    return reply;
  }

  void* Array(const redisReadTask* task, std::size_t size) {
    std::size_t depth = 1;
    for (const redisReadTask* outer = task->parent; outer != nullptr; outer = outer->parent) ++depth;
    if (task->type != REDIS_REPLY_ARRAY || depth > kDeepestArray) {
      problem = depth > kDeepestArray ? fmt::format("arrays nested deeper than {}", kDeepestArray)
                                      : "a reply type of RESP3, which was not asked for";
      return nullptr;
    }
    Reply* reply = Place(task);
    if (reply == nullptr) return nullptr;
    reply->type = Reply::Type::kArray;
    reply->elements.reserve(std::min(size, kReservedElements));
    missing += size;
    return reply;
  }

  void* Integer(const redisReadTask* task, long long value) {
    Reply* reply = Place(task);
    if (reply == nullptr) return nullptr;
    reply->type = Reply::Type::kInteger;
    reply->integer = value;
    return reply;
  }

  void* Nil(const redisReadTask* task) { return Place(task); }

  // hiredis is C and takes a null pointer for "out of memory"; no exception may pass through it.
  template <typename Build>
  static void* Call(const redisReadTask* task, Build build) {
    auto* builder = static_cast<Builder*>(task->privdata);
    try {
      return build(*builder);
    } catch (const std::bad_alloc&) {
      builder->problem.clear();
      return nullptr;
    }
  }

  // Generic lambdas, as hiredis 0.14 counts elements in int and 1.x in size_t.
  static redisReplyObjectFunctions* Functions() {
    static redisReplyObjectFunctions functions = [] {
      redisReplyObjectFunctions f{};
      f.createString = [](const redisReadTask* task, char* data, std::size_t size) {
        return Call(task, [=](Builder& b) { return b.Text(task, data, size); });
      };
      f.createArray = [](const redisReadTask* task, auto size) {
        return Call(task, [=](Builder& b) { return b.Array(task, static_cast<std::size_t>(size)); });
      };
      f.createInteger = [](const redisReadTask* task, long long value) {
        return Call(task, [=](Builder& b) { return b.Integer(task, value); });
      };
      f.createNil = [](const redisReadTask* task) { return Call(task, [=](Builder& b) { return b.Nil(task); }); };
      f.freeObject = [](void*) {};  // the Builder owns them all
      return f;
    }();
    return &functions;
  }
};

void AppendCommand(const Command& command, std::string& wire) {
  fmt::format_to(std::back_inserter(wire), "*{}\r\n", command.size());
  for (const std::string& word : command) {
    fmt::format_to(std::back_inserter(wire), "${}\r\n", word.size());
    wire += word;
    wire += "\r\n";
  }
}

ReplyReader::ReplyReader()
    : builder_(std::make_unique<Builder>()),
      reader_(redisReaderCreateWithFunctions(Builder::Functions()), &redisReaderFree) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = builder_.get();  // the macro for it casts a pointer to int
}

ReplyReader::~ReplyReader() = default;

void ReplyReader::Feed(std::string_view bytes) {
  // An error of memory comes out of Next().
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

std::expected<std::optional<Reply>, std::string> ReplyReader::Next() {
  if (AtBoundary()) return std::nullopt;
  void* done = nullptr;
  if (redisReaderGetReply(reader_.get(), &done) != REDIS_OK) {
    return std::unexpected(builder_->problem.empty() ? std::string(reader_->errstr) : builder_->problem);
  }
  within_reply_ = done == nullptr;
  if (within_reply_) {
    if (LineIsTooLong()) return std::unexpected(fmt::format("a line longer than {} bytes", kLongestLine));
    return std::nullopt;
  }
  // hiredis 1.x builds doubles and booleans of RESP3 without asking us.
  if (builder_->missing != 0 || builder_->elements == 0) {
    return std::unexpected("a reply type of RESP3, which was not asked for");
  }
  builder_->elements = 0;
  return std::exchange(builder_->root, Reply{});
}

bool ReplyReader::AtBoundary() const { return !within_reply_ && reader_->err == 0 && reader_->pos == reader_->len; }

bool ReplyReader::LineIsTooLong() const {
  // hiredis searches all of an unfinished line anew with every Feed, which an endless one would turn into hours. A bulk
  // string in the making begins with the short line of its length.
  const std::string_view rest(reader_->buf + reader_->pos, reader_->len - reader_->pos);
  return rest.size() > kLongestLine && rest.substr(0, kLongestLine).find("\r\n") == std::string_view::npos;
}

}  // namespace slotwright
