#include "proxy/check_files.hpp"

#include "auth/auth_file.hpp"
#include "auth/hba.hpp"
#include "auth/ident_maps.hpp"
#include "config/source.hpp"
#include "log/log.hpp"
#include "proxy/process_user.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace pgkeel::proxy {
namespace {

using config::PoolerConfig;
using config::PoolerSettings;
using config::Problem;

/// The number of the line that an error is about; empty when it names none.
std::string line_number(std::string_view text, std::string_view file) {
    const std::string start = fmt::format("{} line ", file);
    if (!text.starts_with(start)) return {};
    text.remove_prefix(start.size());
    const auto end = std::ranges::find_if_not(text, [](unsigned char c) { return std::isdigit(c) != 0; });
    return {text.begin(), end};
}

struct FileChecker {
    const PoolerConfig& config;
    std::vector<Problem> problems = {};

    void problem(std::string where, std::string text, std::string hint, bool tolerated) {
        problems.push_back(
            {.where = std::move(where), .text = std::move(text), .hint = std::move(hint), .tolerated = tolerated});
    }

    /// `userlist.txt line 3: TEXT` becomes `userlist.txt:3`, TEXT.
    void problem_in(const std::string& file, const Error& error, bool tolerated) {
        const std::string line = line_number(error.text, file);
        if (line.empty()) return problem(file, error.text, error.hint, tolerated);
        const std::size_t cut = file.size() + std::string_view(" line ").size() + line.size() + 2;
        problem(fmt::format("{}:{}", file, line), error.text.substr(std::min(cut, error.text.size())), error.hint,
                tolerated);
    }

    /// Reads a file of lines and what is wrong with them. `parse` takes the text.
    template <class Parse>
    void parsed(const std::string& key, const std::string& file, bool tolerated, Parse parse) {
        if (file.empty()) return;
        const auto text = config::read_file(file);
        if (!text)
            return problem(config.place(key), fmt::format("{}: {}", key, text.error().text), text.error().hint,
                           tolerated);
        if (const auto read = parse(*text); !read) problem_in(file, read.error(), tolerated);
    }

    void authentication() {
        const PoolerSettings& s = config.settings;
        const bool obeys_hba = s.auth_type == config::AuthType::hba;
        parsed("auth_file", s.auth_file, true,
               [&s](const std::string& text) { return auth::parse_auth_file(text, s.auth_file); });
        // A rule that was passed over would let a later one decide, so these are refused where PgBouncer goes on.
        parsed("auth_hba_file", s.auth_hba_file, !obeys_hba,
               [&s](const std::string& text) { return auth::Hba::parse(text, s.auth_hba_file, config::read_file); });
        parsed("auth_ident_file", s.auth_ident_file, !obeys_hba, [&s](const std::string& text) {
            return auth::IdentMaps::parse(text, s.auth_ident_file, config::read_file);
        });
    }

    void readable(const std::string& key, const std::string& file, bool tolerated) {
        if (file.empty()) return;
        struct stat status{};
        const bool there = stat(file.c_str(), &status) == 0;
        if (there && !S_ISREG(status.st_mode))
            return problem(config.place(key), fmt::format("{}: {} is no file", key, file), "name a file in PEM format",
                           tolerated);
        if (!there || access(file.c_str(), R_OK) != 0)
            problem(config.place(key), fmt::format("{}: cannot read {}: {}", key, file, std::strerror(errno)),
                    "does it exist, and may this user read it?", tolerated);
    }

    /// A side that has TLS switched off needs none of its files.
    void tls() {
        const PoolerSettings& s = config.settings;
        const bool client_off = s.client_tls_sslmode == config::TlsMode::disable;
        const bool server_off = s.server_tls_sslmode == config::TlsMode::disable;
        readable("client_tls_ca_file", s.client_tls_ca_file, client_off);
        readable("client_tls_cert_file", s.client_tls_cert_file, client_off);
        readable("client_tls_key_file", s.client_tls_key_file, client_off);
        readable("server_tls_ca_file", s.server_tls_ca_file, server_off);
        readable("server_tls_cert_file", s.server_tls_cert_file, server_off);
        readable("server_tls_key_file", s.server_tls_key_file, server_off);
    }

    void writable(const std::string& key, const std::string& directory, const std::string& text, bool tolerated) {
        struct stat status{};
        const bool there = stat(directory.c_str(), &status) == 0;
        if (there && S_ISDIR(status.st_mode) && access(directory.c_str(), W_OK | X_OK) == 0) return;
        if (there && !S_ISDIR(status.st_mode)) errno = ENOTDIR;
        problem(config.place(key), fmt::format("{}: {}: {}", key, text, std::strerror(errno)),
                fmt::format("make directory {}, writable by the user who runs the proxy", directory), tolerated);
    }

    void unix_socket() {
        const std::string& directory = config.settings.unix_socket_dir;
        if (directory.empty() || directory.starts_with('@')) return;  // none, or in Linux's own name space
        writable("unix_socket_dir", directory, fmt::format("cannot make sockets in {}", directory),
                 !config.listeners.empty());
    }

    void creatable(const std::string& key, const std::string& file) {
        if (file.empty()) return;
        const std::string directory = std::filesystem::path(file).parent_path();
        writable(key, directory.empty() ? "." : directory, fmt::format("cannot write {}", file), false);
    }

    void written(const std::string& key, const std::string& file) {
        if (file.empty()) return;
        if (access(file.c_str(), F_OK) == 0) {
            if (access(file.c_str(), W_OK) != 0)
                problem(config.place(key), fmt::format("{}: cannot write {}: {}", key, file, std::strerror(errno)),
                        "give the file to the user who runs the proxy", false);
            return;
        }
        creatable(key, file);
    }

    void user() {
        if (const auto known = check_user(config.settings.user); !known)
            problem(config.place("user"), "user: " + known.error().text, known.error().hint, false);
    }

    void log() {
        written("logfile", config.settings.logfile);
        creatable("pidfile", config.settings.pidfile);
        if (!config.settings.syslog) return;
        if (const auto facility = log::syslog_facility(config.settings.syslog_facility); !facility)
            problem(config.place("syslog_facility"), "syslog_facility: " + facility.error().text, facility.error().hint,
                    false);
    }
};

}  // namespace

std::vector<Problem> check_files(const PoolerConfig& config) {
    FileChecker checker{.config = config};
    checker.authentication();
    checker.tls();
    checker.unix_socket();
    checker.user();
    checker.log();
    return std::move(checker.problems);
}

}  // namespace pgkeel::proxy
