#include "cli/editor.hpp"

#include "cli/files.hpp"
#include "process/child.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

extern char** environ;

namespace pgkeel::cli {

namespace {
/// A file in the temporary directory, readable by its owner alone (mkstemps makes it so), removed at the end.
class TemporaryFile {
  public:
    static Result<TemporaryFile> create(const std::string& name, const std::string& text) {
        std::error_code problem;
        auto directory = std::filesystem::temp_directory_path(problem);
        if (problem) directory = "/tmp";
        constexpr std::string_view suffix = ".yaml";
        std::string path = directory / (name + "-XXXXXX" + std::string(suffix));
        const int descriptor = mkstemps(path.data(), suffix.size());
        if (descriptor < 0)
            return fail(Errc::io_error, fmt::format("cannot create {}: {}", path, std::strerror(errno)));
        TemporaryFile file(path);
        std::string_view rest = text;
        while (!rest.empty()) {
            const ssize_t written = write(descriptor, rest.data(), rest.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) {
                const int cause = errno;
                close(descriptor);
                return fail(Errc::io_error, fmt::format("cannot write {}: {}", path, std::strerror(cause)));
            }
            rest.remove_prefix(static_cast<std::size_t>(written));
        }
        close(descriptor);
        return file;
    }
    TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryFile& operator=(TemporaryFile&&) = delete;
    ~TemporaryFile() {
        if (!path_.empty()) unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }

  private:
    explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Result<std::vector<std::string>> editor_command() {
    const char* wanted = std::getenv("EDITOR");
    if (wanted != nullptr && *wanted != '\0') return split_shell_words(wanted);
    for (const char* usual : {"editor", "vi"})
        if (auto found = find_program(usual)) return std::vector<std::string>{*found};
    return fail(Errc::invalid_input, "there is no editor: EDITOR is not set, and neither editor nor vi is installed",
                "set EDITOR, or use -s key=value, -p parameter=value or --apply FILE");
}

/// Runs a program on this terminal. Blocks; nothing else goes on while somebody edits.
Result<int> run_here(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = 0;
    if (const int cause = posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ); cause != 0)
        return fail(Errc::process_failed,
                    fmt::format("cannot start the editor {}: {}", words.front(), std::strerror(cause)),
                    "is EDITOR right?");
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
}  // namespace

Result<std::string> edit_text(const std::string& text, const std::string& name) {
    auto command = editor_command();
    if (!command) return std::unexpected(command.error());
    auto file = TemporaryFile::create(name, text);
    if (!file) return std::unexpected(file.error());
    command->push_back(file->path());
    auto status = run_here(*command);
    if (!status) return std::unexpected(status.error());
    if (*status != 0)
        return fail(Errc::process_failed,
                    fmt::format("the editor {} ended with status {}: nothing was changed", command->front(), *status));
    return read_text(file->path());
}

}  // namespace pgkeel::cli
