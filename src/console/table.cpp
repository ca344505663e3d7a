#include "console/table.hpp"

#include "console/binary.hpp"
#include "pgwire/message_types.hpp"

namespace pgkeel::console {
namespace {

std::uint16_t size_of(Type type) {
    if (type == Type::int4) return 4;
    if (type == Type::int8) return 8;
    return 0xffff;
}

Format format_of(std::span<const Format> formats, std::size_t column) {
    return column < formats.size() ? formats[column] : Format::text;
}

}  // namespace

void write_columns(pgwire::Writer& out, std::span<const Column> columns, std::span<const Format> formats) {
    out.begin(pgwire::backend::types::row_description);
    out.int16(static_cast<std::uint16_t>(columns.size()));
    for (std::size_t i = 0; i < columns.size(); ++i) {
        out.text(columns[i].name);
        out.int32(0);  // of no table
        out.int16(0);
        out.int32(static_cast<std::uint32_t>(columns[i].type));
        out.int16(size_of(columns[i].type));
        out.int32(0xffff'ffff);  // no type modifier
        out.int16(static_cast<std::uint16_t>(format_of(formats, i)));
    }
    out.end();
}

void write_row(pgwire::Writer& out, std::span<const Column> columns, const Row& row, std::span<const Format> formats) {
    std::vector<std::string> binary(row.size());
    std::vector<std::optional<std::string_view>> values(row.size());
    for (std::size_t i = 0; i < row.size() && i < columns.size(); ++i) {
        if (!row[i]) continue;
        if (format_of(formats, i) == Format::binary)
            values[i] = binary[i] = binary_value(columns[i].type, *row[i]);
        else
            values[i] = *row[i];
    }
    pgwire::backend::write_data_row(out, values);
}

void append_answer(std::string& out, const Table& table) {
    pgwire::Writer writer(out);
    write_columns(writer, table.columns);
    for (const Row& row : table.rows) write_row(writer, table.columns, row);
    pgwire::backend::write_command_complete(writer, "SHOW");
}

}  // namespace pgkeel::console
