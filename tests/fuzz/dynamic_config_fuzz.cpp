#include "config/dynamic_config.hpp"
#include "require.hpp"

#include <boost/json/parse.hpp>

#include <cstdint>
#include <string>

// Whatever an operator put into etcd: settings that decisions can rest on. One JSON document; with a zero byte in it,
// the second half is a patch for the first.

namespace {

using namespace pgkeel;
namespace json = boost::json;

json::object parse(std::string_view text) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    return !error && value.is_object() ? std::move(value.get_object()) : json::object();
}

void check(const json::object& dynamic, bool patroni_members) {
    std::vector<std::string> warnings;
    const ClusterSettings found = config::settings_of(dynamic, patroni_members, warnings);
    const std::chrono::seconds year(365 * 86400);
    REQUIRE(found.ttl >= std::chrono::seconds(patroni_members ? 20 : 3) && found.ttl <= year);
    REQUIRE(found.loop_wait >= std::chrono::seconds(1) && found.loop_wait <= year);
    REQUIRE(found.retry_timeout >= std::chrono::seconds(patroni_members ? 3 : 1) && found.retry_timeout <= year);
    if (patroni_members)
        REQUIRE(found.loop_wait + 2 * found.retry_timeout <= found.ttl);
    else
        REQUIRE(3 * found.loop_wait <= found.ttl);
    REQUIRE(found.primary_start_timeout >= std::chrono::seconds(0) && found.primary_start_timeout <= year);
    REQUIRE(found.primary_stop_timeout >= std::chrono::seconds(0) && found.primary_stop_timeout <= year);
    REQUIRE(found.synchronous_node_count >= 1 && found.synchronous_node_count <= 1000);
    REQUIRE(found.synchronous_mode == SynchronousMode::off || !found.standby_cluster);
    // What may be stored without complaint is also used without one, except for the timeouts' rules among each other.
    if (config::validate_dynamic(dynamic))
        for (const std::string& warning : warnings) REQUIRE(!warning.starts_with("dynamic configuration"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto zero = std::min(text.find('\0'), text.size());
    json::object dynamic = parse(text.substr(0, zero));
    check(dynamic, false);
    check(dynamic, true);
    (void)config::misspelt_dynamic_keys(dynamic);
    REQUIRE(config::deep_equal(dynamic, dynamic));

    const json::object patch = parse(text.substr(std::min(zero + 1, text.size())));
    const json::object before = dynamic;
    const bool changed = config::merge_patch(dynamic, patch);
    if (!changed) REQUIRE(config::deep_equal(before, dynamic));
    REQUIRE(!config::merge_patch(dynamic, patch));
    check(dynamic, false);
    return 0;
}
