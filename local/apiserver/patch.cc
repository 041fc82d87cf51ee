// See patch.h. Strategic merge: k8s.io/apimachinery/pkg/util/strategicpatch.
#include "local/apiserver/patch.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::local::apiserver {

using reconciler::StringAt;

namespace {

constexpr std::string_view kOrderPrefix = "$setElementOrder/";
constexpr std::string_view kDeletePrefix = "$deleteFromPrimitiveList/";

ApiError Unprocessable(const std::string& why) {
  Json details = {{"causes", Json::array({{{"reason", "UnexpectedServerResponse"}, {"message", why}}})}};
  return MakeError(422, "Invalid", "the server rejected our request due to an error in our request", details);
}

bool Contains(const Json& list, const Json& value) { return std::ranges::find(list, value) != list.end(); }

class StrategicMerge {
 public:
  // `base` is null where the patch adds a whole new object.
  Json Map(const Json& base, const Json& patch, const MergeType& type) const {
    const std::string directive = StringAt(patch, {"$patch"});
    Json result = directive == "replace" || !base.is_object() ? Json::object() : base;
    if (directive == "delete") return Json::object();
    RetainKeys(result, patch);
    for (const auto& [key, value] : patch.items()) {
      if (key == "$patch" || key == "$retainKeys" || key.starts_with(kOrderPrefix)) continue;
      if (key.starts_with(kDeletePrefix)) {
        DeletePrimitives(result, key.substr(kDeletePrefix.size()), value);
      } else if (value.is_null()) {
        result.erase(key);
      } else {
        result[key] = Value(result.value(key, Json()), value, type.Field(key));
      }
    }
    for (const auto& [key, order] : patch.items()) {
      if (key.starts_with(kOrderPrefix)) Reorder(result, key.substr(kOrderPrefix.size()), order, type);
    }
    return result;
  }

 private:
  Json Value(const Json& base, const Json& patch, const MergeType& type) const {
    if (patch.is_object()) return Map(base, patch, type);
    if (!patch.is_array()) return patch;
    if (type.list_type() == ListType::kSet) return Union(base, patch);
    const std::string key = type.PatchMergeKey();
    return key.empty() ? patch : List(base, patch, key, type.Element());
  }

  static void RetainKeys(Json& result, const Json& patch) {
    const auto keys = patch.find("$retainKeys");
    if (keys == patch.end()) return;
    for (auto entry = result.begin(); entry != result.end();) {
      entry = Contains(*keys, entry.key()) ? std::next(entry) : result.erase(entry);
    }
  }

  static void DeletePrimitives(Json& result, const std::string& key, const Json& values) {
    if (!result.contains(key) || !result[key].is_array()) return;
    Json kept = Json::array();
    for (const auto& element : result[key]) {
      if (!Contains(values, element)) kept.push_back(element);
    }
    result[key] = kept;
  }

  static Json Union(const Json& base, const Json& patch) {
    Json result = base.is_array() ? base : Json::array();
    for (const auto& element : patch) {
      if (!Contains(result, element)) result.push_back(element);
    }
    return result;
  }

  Json List(const Json& base, const Json& patch, const std::string& key, const MergeType& type) const {
    Json result = base.is_array() ? base : Json::array();
    for (const auto& element : patch) {
      if (StringAt(element, {"$patch"}) == "replace") result = Json::array();
    }
    for (const auto& element : patch) {
      const std::string directive = StringAt(element, {"$patch"});
      if (!element.is_object() || directive == "replace") continue;
      const auto found = std::ranges::find_if(result, [&](const Json& one) {
        return one.is_object() && element.contains(key) && one.value(key, Json()) == element[key];
      });
      if (directive == "delete") {
        if (found != result.end()) result.erase(found);
      } else if (found == result.end()) {
        result.push_back(Map(Json(), element, type));
      } else {
        *found = Map(*found, element, type);
      }
    }
    return result;
  }

  // Listed elements take their listed order, in the places of listed elements; the others stay where they are.
  static void Reorder(Json& result, const std::string& key, const Json& order, const MergeType& type) {
    if (!result.contains(key) || !result[key].is_array()) return;
    const std::string merge_key = type.Field(key).PatchMergeKey();
    const auto rank = [&](const Json& element) {
      for (size_t i = 0; i < order.size(); ++i) {
        const bool same = order[i].is_object() && element.is_object()
                              ? order[i].value(merge_key, Json()) == element.value(merge_key, Json(false))
                              : order[i] == element;
        if (same) return i;
      }
      return order.size();
    };
    std::vector<Json> listed;
    for (const auto& element : result[key]) {
      if (rank(element) < order.size()) listed.push_back(element);
    }
    std::ranges::stable_sort(listed, {}, rank);
    auto next = listed.begin();
    for (auto& element : result[key]) {
      if (rank(element) < order.size()) element = *next++;
    }
  }
};

}  // namespace

ApiResult<Json> JsonPatch(const Json& object, const Json& patch) {
  if (!patch.is_array()) return std::unexpected(BadRequest("a JSON patch must be a list of operations"));
  try {
    return object.patch(patch);
  } catch (const Json::exception& error) {
    // Without the library's own number and name of the error.
    const std::string_view what = error.what();
    return std::unexpected(
        Unprocessable(fmt::format("the JSON patch does not apply: {}", what.substr(what.find("] ") + 2))));
  }
}

ApiResult<Json> MergePatch(const Json& object, const Json& patch) {
  if (!patch.is_object()) return std::unexpected(BadRequest("a merge patch must be a JSON object"));
  Json result = object;
  result.merge_patch(patch);
  return result;
}

ApiResult<Json> StrategicMergePatch(const Json& object, const Json& patch, const MergeType& type) {
  if (!patch.is_object()) return std::unexpected(BadRequest("a strategic merge patch must be a JSON object"));
  try {
    return StrategicMerge().Map(object, patch, type);
  } catch (const Json::exception& error) {  // a directive of another type than it should have
    return std::unexpected(Unprocessable(error.what()));
  }
}

}  // namespace slotwright::local::apiserver
