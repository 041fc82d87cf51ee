// Refusals as a Kubernetes API server words them: metav1.Status with reason, details and causes.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/kube/types.h"

namespace slotwright::local::apiserver {

using reconciler::Json;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;

/// One thing that is wrong with one field (metav1.StatusCause).
struct Cause {
  std::string reason;   ///< "FieldValueInvalid" and the like.
  std::string message;  ///< Without the field: "Invalid value: 0: must be greater than 0".
  std::string field;
};
using Causes = std::vector<Cause>;

/// The field of a cause about the whole object, as a real server writes it.
inline constexpr const char* kRootField = "<nil>";

/// The wordings of k8s.io/apimachinery/pkg/util/validation/field.
/// For a rule about a whole object or list, which is not shown.
[[nodiscard]] Cause InvalidWhole(const std::string& field, const std::string& detail);
[[nodiscard]] Cause InvalidValue(const std::string& field, const Json& value, const std::string& detail);
[[nodiscard]] Cause WrongType(const std::string& field, const std::string& actual_type, const std::string& detail);
[[nodiscard]] Cause RequiredValue(const std::string& field, const std::string& detail = "");
[[nodiscard]] Cause DuplicateValue(const std::string& field, const Json& value);
[[nodiscard]] Cause UnsupportedValue(const std::string& field, const Json& value, const Json& supported);
[[nodiscard]] Cause ForbiddenValue(const std::string& field, const std::string& detail);
[[nodiscard]] Cause TooLong(const std::string& field, size_t limit);
[[nodiscard]] Cause TooMany(const std::string& field, size_t actual, size_t limit);

/// A refusal: an HTTP status and the metav1.Status that is its body.
struct ApiError {
  int code = 500;
  Json status;
  std::optional<int> retry_after_seconds = std::nullopt;

  [[nodiscard]] std::string message() const { return status.value("message", ""); }
};

template <typename T>
using ApiResult = std::expected<T, ApiError>;

/// Which resource a refusal is about.
struct ErrorSubject {
  std::string group;
  std::string plural;
  std::string kind;

  /// "pods" or "redisclusters.slotwright.dev".
  [[nodiscard]] std::string QualifiedName() const { return group.empty() ? plural : plural + "." + group; }
  [[nodiscard]] std::string QualifiedKind() const { return group.empty() ? kind : kind + "." + group; }
};

[[nodiscard]] ApiError MakeError(int code, const std::string& reason, const std::string& message,
                                 Json details = Json());
[[nodiscard]] ApiError NotFound(const ErrorSubject& subject, const std::string& name);
[[nodiscard]] ApiError AlreadyExists(const ErrorSubject& subject, const std::string& name);
/// The words that clients know by heart: somebody else changed the object.
[[nodiscard]] ApiError Modified(const ErrorSubject& subject, const std::string& name);
[[nodiscard]] ApiError Conflict(const ErrorSubject& subject, const std::string& name, const std::string& why);
[[nodiscard]] ApiError Invalid(const ErrorSubject& subject, const std::string& name, const Causes& causes);
[[nodiscard]] ApiError BadRequest(const std::string& message);
[[nodiscard]] ApiError Forbidden(const ErrorSubject& subject, const std::string& name, const std::string& why,
                                 const Causes& causes = {});
[[nodiscard]] ApiError Expired(const std::string& message);
[[nodiscard]] ApiError MethodNotAllowed();
[[nodiscard]] ApiError NoSuchPath();

/// The answer to a deletion that left nothing behind.
[[nodiscard]] Json SuccessStatus(const ErrorSubject& subject, const std::string& name, const std::string& uid);

}  // namespace slotwright::local::apiserver
