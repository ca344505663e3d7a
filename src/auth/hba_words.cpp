#include "auth/hba_words.hpp"

#include <fmt/format.h>

#include <iterator>
#include <optional>

namespace pgkeel::auth {

namespace {

constexpr int depth_max = 10;  // of files that name files
constexpr std::size_t word_max_bytes = 4096;
constexpr std::size_t words_max = 100'000;  // of all files together: a few lines can name a large file many times

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/// Takes one line off the front of the text, continuations joined, and counts the lines taken.
std::string take_line(std::string_view& text, unsigned& taken) {
    std::string line;
    taken = 0;
    while (!text.empty()) {
        const auto end = text.find('\n');
        std::string_view part = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++taken;
        if (part.ends_with('\r')) part.remove_suffix(1);
        const bool continues = part.ends_with('\\');
        if (continues) part.remove_suffix(1);
        line += part;
        if (!continues) break;
    }
    return line;
}

class Reader {
  public:
    explicit Reader(const ReadFile& read) : read_(read) {}

    Result<std::vector<HbaLine>> lines(std::string_view text, const std::string& file, int depth) {
        std::vector<HbaLine> result;
        unsigned taken = 0;
        for (unsigned number = 1; !text.empty(); number += taken) {
            const std::string line = take_line(text, taken);
            HbaLine read{.file = file, .number = number, .fields = {}};
            if (auto done = fields(line, read, depth); !done) return std::unexpected(std::move(done.error()));
            if (!read.fields.empty()) result.push_back(std::move(read));
        }
        return result;
    }

  private:
    Result<> fields(std::string_view rest, HbaLine& line, int depth) {
        bool joined = false;
        while (true) {
            bool comma = false;
            auto word = take_word(rest, comma, line);
            if (!word) return std::unexpected(std::move(word.error()));
            if (!*word) return {};
            if (!joined) line.fields.emplace_back();
            joined = comma;
            if (auto done = add(std::move(**word), line, depth); !done) return done;
        }
    }

    /// Nothing at the end of the line, or at a comment. `comma`: the next word belongs to the same field.
    static Result<std::optional<HbaWord>> take_word(std::string_view& rest, bool& comma, const HbaLine& line) {
        while (!rest.empty() && (is_blank(rest[0]) || rest[0] == ',')) rest.remove_prefix(1);
        if (rest.empty() || rest[0] == '#') return std::optional<HbaWord>();
        HbaWord word{.text = {}, .quoted = rest[0] == '"'};
        bool inside = false;
        std::size_t i = 0;
        for (; i < rest.size(); ++i) {
            const char c = rest[i];
            if (c == '"') {
                // A doubled quote inside quotes is one; any other opens or closes.
                if (inside && i + 1 < rest.size() && rest[i + 1] == '"')
                    word.text += rest[++i];
                else
                    inside = !inside;
                continue;
            }
            if (!inside && (is_blank(c) || c == ',' || c == '#')) break;
            word.text += c;
        }
        if (inside)
            return fail(Errc::invalid_input, fmt::format("{}: the quote before \"{}\" is not closed on its line",
                                                         line.where(), word.text.substr(0, 60)));
        if (word.text.size() > word_max_bytes || word.text.find('\0') != std::string::npos)
            return fail(Errc::invalid_input, fmt::format("{}: a word is longer than {} bytes or has a zero byte",
                                                         line.where(), word_max_bytes));
        comma = i < rest.size() && rest[i] == ',';
        rest.remove_prefix(comma ? i + 1 : i);
        return std::optional(std::move(word));
    }

    /// Adds a word, or those of the file that it names, to the line's last field.
    Result<> add(HbaWord word, HbaLine& line, int depth) {
        if (++words_ > words_max)
            return fail(Errc::invalid_input, fmt::format("{}: there are more than {} words", line.where(), words_max));
        if (word.quoted || !word.text.starts_with('@') || word.text.size() == 1) {
            line.fields.back().push_back(std::move(word));
            return {};
        }
        if (depth == depth_max)
            return fail(
                Errc::invalid_input,
                fmt::format("{}: {}: files name each other more than {} deep", line.where(), word.text, depth_max),
                "does a file name itself?");
        std::string path = word.text.substr(1);
        if (const auto slash = line.file.rfind('/'); path[0] != '/' && slash != std::string::npos)
            path.insert(0, line.file.substr(0, slash + 1));
        const std::string context = fmt::format("{}: {}", line.where(), word.text);
        auto text = read_(path);
        if (!text) return fail(context, std::move(text.error()));
        auto inner = lines(*text, path, depth + 1);
        if (!inner) return fail(context, std::move(inner.error()));
        for (HbaLine& each : *inner)
            for (HbaField& field : each.fields)
                line.fields.back().insert(line.fields.back().end(), std::make_move_iterator(field.begin()),
                                          std::make_move_iterator(field.end()));
        return {};
    }

    const ReadFile& read_;
    std::size_t words_ = 0;
};

}  // namespace

std::string HbaLine::where() const {
    return fmt::format("{} line {}", file, number);
}

Result<std::vector<HbaLine>> read_hba_lines(std::string_view text, const std::string& file, const ReadFile& read) {
    return Reader(read).lines(text, file, 0);
}

}  // namespace pgkeel::auth
