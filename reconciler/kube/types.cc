// Reading metadata without surprises.
#include "reconciler/kube/types.h"

namespace reconciler {

const Json* ValueAt(const Json& object, std::initializer_list<const char*> path) {
  const Json* value = &object;
  for (const char* key : path) {
    if (!value->is_object()) return nullptr;
    const auto found = value->find(key);
    if (found == value->end()) return nullptr;
    value = &*found;
  }
  return value;
}

std::string StringAt(const Json& object, std::initializer_list<const char*> path) {
  const Json* value = ValueAt(object, path);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

ObjectKey KeyOf(const Json& object) {
  return {StringAt(object, {"metadata", "namespace"}), StringAt(object, {"metadata", "name"})};
}

std::string UidOf(const Json& object) { return StringAt(object, {"metadata", "uid"}); }
std::string ResourceVersionOf(const Json& object) { return StringAt(object, {"metadata", "resourceVersion"}); }

std::string LabelOf(const Json& object, const std::string& label) {
  return StringAt(object, {"metadata", "labels", label.c_str()});
}

std::string AnnotationOf(const Json& object, const std::string& annotation) {
  return StringAt(object, {"metadata", "annotations", annotation.c_str()});
}

bool IsBeingDeleted(const Json& object) { return !StringAt(object, {"metadata", "deletionTimestamp"}).empty(); }

std::string ControllerUidOf(const Json& object) {
  const Json* owners = ValueAt(object, {"metadata", "ownerReferences"});
  if (owners == nullptr || !owners->is_array()) return "";
  for (const auto& owner : *owners) {
    const Json* controller = ValueAt(owner, {"controller"});
    if (controller != nullptr && controller->is_boolean() && controller->get<bool>()) return StringAt(owner, {"uid"});
  }
  return "";
}

}  // namespace reconciler
