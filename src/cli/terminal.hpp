#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::cli {

bool is_terminal(int descriptor);
/// Columns: $COLUMNS, else what the terminal says, else 80.
std::size_t terminal_width(int descriptor = 1);
/// False in a pipe, with NO_COLOR set to anything, and on a dumb terminal.
bool wants_colour(int descriptor = 1);

enum class Colour { none, bold, dim, red, green, yellow };
/// `text` between escape codes, or alone when `descriptor` should not get them.
std::string coloured(std::string_view text, Colour colour, int descriptor = 1);

/// Columns that a UTF-8 text takes on a terminal: combining marks and escape codes none, wide East Asian and emoji two.
std::size_t display_width(std::string_view utf8);
/// Cuts to at most `width` columns, the last one then being an ellipsis; never inside a character.
std::string cut_to_width(std::string_view utf8, std::size_t width);

enum class Align { left, right };
struct Column {
    std::string title;
    Align align = Align::left;
    bool may_shrink = false;  ///< cut first when the table is wider than the terminal
};

/// Rows under titles. Columns are as wide as their widest cell.
class Table {
  public:
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }

    /// With a frame and `title` in its upper edge, as patronictl draws it. `width_max` 0: as wide as it needs to be.
    std::string framed(std::string_view title, std::size_t width_max = 0) const;
    /// Titles and rows, two blanks between columns, no blanks at line ends.
    std::string plain(std::size_t width_max = 0) const;

  private:
    std::vector<std::size_t> widths(std::size_t available) const;
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Asks on stderr and reads one line of stdin: y or yes is true; anything else, an end of input too, is false.
bool confirm(std::string_view question);
/// Asks for a line; an empty answer or an end of input gives `preset`.
std::string ask(std::string_view question, std::string_view preset = {});

}  // namespace pgkeel::cli
