// RESP2 as values: commands to bytes, bytes to replies. No I/O.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controllers/redis/commander.h"

struct redisReader;  // of hiredis; NOLINT(readability-identifier-naming)

namespace slotwright {

/// Appends `command` to `wire` as an array of bulk strings, so that words may be any bytes.
void AppendCommand(const Command& command, std::string& wire);

/// Cuts a byte stream into replies, whoever sends it: sizes that a server merely announces cost nothing, and nesting,
/// the number of elements and the length of a line are bounded. Not thread-safe.
class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  void Feed(std::string_view bytes);

  /// The next whole reply; nothing if it needs more bytes. After an error, which says what is wrong with the stream,
  /// the reader is of no more use.
  [[nodiscard]] std::expected<std::optional<Reply>, std::string> Next();

  /// Whether all that was fed has come out as replies.
  [[nodiscard]] bool AtBoundary() const;

 private:
  struct Builder;  // what hiredis calls for each element
  [[nodiscard]] bool LineIsTooLong() const;

  std::unique_ptr<Builder> builder_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  bool within_reply_ = false;
};

}  // namespace slotwright
