#pragma once
#include <string>
#include <vector>

namespace pgkeel::scenarios {

/// A scenario file is a row of blocks: commands, a line of four dashes, and what comes out of them up to the next empty
/// line. Lines that begin with '#' say what the story is and are kept where they are.
struct Block {
    std::vector<std::string> head;      ///< comments, empty lines and commands, as written
    std::vector<std::string> expected;  ///< without the dashes
};

std::vector<Block> parse_blocks(const std::string& text);
std::string write_blocks(const std::vector<Block>& blocks);

/// The commands of one line: comments cut off, split at commas, each split into words.
std::vector<std::vector<std::string>> commands_of(const std::string& line);

}  // namespace pgkeel::scenarios
