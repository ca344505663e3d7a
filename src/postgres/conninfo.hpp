#pragma once
#include "base/result.hpp"
#include "config/agent_config.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// libpq connection strings (PostgreSQL, "Connection Strings"). Pure.

namespace pgkeel::postgres {

/// Keyword and value pairs in order; a later one wins.
using ConnInfo = std::vector<std::pair<std::string, std::string>>;

/// key=value with quotes where a value needs them.
std::string write_conninfo(const ConnInfo& pairs);
/// Reads the key=value form. Errors: invalid_input, without the values: one may be a password.
Result<ConnInfo> parse_conninfo(std::string_view text);
/// The value of a keyword, empty when it is not there.
std::string value_of(const ConnInfo& pairs, std::string_view keyword);
/// The last value of each keyword, sorted by keyword.
std::map<std::string, std::string> normalised(const ConnInfo& pairs);

/// A member's address as it publishes it: postgres://[user[:password]@]host[:port][/database][?…].
struct ConnUrl {
    std::string host, port = "5432", database;
};
Result<ConnUrl> parse_conn_url(std::string_view url);

struct Endpoint {
    std::string host;  ///< a name, an address, or a directory for a unix socket; empty: libpq's default
    std::string port;
};
/// "a,b" as two texts; an empty text is one empty part.
std::vector<std::string> split_commas(const std::string& text);

/// user, host, port and the user's TLS settings. Never a password: that is in the passfile (pgpass.hpp).
ConnInfo conninfo_for(const config::PgUser& user, const Endpoint& endpoint, const std::string& application_name = {});

/// The value of primary_conninfo, as a standby named `name` writes it. `passfile` empty: without one.
std::string primary_conninfo(const config::PgUser& replication, const Endpoint& endpoint, const std::string& name,
                             const std::string& passfile);
/// Same meaning, whatever order and quotes.
bool same_conninfo(std::string_view a, std::string_view b);

/// One line of a password file; ':' and '\' are escaped (PostgreSQL, "The Password File"). An empty host of a unix
/// socket is localhost there.
std::string pgpass_line(const std::string& host, const std::string& port, const std::string& database,
                        const std::string& user, const std::string& password);
/// The whole file for connections to the endpoints given, every user that has a password, any database.
std::string pgpass_text(const std::vector<Endpoint>& endpoints, const std::vector<config::PgUser>& users);

}  // namespace pgkeel::postgres
