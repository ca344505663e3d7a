#include "cluster/rotation.hpp"

#include "cluster/json_reading.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <array>

namespace pgkeel::cluster {

namespace {
namespace json = boost::json;

constexpr std::array phases{RotationPhase::prepare, RotationPhase::commit, RotationPhase::finish};

std::vector<std::string> texts_of(const json::object& in, std::string_view name) {
    std::vector<std::string> texts;
    const json::value* value = in.if_contains(name);
    if (value == nullptr || !value->is_array()) return texts;
    for (const json::value& one : value->get_array())
        if (one.is_string()) texts.emplace_back(one.get_string());
    return texts;
}
}  // namespace

std::string_view to_string(RotationPhase phase) {
    switch (phase) {
        case RotationPhase::prepare:
            return "prepare";
        case RotationPhase::commit:
            return "commit";
        case RotationPhase::finish:
            return "finish";
    }
    return "";
}

std::string write_rotation(const Rotation& rotation) {
    return json::serialize(json::object{{"id", rotation.id},
                                        {"phase", to_string(rotation.phase)},
                                        {"roles", json::array(rotation.roles.begin(), rotation.roles.end())},
                                        {"members", json::array(rotation.members.begin(), rotation.members.end())}});
}

std::optional<Rotation> read_rotation(const etcd::KeyValue& value) {
    const auto object = read_object(value.value);
    if (!object) return std::nullopt;
    Rotation rotation{.id = text_of(*object, "id"),
                      .roles = texts_of(*object, "roles"),
                      .members = texts_of(*object, "members"),
                      .mod_revision = value.mod_revision};
    const std::string phase = text_of(*object, "phase");
    for (const RotationPhase one : phases)
        if (phase == to_string(one)) {
            rotation.phase = one;
            if (!rotation.id.empty() && !rotation.roles.empty()) return rotation;
        }
    return std::nullopt;
}

}  // namespace pgkeel::cluster
