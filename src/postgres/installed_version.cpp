#include "postgres/installed_version.hpp"

#include "log/log.hpp"

#include <sys/stat.h>

#include <charconv>

namespace pgkeel::postgres {
namespace {

/// The number at the beginning of `text`, which is cut off; nothing when there is none.
std::optional<int> take_number(std::string_view& text) {
    int number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || number > 9999) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

}  // namespace

int parse_program_version(std::string_view output) {
    static constexpr std::string_view before = "(PostgreSQL) ";
    const auto at = output.find(before);
    if (at == std::string_view::npos) return 0;
    std::string_view text = output.substr(at + before.size());
    const auto major = take_number(text);
    if (!major || *major < 10) return 0;  // older ones have versions of three parts, and nobody runs them here
    if (!text.starts_with('.')) return *major * 10000;
    text.remove_prefix(1);
    return *major * 10000 + take_number(text).value_or(0);
}

InstalledVersion::File InstalledVersion::find(const std::string& program) {
    const auto path = find_program(program);
    struct stat about{};
    if (!path || ::stat(path->c_str(), &about) != 0) return {};
    return {*path, about.st_dev, about.st_ino, about.st_size,
            about.st_ctim.tv_sec * 1'000'000'000 + about.st_ctim.tv_nsec};
}

Task<int> InstalledVersion::look(Deadline deadline) {
    const std::string program = programs_.agent.postgresql.program("postgres");
    const File file = co_await programs_.workers.run([&program] { return find(program); });
    if (file.path.empty()) co_return 0;
    if (file == known_ && version_ != 0) co_return version_;
    const auto said = co_await run_checked(programs_.clock, programs_.command("postgres", {"--version"}), deadline);
    if (!said) {
        log::warning("cannot tell the version of {}: {}", file.path, said.error().line());
        co_return 0;
    }
    version_ = parse_program_version(said->output);
    known_ = file;
    co_return version_;
}

}  // namespace pgkeel::postgres
