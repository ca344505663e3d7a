#include "cli/ask_first.hpp"

#include "cli/terminal.hpp"

namespace pgkeel::cli {

Result<> need_terminal(const std::string& what) {
    if (is_terminal(0)) return {};
    return fail(Errc::invalid_input, what + " needs an answer, and standard input is not a terminal",
                "add --force to do it without being asked");
}

Result<> ask_first(const std::string& question, bool force) {
    if (force) return {};
    if (auto there = need_terminal("\"" + question + "\""); !there) return there;
    if (confirm(question)) return {};
    return fail(Errc::cancelled, "not confirmed: nothing was changed");
}

}  // namespace pgkeel::cli
