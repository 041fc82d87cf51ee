// The one error value of the project: what kind of failure, and a sentence a person can act on.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace reconciler {

/// What a caller may do about a failure; everything else belongs into the message.
enum class ErrorKind {
  kInvalid,          ///< The input is wrong (HTTP 400, 422). Trying again without a change is pointless.
  kUnauthorized,     ///< 401: credentials missing, expired or wrong.
  kForbidden,        ///< 403: RBAC says no.
  kNotFound,         ///< 404.
  kAlreadyExists,    ///< 409 with reason AlreadyExists.
  kConflict,         ///< 409: a resourceVersion or uid precondition failed. Read again, then decide again.
  kExpired,          ///< 410: a resourceVersion is too old. List again.
  kTooManyRequests,  ///< 429: honour retry_after.
  kTimeout,          ///< No answer within the deadline. The effect may have happened nevertheless.
  kUnavailable,      ///< Nobody reachable there, or the server said 5xx. The effect may have happened nevertheless.
  kCancelled,        ///< The stop token fired.
  kUnsupported,      ///< The other side, or this program, cannot do that at all.
  kInternal,         ///< A bug or an answer that makes no sense.
};

[[nodiscard]] std::string_view ToString(ErrorKind kind);

/// `message` says what was tried, on what, what came back and, where one exists, the way out. It never holds a secret.
struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;

  /// The same error with "`context`: " in front of the message.
  [[nodiscard]] Error Within(std::string_view context) const;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> Fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

}  // namespace reconciler
