// The wordings of k8s.io/apimachinery: pkg/api/errors and pkg/util/validation/field.
#include "local/apiserver/api_status.h"

#include <fmt/format.h>

namespace slotwright::local::apiserver {

Cause InvalidWhole(const std::string& field, const std::string& detail) {
  return {"FieldValueInvalid", "Invalid value: " + detail, field};
}

Cause InvalidValue(const std::string& field, const Json& value, const std::string& detail) {
  return {"FieldValueInvalid", fmt::format("Invalid value: {}: {}", value.dump(), detail), field};
}

Cause WrongType(const std::string& field, const std::string& actual_type, const std::string& detail) {
  return {"FieldValueTypeInvalid", fmt::format("Invalid value: \"{}\": {}", actual_type, detail), field};
}

Cause RequiredValue(const std::string& field, const std::string& detail) {
  return {"FieldValueRequired", detail.empty() ? "Required value" : "Required value: " + detail, field};
}

Cause DuplicateValue(const std::string& field, const Json& value) {
  return {"FieldValueDuplicate", "Duplicate value: " + value.dump(), field};
}

Cause UnsupportedValue(const std::string& field, const Json& value, const Json& supported) {
  std::string list;
  for (const auto& one : supported) list += (list.empty() ? "" : ", ") + one.dump();
  return {"FieldValueNotSupported", fmt::format("Unsupported value: {}: supported values: {}", value.dump(), list),
          field};
}

Cause ForbiddenValue(const std::string& field, const std::string& detail) {
  return {"FieldValueForbidden", "Forbidden: " + detail, field};
}

Cause TooLong(const std::string& field, size_t limit) {
  return {"FieldValueTooLong", fmt::format("Too long: may not be more than {} bytes", limit), field};
}

Cause TooMany(const std::string& field, size_t actual, size_t limit) {
  return {"FieldValueTooMany", fmt::format("Too many: {}: must have at most {} items", actual, limit), field};
}

namespace {

Json DetailsOf(const ErrorSubject& subject, const std::string& name) {
  Json details = {{"name", name}, {"kind", subject.plural}};
  if (!subject.group.empty()) details["group"] = subject.group;
  return details;
}

Json ToJson(const Causes& causes) {
  Json list = Json::array();
  for (const auto& cause : causes) {
    list.push_back({{"reason", cause.reason}, {"message", cause.message}, {"field", cause.field}});
  }
  return list;
}

std::string JoinCauses(const Causes& causes) {
  std::string text;
  for (const auto& cause : causes) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", cause.field, cause.message);
  }
  return causes.size() == 1 ? text : "[" + text + "]";
}

}  // namespace

ApiError MakeError(int code, const std::string& reason, const std::string& message, Json details) {
  Json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
                 {"status", "Failure"}, {"message", message}, {"code", code}};
  if (!reason.empty()) status["reason"] = reason;
  if (!details.is_null()) status["details"] = std::move(details);
  return {.code = code, .status = std::move(status)};
}

ApiError NotFound(const ErrorSubject& subject, const std::string& name) {
  return MakeError(404, "NotFound", fmt::format("{} \"{}\" not found", subject.QualifiedName(), name),
                   DetailsOf(subject, name));
}

ApiError AlreadyExists(const ErrorSubject& subject, const std::string& name) {
  return MakeError(409, "AlreadyExists", fmt::format("{} \"{}\" already exists", subject.QualifiedName(), name),
                   DetailsOf(subject, name));
}

ApiError Modified(const ErrorSubject& subject, const std::string& name) {
  return Conflict(subject, name,
                  "the object has been modified; please apply your changes to the latest version and try again");
}

ApiError Conflict(const ErrorSubject& subject, const std::string& name, const std::string& why) {
  return MakeError(409, "Conflict",
                   fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", subject.QualifiedName(), name, why),
                   DetailsOf(subject, name));
}

ApiError Invalid(const ErrorSubject& subject, const std::string& name, const Causes& causes) {
  Json details = DetailsOf(subject, name);
  details["kind"] = subject.kind;
  details["causes"] = ToJson(causes);
  return MakeError(422, "Invalid",
                   fmt::format("{} \"{}\" is invalid: {}", subject.QualifiedKind(), name, JoinCauses(causes)),
                   std::move(details));
}

ApiError BadRequest(const std::string& message) { return MakeError(400, "BadRequest", message); }

ApiError Forbidden(const ErrorSubject& subject, const std::string& name, const std::string& why, const Causes& causes) {
  Json details = DetailsOf(subject, name);
  if (!causes.empty()) details["causes"] = ToJson(causes);
  return MakeError(403, "Forbidden", fmt::format("{} \"{}\" is forbidden: {}", subject.QualifiedName(), name, why),
                   std::move(details));
}

ApiError Expired(const std::string& message) { return MakeError(410, "Expired", message); }

ApiError MethodNotAllowed() {
  return MakeError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

ApiError NoSuchPath() {
  return MakeError(404, "NotFound", "the server could not find the requested resource", Json::object());
}

Json SuccessStatus(const ErrorSubject& subject, const std::string& name, const std::string& uid) {
  Json details = DetailsOf(subject, name);
  details["uid"] = uid;
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", Json::object()},
          {"status", "Success"},
          {"details", std::move(details)}};
}

}  // namespace slotwright::local::apiserver
