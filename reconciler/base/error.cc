// Names of error kinds.
#include "reconciler/base/error.h"

namespace reconciler {

std::string_view ToString(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return "Invalid";
    case ErrorKind::kUnauthorized:
      return "Unauthorized";
    case ErrorKind::kForbidden:
      return "Forbidden";
    case ErrorKind::kNotFound:
      return "NotFound";
    case ErrorKind::kAlreadyExists:
      return "AlreadyExists";
    case ErrorKind::kConflict:
      return "Conflict";
    case ErrorKind::kExpired:
      return "Expired";
    case ErrorKind::kTooManyRequests:
      return "TooManyRequests";
    case ErrorKind::kTimeout:
      return "Timeout";
    case ErrorKind::kUnavailable:
      return "Unavailable";
    case ErrorKind::kCancelled:
      return "Cancelled";
    case ErrorKind::kUnsupported:
      return "Unsupported";
    case ErrorKind::kInternal:
      break;
  }
  return "Internal";
}

Error Error::Within(std::string_view context) const {
  return {.kind = kind, .message = std::string(context) + ": " + message, .retry_after = retry_after};
}

}  // namespace reconciler
