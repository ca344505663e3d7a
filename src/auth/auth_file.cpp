#include "auth/auth_file.hpp"

#include <fmt/format.h>

#include <optional>

namespace pgkeel::auth {

namespace {

constexpr std::size_t user_max_bytes = 127;

void skip_blanks(std::string_view& line) {
    const auto at = line.find_first_not_of(" \t\r");
    line.remove_prefix(at == std::string_view::npos ? line.size() : at);
}

/// Takes "a quoted ""word""" off the front of the line; nothing when it has no such, or does not end on this line.
std::optional<SecretText> take_quoted(std::string_view& line) {
    if (!line.starts_with('"')) return {};
    SecretText word;
    for (std::size_t i = 1; i < line.size(); ++i) {
        if (line[i] == '"') {
            if (i + 1 == line.size() || line[i + 1] != '"') {
                line.remove_prefix(i + 1);
                return word;
            }
            ++i;
        }
        word.push_back(line[i]);
    }
    return {};
}

void append_quoted(SecretText& text, std::string_view word) {
    text.push_back('"');
    for (const char c : word) {
        if (c == '"') text.push_back('"');
        text.push_back(c);
    }
    text.push_back('"');
}

/// Adds what a line says to `users`.
Result<> read_line(std::string_view line, const std::string& where, Users& users) {
    constexpr std::string_view hint = "a line is \"user\" \"secret\", and a quote inside is doubled";
    const auto user = take_quoted(line);
    if (!user)
        return fail(Errc::invalid_input, fmt::format("{}: the user name is not between double quotes", where),
                    std::string(hint));
    if (user->empty()) return fail(Errc::invalid_input, fmt::format("{}: the user name is empty", where));
    if (user->size() > user_max_bytes)
        return fail(Errc::invalid_input, fmt::format("{}: the user name has {} bytes, the limit is {}", where,
                                                     user->size(), user_max_bytes));
    const std::string name(user->reveal());
    skip_blanks(line);
    const auto text = take_quoted(line);
    if (!text)
        return fail(Errc::invalid_input,
                    fmt::format("{}: the secret of user \"{}\" is not between double quotes", where, name),
                    std::string(hint));
    auto secret = Secret::parse(text->reveal());
    if (!secret) return fail(fmt::format("{}: user \"{}\"", where, name), std::move(secret.error()));
    users.insert_or_assign(name, *std::move(secret));
    return {};
}

}  // namespace

Result<Users> parse_auth_file(std::string_view text, std::string_view name) {
    Users users;
    for (unsigned number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        skip_blanks(line);
        if (line.empty() || line[0] == ';' || line[0] == '#') continue;
        if (auto read = read_line(line, fmt::format("{} line {}", name, number), users); !read)
            return std::unexpected(std::move(read.error()));
    }
    return users;
}

SecretText auth_file_line(std::string_view user, const Secret& secret) {
    SecretText line;
    append_quoted(line, user);
    line.push_back(' ');
    append_quoted(line, secret.text().reveal());
    line.push_back('\n');
    return line;
}

}  // namespace pgkeel::auth
