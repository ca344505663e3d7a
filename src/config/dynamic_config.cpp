#include "config/dynamic_config.hpp"

#include "config/options.hpp"
#include "config/slot_settings.hpp"

#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>

// What an operator stored may be anything: every value is checked by its declaration, and a wrong one costs a warning,
// not the agent.

namespace pgkeel::config {
namespace {

/// Reads by the table: the value that is set and allowed, else the default.
class Reader {
  public:
    Reader(const json::object& dynamic, std::vector<std::string>& warnings) : dynamic_(dynamic), warnings_(warnings) {}

    bool has(std::string_view path) const { return find_value(dynamic_, path) != nullptr; }

    std::int64_t number(std::string_view path) { return *whole_number(allowed(path), declaration(path).unit); }

    /// A number below its minimum becomes the minimum, as Patroni does with its timeouts.
    std::int64_t number_raised(std::string_view path) {
        const Option& option = declaration(path);
        const auto* value = find_value(dynamic_, path);
        const auto found = value != nullptr ? whole_number(*value, option.unit) : std::nullopt;
        if (!found || *found >= option.minimum) return number(path);
        warnings_.push_back(fmt::format("{}={} can't be smaller than {}, adjusting...", path, *found, option.minimum));
        return option.minimum;
    }

    bool flag(std::string_view path) { return *parse_bool(allowed(path)); }

