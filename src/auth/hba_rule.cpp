#include "auth/hba_rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace pgkeel::auth {

namespace {

constexpr std::array<std::pair<std::string_view, HbaMethod>, 7> methods{{
    {"trust", HbaMethod::trust},
    {"reject", HbaMethod::reject},
    {"md5", HbaMethod::md5},
    {"scram-sha-256", HbaMethod::scram_sha_256},
    {"password", HbaMethod::password},
    {"peer", HbaMethod::peer},
    {"cert", HbaMethod::cert},
}};

/// Methods of PostgreSQL that ask another server or library.
constexpr std::array<std::string_view, 7> foreign_methods{"ldap", "pam", "gss", "sspi", "radius", "bsd", "ident"};

bool is_foreign(std::string_view method) {
    return std::ranges::find(foreign_methods, method) != foreign_methods.end();
}

constexpr std::string_view method_hint = "trust, reject, md5, scram-sha-256, password, peer and cert are supported";

/// Reads the fields of one line from left to right.
class Reader {
  public:
    explicit Reader(const HbaLine& line) : line_(line) {
        rule_.file = line.file;
        rule_.line = line.number;
    }

    Result<HbaRule> read() {
        using Step = Result<> (Reader::*)();
        for (const Step step : {&Reader::connection, &Reader::databases, &Reader::users, &Reader::address,
                                &Reader::method, &Reader::options, &Reader::whole})
            if (auto done = (this->*step)(); !done) return std::unexpected(std::move(done.error()));
        return std::move(rule_);
    }

  private:
    std::unexpected<Error> wrong(std::string_view text, std::string_view hint = {}) const {
        return fail(Errc::invalid_input, fmt::format("{}: {}", line_.where(), text), std::string(hint));
    }

    /// The next field, which must be there.
    Result<const HbaField*> field(std::string_view what) {
        if (next_ == line_.fields.size())
            return wrong(fmt::format("the line ends before its {}", what),
                         "a line is: type database user [address] method [options]");
        return &line_.fields[next_++];
    }

    /// The next field, which must be one word.
    Result<const HbaWord*> word(std::string_view what) {
        const auto found = field(what);
        if (!found) return std::unexpected(found.error());
        if ((*found)->size() != 1) return wrong(fmt::format("there must be one {}, not {}", what, (*found)->size()));
        return &(*found)->front();
    }

    Result<> connection() {
        const auto type = word("connection type");
        if (!type) return std::unexpected(type.error());
        if ((*type)->text == "local")
            rule_.connection = HbaConnection::local;
        else if ((*type)->text == "host" || (*type)->text == "hostnogssenc")  // nobody comes over GSSAPI here
            rule_.connection = HbaConnection::host;
        else if ((*type)->text == "hostssl")
            rule_.connection = HbaConnection::hostssl;
        else if ((*type)->text == "hostnossl")
            rule_.connection = HbaConnection::hostnossl;
        else
            return wrong(fmt::format("unknown connection type \"{}\"", (*type)->text),
                         "local, host, hostssl and hostnossl are supported");
        return {};
    }

    Result<> databases() {
        const auto names = field("database");
        if (!names) return std::unexpected(names.error());
        for (const HbaWord& name : **names)
            if (name.is("samerole") || name.is("samegroup") || (!name.quoted && name.text.starts_with('/')))
                return wrong(fmt::format("database \"{}\" is not supported", name.text),
                             "a pooler does not know who belongs to which role: name the databases, or use a @file");
        rule_.databases = **names;
        return {};
    }

    Result<> users() {
        const auto names = field("user");
        if (!names) return std::unexpected(names.error());
        for (const HbaWord& name : **names)
            if (!name.quoted && (name.text.starts_with('+') || name.text.starts_with('/')))
                return wrong(fmt::format("user \"{}\" is not supported", name.text),
                             "a pooler does not know who belongs to which role: name the users, or use a @file");
        rule_.users = **names;
        return {};
    }

