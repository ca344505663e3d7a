#pragma once
#include <fmt/format.h>

#include <cstdio>

namespace pgkeel::cli {

/// As fmt::print, but a terminal that hung up or a full disk is no exception: a command that stops servers has to go on
/// without its words. Whether everything was written is asked once, at the end (see cli.cpp).
template <class... Args>
void put(std::FILE* to, fmt::format_string<Args...> text, Args&&... args) {
    const std::string line = fmt::format(text, std::forward<Args>(args)...);
    std::fwrite(line.data(), 1, line.size(), to);
}
template <class... Args>
void put(fmt::format_string<Args...> text, Args&&... args) {
    cli::put(stdout, text, std::forward<Args>(args)...);
}

}  // namespace pgkeel::cli
