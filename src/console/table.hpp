#pragma once
#include "base/result.hpp"
#include "console/command.hpp"
#include "pgwire/backend_builders.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// A table between the facts and those who read them: the wire, `pgkeel top`, tests.

namespace pgkeel::console {

/// OIDs of PostgreSQL's types.
enum class Type : std::uint32_t { text = 25, int4 = 23, int8 = 20, numeric = 1700 };

struct Column {
    std::string name;
    Type type = Type::text;
    bool operator==(const Column&) const = default;
};

/// Values as text; nothing is NULL. Of the types that are numbers: decimal digits, and a sign.
using Row = std::vector<std::optional<std::string>>;

struct Table {
    std::vector<Column> columns;
    std::vector<Row> rows;
};

/// The columns of a command's answer; none when it has no rows. PgBouncer's, in its order.
std::vector<Column> columns_of(const Command& command);

enum class Format : std::uint16_t { text = 0, binary = 1 };

/// \param formats  one for each column; none: all as text
void write_columns(pgwire::Writer& out, std::span<const Column> columns, std::span<const Format> formats = {});
void write_row(pgwire::Writer& out, std::span<const Column> columns, const Row& row,
               std::span<const Format> formats = {});

/// The whole answer to a simple query: columns, rows and CommandComplete, not ReadyForQuery.
void append_answer(std::string& out, const Table& table);

}  // namespace pgkeel::console
