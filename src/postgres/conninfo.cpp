#include "postgres/conninfo.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::postgres {
namespace {

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Keywords that hold a secret; they never go where others can read.
bool is_secret(std::string_view keyword) {
    return keyword == "password" || keyword == "sslpassword";
}

Result<int> hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return fail(Errc::invalid_input, "bad percent encoding");
}

Result<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return fail(Errc::invalid_input, "bad percent encoding");
        const auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (!high || !low || *high * 16 + *low == 0) return fail(Errc::invalid_input, "bad percent encoding");
        decoded += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return decoded;
}

}  // namespace

std::vector<std::string> split_commas(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == ',')
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

std::string write_conninfo(const ConnInfo& pairs) {
    std::string text;
    for (const auto& [keyword, value] : pairs) {
        if (!text.empty()) text += ' ';
        text += keyword + '=';
        const bool plain =
            !value.empty() && std::ranges::none_of(value, [](char c) { return is_blank(c) || c == '\'' || c == '\\'; });
        if (plain) {
            text += value;
            continue;
        }
        text += '\'';
        for (const char c : value) {
            if (c == '\'' || c == '\\') text += '\\';
            text += c;
        }
        text += '\'';
    }
    return text;
}

Result<ConnInfo> parse_conninfo(std::string_view text) {
    const auto wrong = [](std::string_view why, std::size_t at) {
        return fail(Errc::invalid_input, fmt::format("bad connection string: {} at byte {}", why, at));
    };
    ConnInfo pairs;
    std::size_t i = 0;
    const auto skip_blanks = [&] {
        while (i < text.size() && is_blank(text[i])) ++i;
    };
    for (skip_blanks(); i < text.size(); skip_blanks()) {
        const std::size_t start = i;
        while (i < text.size() && text[i] != '=' && !is_blank(text[i])) ++i;
        std::string keyword(text.substr(start, i - start));
        skip_blanks();
        if (i >= text.size() || text[i] != '=') return wrong("an equals sign is missing after a keyword", i);
        if (keyword.empty()) return wrong("a keyword is missing", start);
        ++i;
        skip_blanks();
        std::string value;
        if (i < text.size() && text[i] == '\'') {
            ++i;
            for (; i < text.size() && text[i] != '\''; ++i) {
                if (text[i] == '\\' && i + 1 < text.size()) ++i;
                value += text[i];
            }
            if (i >= text.size()) return wrong("a quote is not closed", i);
            ++i;
        } else {
            for (; i < text.size() && !is_blank(text[i]); ++i) {
                if (text[i] == '\\' && i + 1 < text.size()) ++i;
                value += text[i];
            }
        }
        pairs.emplace_back(std::move(keyword), std::move(value));
    }
    return pairs;
}

std::string value_of(const ConnInfo& pairs, std::string_view keyword) {
    for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair)
        if (pair->first == keyword) return pair->second;
    return {};
}

std::map<std::string, std::string> normalised(const ConnInfo& pairs) {
    std::map<std::string, std::string> sorted;
    for (const auto& [keyword, value] : pairs) sorted.insert_or_assign(keyword, value);
    return sorted;
}

// Written by hand: libpq's URLs hold lists of hosts, which no URL library accepts.
Result<ConnUrl> parse_conn_url(std::string_view url) {
    const auto wrong = [](std::string_view why) {
        return fail(Errc::invalid_input, fmt::format("bad connection url: {}", why),
                    "it should look like postgres://host:port/database");
    };
    for (const std::string_view scheme : {"postgres://", "postgresql://"})
        if (url.starts_with(scheme)) {
            url.remove_prefix(scheme.size());
            const auto end = url.find_first_of("/?#");
            std::string_view authority = url.substr(0, end);
            std::string_view rest = end == std::string_view::npos ? std::string_view() : url.substr(end);
            if (const auto at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);

            ConnUrl result;
            result.port.clear();
            std::string_view left = authority;
            while (true) {
                std::string_view host, port;
                if (left.starts_with('[')) {
                    const auto close = left.find(']');
                    if (close == std::string_view::npos) return wrong("a bracket is not closed");
                    host = left.substr(1, close - 1);
                    left.remove_prefix(close + 1);
                } else {
                    const auto stop = left.find_first_of(":,");
                    host = left.substr(0, stop);
                    left.remove_prefix(host.size());
                }
                if (left.starts_with(':')) {
                    left.remove_prefix(1);
                    port = left.substr(0, left.find(','));
                    left.remove_prefix(port.size());
                    if (!std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }) || port.size() > 5)
                        return wrong("a port is not a number");
                }
                auto decoded = percent_decoded(host);
                if (!decoded) return wrong(decoded.error().text);
                result.host += *decoded;
                result.port += port.empty() ? "5432" : std::string(port);
                if (left.empty()) break;
                if (!left.starts_with(',')) return wrong("text after a host");
                left.remove_prefix(1);
                result.host += ',';
                result.port += ',';
            }
            if (result.host.find_first_not_of(',') == std::string::npos) return wrong("it names no host");
            // One port for all hosts is written once.
            if (const auto ports = split_commas(result.port);
                std::ranges::all_of(ports, [&](const std::string& port) { return port == ports.front(); }))
                result.port = ports.front();
            if (rest.starts_with('/')) {
                auto database = percent_decoded(rest.substr(1, rest.find_first_of("?#") - 1));
                if (!database) return wrong(database.error().text);
                result.database = *database;
            }
            return result;
        }
    return wrong("it does not begin with postgres://");
}

