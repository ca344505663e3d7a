#include "log/line.hpp"
#include "log/output.hpp"

#include <fmt/format.h>

#include <syslog.h>

#include <algorithm>
#include <array>
#include <set>

namespace pgkeel::log {
namespace {

struct Facility {
    std::string_view name;
    int number;
};
constexpr std::array facilities{
    Facility{"auth", LOG_AUTH},     Facility{"authpriv", LOG_AUTHPRIV}, Facility{"daemon", LOG_DAEMON},
    Facility{"user", LOG_USER},     Facility{"local0", LOG_LOCAL0},     Facility{"local1", LOG_LOCAL1},
    Facility{"local2", LOG_LOCAL2}, Facility{"local3", LOG_LOCAL3},     Facility{"local4", LOG_LOCAL4},
    Facility{"local5", LOG_LOCAL5}, Facility{"local6", LOG_LOCAL6},     Facility{"local7", LOG_LOCAL7},
};

int priority_of(Level level) {
    switch (level) {
        case Level::debug:
            return LOG_DEBUG;
        case Level::info:
            return LOG_INFO;
        case Level::warning:
            return LOG_WARNING;
        case Level::error:
            return LOG_ERR;
        case Level::critical:
            return LOG_CRIT;
    }
    return LOG_INFO;
}

/// The C library keeps the pointer, and a new configuration may come while lines of the old one wait: kept for ever.
const char* kept(const std::string& ident) {
    static auto* const idents = new std::set<std::string>;
    return idents->insert(ident).first->c_str();
}

class SystemLog final : public Output {
  public:
    explicit SystemLog(const Syslog& options) : facility_(options.facility) {
        openlog(kept(options.ident), LOG_PID, facility_);
    }
    bool write(const Record& record, std::string_view) override {
        ::syslog(facility_ | priority_of(record.level), "%s", one_line(record.message).c_str());
        return true;
    }

  private:
    int facility_;
};

}  // namespace

Result<int> syslog_facility(std::string_view name) {
    const auto* found = std::ranges::find(facilities, name, &Facility::name);
    if (found == facilities.end())
        return fail(Errc::invalid_input, fmt::format("syslog has no facility '{}'", name),
                    "one of: auth, authpriv, daemon, user, local0 to local7");
    return found->number;
}

/// Called under the lock of the log's configuration.
std::unique_ptr<Output> system_log(const Syslog& options) {
    return std::make_unique<SystemLog>(options);
}

}  // namespace pgkeel::log
