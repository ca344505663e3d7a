// pgkeel-scenarios [--rewrite] FILE...: runs text scenarios for the decision core and compares what comes out with what
// they say.
#include "scenarios/commands.hpp"
#include "scenarios/script.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <sstream>

namespace {

using namespace pgkeel::scenarios;

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read it");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// What comes out of each block.
std::vector<Block> play(std::vector<Block> blocks) {
    Stage stage;
    for (Block& block : blocks) {
        for (const std::string& line : block.head)
            for (const auto& command : commands_of(line)) try {
                    run_command(stage, command);
                } catch (const std::exception& problem) {
                    throw std::runtime_error("in '" + line + "': " + problem.what());
                }
        block.expected = stage.take_lines();
    }
    return blocks;
}

void print_difference(const std::string& path, const Block& wanted, const Block& found) {
    std::printf("%s: after\n", path.c_str());
    for (const std::string& line : wanted.head) std::printf("    %s\n", line.c_str());
    std::size_t same = 0;
    while (same < wanted.expected.size() && same < found.expected.size() &&
           wanted.expected[same] == found.expected[same])
        ++same;
    for (std::size_t i = 0; i < same; ++i) std::printf("  %s\n", wanted.expected[i].c_str());
    for (std::size_t i = same; i < wanted.expected.size(); ++i) std::printf("- %s\n", wanted.expected[i].c_str());
    for (std::size_t i = same; i < found.expected.size(); ++i) std::printf("+ %s\n", found.expected[i].c_str());
}

/// True: it is as the file says, or was rewritten.
bool run(const std::string& path, bool rewrite) {
    const std::string text = read_file(path);
    const std::vector<Block> wanted = parse_blocks(text);
    if (wanted.empty()) throw std::runtime_error("it holds nothing");
    const std::vector<Block> found = play(wanted);
    if (rewrite) {
        if (const std::string now = write_blocks(found); now != text) std::ofstream(path, std::ios::binary) << now;
        return true;
    }
    bool same = true;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (wanted[i].expected != found[i].expected) {
            print_difference(path, wanted[i], found[i]);
            same = false;
        }
    return same;
}

}  // namespace

int main(int argc, char** argv) {
    bool rewrite = false;
    int files = 0;
    int failed = 0;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--rewrite") == 0) {
            rewrite = true;
        } else if (std::strcmp(argv[i], "--help") == 0) {
            std::printf(
                "usage: pgkeel-scenarios [--rewrite] FILE...\n\nCommands, one or more on a line with commas between "
                "them:\n%s\n",
                commands_help());
            return 0;
        } else {
            ++files;
            try {
                if (!run(argv[i], rewrite)) ++failed;
            } catch (const std::exception& problem) {
                std::printf("%s: %s\n", argv[i], problem.what());
                ++failed;
            }
        }
    }
    std::printf("scenarios: %d files, %d differ\n", files, failed);
    return failed != 0 || files == 0 ? 1 : 0;
}