ConnInfo conninfo_for(const config::PgUser& user, const Endpoint& endpoint, const std::string& application_name) {
    ConnInfo pairs;
    if (!user.username.empty()) pairs.emplace_back("user", user.username);
    if (!endpoint.host.empty()) pairs.emplace_back("host", endpoint.host);
    if (!endpoint.port.empty()) pairs.emplace_back("port", endpoint.port);
    for (const auto& [keyword, value] : user.connection)
        if (!is_secret(keyword) && !value.empty()) pairs.emplace_back(keyword, value);
    if (!application_name.empty()) pairs.emplace_back("application_name", application_name);
    return pairs;
}

std::string primary_conninfo(const config::PgUser& replication, const Endpoint& endpoint, const std::string& name,
                             const std::string& passfile) {
    ConnInfo pairs = conninfo_for(replication, endpoint, name);
    if (!passfile.empty()) pairs.insert(pairs.begin() + (replication.username.empty() ? 0 : 1), {"passfile", passfile});
    // The key's pass phrase has no other way in; postgresql.conf is as private as the data.
    if (const auto secret = replication.connection.find("sslpassword"); secret != replication.connection.end())
        pairs.emplace_back("sslpassword", secret->second);
    // Written out so that a comparison with what the server runs with does not hang on libpq's defaults.
    for (const auto& [keyword, value] :
         {std::pair{"sslmode", "prefer"}, {"gssencmode", "prefer"}, {"channel_binding", "prefer"}})
        if (value_of(pairs, keyword).empty()) pairs.emplace_back(keyword, value);
    return write_conninfo(pairs);
}

bool same_conninfo(std::string_view a, std::string_view b) {
    if (a == b) return true;
    const auto left = parse_conninfo(a), right = parse_conninfo(b);
    return left && right && normalised(*left) == normalised(*right);
}

std::string pgpass_line(const std::string& host, const std::string& port, const std::string& database,
                        const std::string& user, const std::string& password) {
    const auto field = [](const std::string& value) {
        std::string escaped;
        for (const char c : value) {
            if (c == ':' || c == '\\') escaped += '\\';
            escaped += c;
        }
        return escaped;
    };
    return fmt::format("{}:{}:{}:{}:{}", field(host.empty() ? "localhost" : host), field(port.empty() ? "5432" : port),
                       field(database), field(user), field(password));
}

std::string pgpass_text(const std::vector<Endpoint>& endpoints, const std::vector<config::PgUser>& users) {
    std::vector<std::string> lines;
    const auto add = [&](std::string line) {
        if (line.find_first_of("\r\n") == std::string::npos && std::ranges::find(lines, line) == lines.end())
            lines.push_back(std::move(line));
    };
    for (const Endpoint& endpoint : endpoints) {
        const auto hosts = split_commas(endpoint.host), ports = split_commas(endpoint.port);
        for (std::size_t i = 0; i < hosts.size(); ++i)
            for (const config::PgUser& user : users) {
                if (user.password.empty()) continue;
                const std::string& port = i < ports.size() ? ports[i] : ports.front();
                add(pgpass_line(hosts[i], port, "*", user.username, user.password));
                // libpq looks for `localhost` when the socket directory is its default one, for the directory
                // otherwise.
                if (hosts[i].starts_with('/')) add(pgpass_line("", port, "*", user.username, user.password));
            }
    }
    std::string text;
    for (const std::string& line : lines) text += line + '\n';
    return text;
}

}  // namespace pgkeel::postgres
