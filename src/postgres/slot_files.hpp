#pragma once
#include "base/result.hpp"
#include "postgres/files.hpp"

#include <optional>
#include <string>
#include <string_view>

// A logical slot as PostgreSQL keeps it: pg_replslot/NAME/state. Until PostgreSQL 16 a standby cannot make one, but it
// reads the files that it finds when it starts.

namespace pgkeel::postgres {

/// Makes or replaces the slot: complete, or not at all. Blocks: use Workers. Errors: io_error, invalid_input — not a
/// name of a slot.
Result<> write_slot_file(const std::string& data_directory, const std::string& name, std::string_view state,
                         Account account);

/// "0aff" as two bytes; nothing when it is no such text.
std::optional<std::string> bytes_of_hex(std::string_view text);

}  // namespace pgkeel::postgres
