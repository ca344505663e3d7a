#include "scenarios/script.hpp"

#include <sstream>
#include <utility>

namespace pgkeel::scenarios {

std::vector<Block> parse_blocks(const std::string& text) {
    std::vector<Block> blocks;
    Block block;
    bool in_expected = false;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (!in_expected) {
            if (line == "----")
                in_expected = true;
            else
                block.head.push_back(line);
        } else if (!line.empty()) {
            block.expected.push_back(line);
        } else {
            blocks.push_back(std::exchange(block, {}));
            in_expected = false;
        }
    }
    if (in_expected || !block.head.empty()) blocks.push_back(std::move(block));
    return blocks;
}

std::string write_blocks(const std::vector<Block>& blocks) {
    std::string text;
    for (const Block& block : blocks) {
        if (!text.empty()) text += "\n";
        for (const std::string& line : block.head) text += line + "\n";
        text += "----\n";
        for (const std::string& line : block.expected) text += line + "\n";
    }
    return text;
}

std::vector<std::vector<std::string>> commands_of(const std::string& line) {
    std::vector<std::vector<std::string>> commands;
    std::istringstream parts(line.substr(0, line.find('#')));
    for (std::string part; std::getline(parts, part, ',');) {
        std::istringstream words(part);
        std::vector<std::string> command;
        for (std::string word; words >> word;) command.push_back(word);
        if (!command.empty()) commands.push_back(std::move(command));
    }
    return commands;
}

}  // namespace pgkeel::scenarios
