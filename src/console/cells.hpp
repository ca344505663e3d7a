#pragma once
#include "console/tables.hpp"

#include <algorithm>
#include <concepts>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>

namespace pgkeel::console {

/// Values of a row out of what facts are made of.
struct Cell {
    std::optional<std::string> value;

    Cell(std::string text) : value(std::move(text)) {}
    Cell(const char* text) : value(text) {}
    Cell(std::nullopt_t) {}
    Cell(std::optional<std::string> text) : value(std::move(text)) {}
    template <std::integral Integer>
    Cell(Integer number) : value(std::to_string(+number)) {}
    template <class Word>
        requires requires(Word word) { config::to_string(word); }
    Cell(std::optional<Word> word) {
        if (word) value = config::to_string(*word);
    }
};

inline Row row(std::initializer_list<Cell> cells) {
    Row values;
    values.reserve(cells.size());
    for (const Cell& cell : cells) values.push_back(cell.value);
    return values;
}

/// Clients read an int4 column as an int4: what does not fit is shown as the largest one.
inline std::int64_t int4(std::uint64_t number) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(number, std::numeric_limits<std::int32_t>::max()));
}
inline std::int64_t whole_seconds(Duration duration) {
    return int4(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) / 1'000'000);
}
inline std::int64_t rest_microseconds(Duration duration) {
    return std::max<std::int64_t>(duration.count(), 0) % 1'000'000;
}

inline Table table_of(Kind kind) {
    return {.columns = columns_of({.kind = kind}), .rows = {}};
}

}  // namespace pgkeel::console