    Result<> address() {
        if (rule_.connection == HbaConnection::local) return {};
        const auto first = word("address");
        if (!first) return std::unexpected(first.error());
        const HbaWord& address = **first;
        if (address.is("all")) return {};
        if (address.text.find('/') != std::string::npos) {
            rule_.network = Network::parse(address.text);
            if (!rule_.network) return wrong(fmt::format("\"{}\" is not a network such as 10.0.0.0/8", address.text));
            return {};
        }
        if (!IpAddress::parse(address.text))
            return wrong(
                fmt::format("address \"{}\" is not supported", address.text),
                "write a network such as 10.0.0.0/8 or ::1/128, or all; host names, samehost and samenet are not "
                "looked up");
        const auto mask = word("mask");
        if (!mask) return std::unexpected(mask.error());
        rule_.network = Network::parse(address.text, (*mask)->text);
        if (!rule_.network)
            return wrong(fmt::format("\"{}\" is not a mask for {}", (*mask)->text, address.text),
                         fmt::format("for this address alone write {}/{}", address.text,
                                     address.text.find(':') == std::string::npos ? 32 : 128));
        return {};
    }

    Result<> method() {
        const auto found = word("method");
        if (!found) return std::unexpected(found.error());
        std::string_view name = (*found)->text;
        // PostgreSQL's old spelling: there is no ident server behind a Unix socket.
        if (name == "ident" && rule_.connection == HbaConnection::local) name = "peer";
        const auto known = std::ranges::find(methods, name, &std::pair<std::string_view, HbaMethod>::first);
        if (known == methods.end())
            return wrong(fmt::format("{} \"{}\"{}", is_foreign(name) ? "method" : "unknown method", name,
                                     is_foreign(name) ? " is not supported" : ""),
                         method_hint);
        rule_.method = known->second;
        if (rule_.method == HbaMethod::peer && rule_.connection != HbaConnection::local)
            return wrong("method peer works over Unix sockets only", "write local instead of host");
        if (rule_.method == HbaMethod::cert) {
            if (rule_.connection != HbaConnection::hostssl)
                return wrong("method cert works over TLS only", "write hostssl as the connection type");
            rule_.client_certificate = ClientCertificate::verify_full;
        }
        return {};
    }

    Result<> options() {
        for (; next_ < line_.fields.size(); ++next_)
            for (const HbaWord& each : line_.fields[next_]) {
                const auto equals = each.text.find('=');
                if (equals == std::string::npos)
                    return wrong(fmt::format("\"{}\" is not an option", each.text), "an option is name=value");
                if (auto done = option(each.text.substr(0, equals), each.text.substr(equals + 1)); !done) return done;
            }
        return {};
    }

    Result<> option(const std::string& name, const std::string& value) {
        if (name == "map") {
            if (rule_.method != HbaMethod::peer && rule_.method != HbaMethod::cert)
                return wrong(fmt::format("method {} has no option map", to_string(rule_.method)));
            if (value.empty()) return wrong("option map names no map");
            rule_.map = value;
            return {};
        }
        if (name == "clientcert") {
            if (rule_.connection != HbaConnection::hostssl)
                return wrong("option clientcert works over TLS only", "write hostssl as the connection type");
            if (value != "verify-ca" && value != "verify-full")
                return wrong(fmt::format("clientcert is \"{}\"", value), "it can be verify-ca or verify-full");
            if (value == "verify-ca" && rule_.method == HbaMethod::cert)
                return wrong("clientcert is verify-ca, but method cert compares the name too", "leave the option out");
            rule_.client_certificate =
                value == "verify-ca" ? ClientCertificate::verify_ca : ClientCertificate::verify_full;
            return {};
        }
        return wrong(fmt::format("option \"{}\" is not supported", name), "map and clientcert are");
    }

    /// An @file may turn out empty; a rule for nobody is a mistake of somebody.
    Result<> whole() {
        if (rule_.databases.empty()) return wrong("no database is named", "is the @file empty?");
        if (rule_.users.empty()) return wrong("no user is named", "is the @file empty?");
        return {};
    }

    const HbaLine& line_;
    std::size_t next_ = 0;
    HbaRule rule_;
};

}  // namespace

const char* to_string(HbaMethod method) {
    return std::ranges::find(methods, method, &std::pair<std::string_view, HbaMethod>::second)->first.data();
}

Result<HbaRule> read_hba_rule(const HbaLine& line) {
    return Reader(line).read();
}

}  // namespace pgkeel::auth
