#include "postgres/slot_files.hpp"

#include "postgres/data_directory.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace pgkeel::postgres {

namespace fs = std::filesystem;

namespace {

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The name becomes a path: nothing that leads elsewhere.
bool is_plain(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

std::unexpected<Error> cannot(const char* what, const std::string& path, const std::string& why) {
    return fail(Errc::io_error, fmt::format("cannot {} {}: {}", what, path, why));
}

Result<> make_directory(const std::string& path, mode_t mode, Account account) {
    if (mkdir(path.c_str(), mode) != 0) return cannot("create", path, std::strerror(errno));
    if (chmod(path.c_str(), mode) != 0) return cannot("set the mode of", path, std::strerror(errno));
    if (account.user != 0 && chown(path.c_str(), account.user, account.group) != 0)
        return cannot("give away", path, std::strerror(errno));
    return {};
}

Result<> remove_tree(const std::string& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return cannot("remove", path, error.message());
    return {};
}

}  // namespace

// PostgreSQL removes pg_replslot/*.tmp when it starts, so what a crash leaves in the middle is nobody's.
Result<> write_slot_file(const std::string& data_directory, const std::string& name, std::string_view state,
                         Account account) {
    if (!is_plain(name)) return fail(Errc::invalid_input, fmt::format("'{}' cannot be the name of a slot", name));
    const std::string all = data_directory + "/pg_replslot";
    const std::string wanted = fmt::format("{}/{}", all, name), unfinished = wanted + ".tmp";
    const mode_t mode = file_mode(data_directory);
    if (auto removed = remove_tree(unfinished); !removed) return removed;
    const mode_t directory_mode = mode | ((mode & 0440) >> 2);
    if (auto made = make_directory(unfinished, directory_mode, account); !made) return made;
    if (auto written = write_file(unfinished + "/state", state, mode, account); !written) return written;
    if (auto removed = remove_tree(wanted); !removed) return removed;
    if (rename(unfinished.c_str(), wanted.c_str()) != 0) return cannot("create", wanted, std::strerror(errno));
    return sync_directory(all);
}

std::optional<std::string> bytes_of_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

}  // namespace pgkeel::postgres
