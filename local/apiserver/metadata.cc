// See metadata.h. Wordings: k8s.io/apimachinery/pkg/util/validation and pkg/api/validation.
#include "local/apiserver/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

bool IsLowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool IsLabelText(std::string_view text, size_t longest) {
  if (text.empty() || text.size() > longest || !IsAlnum(text.front()) || !IsAlnum(text.back())) return false;
  return std::ranges::all_of(text, [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

constexpr const char* kQualifiedNameMessage =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr const char* kLabelValueMessage =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr const char* kSubdomainMessage =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const std::set<std::string> kMetadataFields = {
    "name",        "generateName",    "namespace",         "selfLink",   "uid",
    "generation",  "resourceVersion", "creationTimestamp", "labels",     "deletionTimestamp",
    "annotations", "ownerReferences", "managedFields",     "finalizers", "deletionGracePeriodSeconds"};

ApiError Undecodable(const Json& value, const std::string& field, const std::string& type) {
  return BadRequest(fmt::format("json: cannot unmarshal {} into Go struct field ObjectMeta.{} of type {}",
                                value.type_name(), field, type));
}

ApiResult<void> CheckStringMap(const Json& metadata, const std::string& name) {
  const auto map = metadata.find(name);
  if (map == metadata.end()) return {};
  if (!map->is_object()) return std::unexpected(Undecodable(*map, "metadata." + name, "map[string]string"));
  for (const auto& value : *map) {
    if (!value.is_string()) return std::unexpected(Undecodable(value, "metadata." + name, "string"));
  }
  return {};
}

// Absent and empty mean the same; a stored object has it absent.
void DropEmpty(Json& metadata) {
  for (auto field = metadata.begin(); field != metadata.end();) {
    const bool empty = field->is_null() || (field->is_structured() && field->empty()) ||
                       (field->is_string() && field->get_ref<const std::string&>().empty());
    field = empty ? metadata.erase(field) : std::next(field);
  }
}

void ValidateName(NameRule rule, const std::string& name, Causes& causes) {
  switch (rule) {
    case NameRule::kSubdomain:
      if (!IsDnsSubdomain(name)) causes.push_back(InvalidValue("metadata.name", name, kSubdomainMessage));
      break;
    case NameRule::kLabel:
      if (!IsDnsLabel(name)) causes.push_back(InvalidValue("metadata.name", name, DnsLabelMessage()));
      break;
    case NameRule::kPathSegment:
      if (name == "." || name == ".." || name.find_first_of("/%") != std::string::npos) {
        causes.push_back(InvalidValue("metadata.name", name, "may not contain '/' or '%' or be '.' or '..'"));
      }
      break;
  }
}

void ValidateLabels(const Json& object, Causes& causes) {
  if (const Json* labels = ValueAt(object, {"metadata", "labels"})) {
    for (const auto& [key, value] : labels->items()) {
      if (!IsQualifiedName(key)) causes.push_back(InvalidValue("metadata.labels", key, kQualifiedNameMessage));
      const auto& text = value.get_ref<const std::string&>();
      if (!text.empty() && !IsLabelText(text, 63)) {
        causes.push_back(InvalidValue("metadata.labels", value,
                                      text.size() > 63 ? "must be no more than 63 bytes" : kLabelValueMessage));
      }
    }
  }
  if (const Json* annotations = ValueAt(object, {"metadata", "annotations"})) {
    size_t total = 0;
    for (const auto& [key, value] : annotations->items()) {
      std::string lower = key;
      std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
      if (!IsQualifiedName(lower)) causes.push_back(InvalidValue("metadata.annotations", key, kQualifiedNameMessage));
      total += key.size() + value.get_ref<const std::string&>().size();
    }
    constexpr size_t kLargest = size_t{256} * 1024;
    if (total > kLargest) causes.push_back(TooLong("metadata.annotations", kLargest));
  }
}

void ValidateOwners(const Json& object, Causes& causes) {
  const Json* owners = ValueAt(object, {"metadata", "ownerReferences"});
  if (owners == nullptr) return;
  std::string controller;
  for (size_t i = 0; i < owners->size(); ++i) {
    const Json& owner = (*owners)[i];
    const std::string field = fmt::format("metadata.ownerReferences[{}]", i);
    for (const char* name : {"apiVersion", "kind", "name", "uid"}) {
      if (StringAt(owner, {name}).empty()) {
        causes.push_back(InvalidValue(ChildField(field, name), "", name + std::string(" must not be empty")));
      }
    }
    const Json* flag = ValueAt(owner, {"controller"});
    if (flag == nullptr || *flag != true) continue;
    if (!controller.empty()) {
      causes.push_back(InvalidValue(
          "metadata.ownerReferences", *owners,
          fmt::format("Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                      controller, StringAt(owner, {"name"}))));
    }
    controller = StringAt(owner, {"name"});
  }
}

void ValidateFinalizers(const Json& object, const Json* before, Causes& causes) {
  const Json* finalizers = ValueAt(object, {"metadata", "finalizers"});
  if (finalizers == nullptr) return;
  std::string added;
  for (const auto& finalizer : *finalizers) {
    if (!IsQualifiedName(finalizer.get<std::string>())) {
      causes.push_back(InvalidValue("metadata.finalizers", finalizer, kQualifiedNameMessage));
    }
    const Json* old = before == nullptr ? nullptr : ValueAt(*before, {"metadata", "finalizers"});
    const bool is_old = old != nullptr && std::ranges::find(*old, finalizer) != old->end();
    if (!is_old) added += (added.empty() ? "" : ", ") + finalizer.dump();
  }
  if (before != nullptr && reconciler::IsBeingDeleted(*before) && !added.empty()) {
    causes.push_back(ForbiddenValue(
        "metadata.finalizers",
        fmt::format(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added)));
  }
}

}  // namespace

bool IsDnsLabel(const std::string& name) {
  if (name.empty() || name.size() > 63 || !IsLowerAlnum(name.front()) || !IsLowerAlnum(name.back())) return false;
  return std::ranges::all_of(name, [](char c) { return IsLowerAlnum(c) || c == '-'; });
}

bool IsQualifiedName(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return IsLabelText(name, 63);
  return IsDnsSubdomain(name.substr(0, slash)) && IsLabelText(std::string_view(name).substr(slash + 1), 63);
}

bool IsLabelValue(const std::string& value) { return value.empty() || IsLabelText(value, 63); }

bool IsDnsSubdomain(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  char before = '.';
  for (const char c : name) {
    if (c != '-' && c != '.' && !IsLowerAlnum(c)) return false;
    if (!IsLowerAlnum(c) && before == '.') return false;
    if (c == '.' && !IsLowerAlnum(before)) return false;
    before = c;
  }
  return IsLowerAlnum(before);
}

std::string DnsLabelMessage() {
  return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
         "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
}

ApiResult<void> NormalizeMetadata(Json& object, std::vector<std::string>& unknown) {
  Json& metadata = object["metadata"];
  if (metadata.is_null()) metadata = Json::object();
  if (!metadata.is_object()) return std::unexpected(Undecodable(metadata, "metadata", "v1.ObjectMeta"));
  for (auto field = metadata.begin(); field != metadata.end();) {
    if (kMetadataFields.contains(field.key())) {
      ++field;
    } else {
      unknown.push_back("metadata." + field.key());
      field = metadata.erase(field);
    }
  }
  DropEmpty(metadata);
  for (const char* name : {"name", "generateName", "namespace", "uid", "resourceVersion"}) {
    if (metadata.contains(name) && !metadata[name].is_string()) {
      return std::unexpected(Undecodable(metadata[name], std::string("metadata.") + name, "string"));
    }
  }
  for (const char* name : {"labels", "annotations"}) {
    if (auto checked = CheckStringMap(metadata, name); !checked) return checked;
  }
  for (const char* name : {"finalizers", "ownerReferences", "managedFields"}) {
    if (!metadata.contains(name)) continue;
    const bool strings = name == std::string("finalizers");
    const Json& list = metadata[name];
    const bool right = list.is_array() && std::ranges::all_of(list, [strings](const Json& one) {
                         return strings ? one.is_string() : one.is_object();
                       });
    if (!right)
      return std::unexpected(Undecodable(list, std::string("metadata.") + name, strings ? "[]string" : "list"));
  }
  return {};
}

void CarryServerFields(Json& object, const Json* before) {
  Json& metadata = object["metadata"];
  for (const char* name : {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
                           "selfLink", "resourceVersion"}) {
    const Json* old = before == nullptr ? nullptr : ValueAt(*before, {"metadata", name});
    if (old != nullptr) {
      metadata[name] = *old;
    } else {
      metadata.erase(name);
    }
  }
}

void ValidateMetadata(const Resource& resource, const Json& object, const Json* before, Causes& causes) {
  const std::string name = reconciler::KeyOf(object).name;
  if (name.empty()) {
    causes.push_back(RequiredValue("metadata.name", "name or generateName is required"));
  } else {
    ValidateName(resource.name_rule, name, causes);
  }
  ValidateLabels(object, causes);
  ValidateOwners(object, causes);
  ValidateFinalizers(object, before, causes);
}

}  // namespace slotwright::local::apiserver