    /// In lower case; booleans as on and off.
    std::string choice(std::string_view path) {
        const json::value value = allowed(path);
        if (const auto flag = parse_bool(value)) return *flag ? "on" : "off";
        std::string word = scalar_text(value).value_or("");
        std::ranges::transform(word, word.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        return word;
    }

  private:
    static const Option& declaration(std::string_view path) { return *find_option(dynamic_options(), path); }

    json::value allowed(std::string_view path) {
        const Option& option = declaration(path);
        if (const auto* value = find_value(dynamic_, path)) {
            const auto fits = check_value(option, *value);
            if (fits) return *value;
            warnings_.push_back(
                fmt::format("dynamic configuration: {}: {}, taking {}", path, fits.error().text, option.default_value));
        }
        return json::string(option.default_value);
    }

    const json::object& dynamic_;
    std::vector<std::string>& warnings_;
};

struct Timeouts {
    std::int64_t ttl;
    std::int64_t loop_wait;
    std::int64_t retry_timeout;
};

/// Patroni's rule since 3.2.0: its members hold the lease for at least 20 s whatever is stored, so ours must not end
/// earlier.
Timeouts beside_patroni(Timeouts stored, std::vector<std::string>& warnings) {
    constexpr std::int64_t ttl_min = 20;
    constexpr std::int64_t retry_timeout_min = 3;
    constexpr std::int64_t loop_wait_min = 1;
    const auto raise = [&](const char* name, std::int64_t& value, std::int64_t minimum) {
        if (value >= minimum) return;
        warnings.push_back(fmt::format("{}={} can't be smaller than {}, adjusting...", name, value, minimum));
        value = minimum;
    };
    Timeouts out = stored;
    raise("retry_timeout", out.retry_timeout, retry_timeout_min);
    raise("ttl", out.ttl, ttl_min);
    if (out.loop_wait + 2 * out.retry_timeout <= out.ttl) return out;
    const Timeouts before = out;
    out.loop_wait = out.ttl - 2 * out.retry_timeout;
    if (out.loop_wait < loop_wait_min) {
        out.loop_wait = loop_wait_min;
        out.retry_timeout = (out.ttl - loop_wait_min) / 2;
    }
    warnings.push_back(
        fmt::format("Violated the rule \"loop_wait + 2*retry_timeout <= ttl\", where ttl={}. Adjusting loop_wait "
                    "from {} to {} and retry_timeout from {} to {}",
                    out.ttl, before.loop_wait, out.loop_wait, before.retry_timeout, out.retry_timeout));
    return out;
}

/// Among ourselves the lease is renewed three times before it would end.
Timeouts among_ourselves(Timeouts stored, std::vector<std::string>& warnings) {
    const std::int64_t loop_wait_max = stored.ttl / 3;
    if (stored.loop_wait <= loop_wait_max) return stored;
    warnings.push_back(fmt::format("loop_wait={} is more than a third of ttl={}, adjusting to {}", stored.loop_wait,
                                   stored.ttl, loop_wait_max));
    stored.loop_wait = loop_wait_max;
    return stored;
}

/// Set to something: not null, empty, zero or false.
bool is_set(const json::object& dynamic, std::string_view path) {
    const auto* value = find_value(dynamic, path);
    if (value == nullptr) return false;
    const auto text = scalar_text(*value);
    return text && !text->empty() && *text != "0" && *text != "false";
}

}  // namespace

ClusterSettings settings_of(const json::object& dynamic, bool patroni_members, std::vector<std::string>& warnings) {
    Reader read(dynamic, warnings);
    ClusterSettings out;

    Timeouts timeouts{.ttl = read.number_raised("ttl"),
                      .loop_wait = read.number_raised("loop_wait"),
                      .retry_timeout = read.number_raised("retry_timeout")};
    timeouts = patroni_members ? beside_patroni(timeouts, warnings) : among_ourselves(timeouts, warnings);
    out.ttl = std::chrono::seconds(timeouts.ttl);
    out.loop_wait = std::chrono::seconds(timeouts.loop_wait);
    out.retry_timeout = std::chrono::seconds(timeouts.retry_timeout);

    const auto time = [&](std::string_view path) { return std::chrono::seconds(read.number(path)); };
    const auto renamed = [&](std::string_view path, std::string_view older) {
        if (read.has(path) || !read.has(older)) return time(path);
        // The older name has no default of its own, so a wrong value falls back to the newer one's.
        const auto fits = check_value(*find_option(dynamic_options(), older), *find_value(dynamic, older));
        if (fits) return time(older);
        warnings.push_back(fmt::format("dynamic configuration: {}: {}", older, fits.error().text));
        return time(path);
    };
    out.primary_start_timeout = renamed("primary_start_timeout", "master_start_timeout");
    out.primary_stop_timeout = renamed("primary_stop_timeout", "master_stop_timeout");
    out.primary_race_backoff = time("primary_race_backoff");
    out.member_slots_ttl = time("member_slots_ttl");
    out.maximum_lag_on_failover_bytes = static_cast<std::uint64_t>(read.number("maximum_lag_on_failover"));
    out.check_timeline = read.flag("check_timeline");
    out.max_timelines_history = static_cast<std::uint32_t>(read.number("max_timelines_history"));

    out.standby_cluster = is_set(dynamic, "standby_cluster.host") || is_set(dynamic, "standby_cluster.port") ||
                          is_set(dynamic, "standby_cluster.restore_command");
    const std::string mode = read.choice("synchronous_mode");
    if (!out.standby_cluster && mode != "off")
        out.synchronous_mode = mode == "quorum" ? SynchronousMode::quorum : SynchronousMode::on;
    out.synchronous_mode_strict = read.flag("synchronous_mode_strict");
    out.synchronous_node_count = static_cast<std::uint32_t>(read.number("synchronous_node_count"));
    out.maximum_lag_on_syncnode_bytes = read.number("maximum_lag_on_syncnode");
    out.failsafe_mode = read.flag("failsafe_mode");
    out.pause = read.flag("pause");
    out.use_slots = read.flag("postgresql.use_slots");
    out.use_pg_rewind = read.flag("postgresql.use_pg_rewind");
    read_slot_settings(dynamic, out, warnings);
    return out;
}

Result<> validate_dynamic(const json::object& dynamic) {
    for (const Finding& finding : check_keys(dynamic, dynamic_options()))
        if (!finding.unknown)
            return fail(Errc::invalid_input, fmt::format("dynamic configuration: {}: {}", finding.path, finding.text),
                        finding.hint);
    return {};
}

std::vector<std::string> misspelt_dynamic_keys(const json::object& dynamic) {
    std::vector<std::string> out;
    for (const Finding& finding : check_keys(dynamic, dynamic_options()))
        if (finding.unknown && !finding.hint.empty())
            out.push_back(fmt::format("dynamic configuration: {} {}, {}", finding.path, finding.text, finding.hint));
    return out;
}

}  // namespace pgkeel::config
