#include "cluster/json_reading.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

namespace pgkeel::cluster {
namespace {

namespace json = boost::json;

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

/// A priority tag may be negative, which says the same as zero.
std::optional<int> priority_of(const json::object& tags, std::string_view name) {
    const json::value* value = tags.if_contains(name);
    if (value == nullptr) return std::nullopt;
    std::int64_t number = 0;
    if (value->is_int64()) {
        number = value->get_int64();
    } else if (value->is_string()) {
        const json::string& text = value->get_string();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    } else {
        return std::nullopt;
    }
    return static_cast<int>(std::clamp<std::int64_t>(number, 0, std::numeric_limits<int>::max()));
}

struct BoolAndPriority {
    bool forbidden;
    int priority;
};

/// `nofailover` and `failover_priority` (likewise `nosync`) say the same thing twice: the truth value has precedence.
BoolAndPriority read_pair(const json::object& tags, std::string_view bool_name, std::string_view priority_name) {
    const std::optional<int> priority = priority_of(tags, priority_name);
    const json::value* given = tags.if_contains(bool_name);
    const bool forbidden = given != nullptr && !given->is_null() ? truth_of(tags, bool_name) : priority == 0;
    return {forbidden, forbidden ? 0 : priority.value_or(1)};
}

}  // namespace

std::optional<json::object> read_object(std::string_view text) {
    boost::system::error_code error;
    json::value value = json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string text_of(const json::object& in, std::string_view name) {
    const json::value* value = in.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return {value->get_string().data(), value->get_string().size()};
}

std::optional<std::uint64_t> number_of(const json::value* value) {
    if (value == nullptr) return std::nullopt;
    if (value->is_uint64()) return value->get_uint64();
    if (value->is_int64() && value->get_int64() >= 0) return static_cast<std::uint64_t>(value->get_int64());
    if (!value->is_string()) return std::nullopt;
    const json::string& text = value->get_string();
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

Lsn lsn_of(const json::object& in, std::string_view name) {
    return Lsn{number_of(in.if_contains(name)).value_or(0)};
}

Timeline timeline_of(const json::object& in, std::string_view name) {
    const std::uint64_t number = number_of(in.if_contains(name)).value_or(0);
    if (number > std::numeric_limits<std::uint32_t>::max()) return {};
    return Timeline{static_cast<std::uint32_t>(number)};
}

bool truth_of(const json::object& in, std::string_view name) {
    const json::value* value = in.if_contains(name);
    if (value == nullptr) return false;
    if (const bool* truth = value->if_bool()) return *truth;
    if (value->is_int64()) return value->get_int64() != 0;
    if (value->is_uint64()) return value->get_uint64() != 0;
    if (!value->is_string()) return false;
    const std::string text = lower(std::string_view(value->get_string().data(), value->get_string().size()));
    return text == "true" || text == "on" || text == "yes" || text == "t" || text == "y" || text == "1";
}

const json::object* object_of(const json::object& in, std::string_view name) {
    const json::value* value = in.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

Tags read_tags(const json::object* tags) {
    Tags result;
    if (tags == nullptr) return result;
    const auto failover = read_pair(*tags, "nofailover", "failover_priority");
    result.nofailover = failover.forbidden;
    result.failover_priority = failover.priority;
    const auto sync = read_pair(*tags, "nosync", "sync_priority");
    result.nosync = sync.forbidden;
    result.sync_priority = sync.priority;
    result.noloadbalance = truth_of(*tags, "noloadbalance");
    result.clonefrom = truth_of(*tags, "clonefrom");
    result.nostream = truth_of(*tags, "nostream");
    result.replicatefrom = text_of(*tags, "replicatefrom");
    return result;
}

}  // namespace pgkeel::cluster
