#pragma once
#include "base/result.hpp"

#include <string_view>

namespace pgkeel::pgwire::backend {

/// The fields of an ErrorResponse or NoticeResponse that matter to us. Each can be missing, and is then empty: servers
/// and poolers in front of them are strangers too. See PostgreSQL, "Error and Notice Message Fields".
struct ErrorFields {
    std::string_view severity;  ///< never translated when the server sends it so (field V), else as sent
    std::string_view sqlstate;  ///< five characters, else it counts as missing
    std::string_view message;
    std::string_view detail;
    std::string_view hint;
    std::string_view where;
    std::string_view routine;  ///< of PostgreSQL's source: never translated

    bool ends_the_connection() const { return severity == "FATAL" || severity == "PANIC"; }
};

/// Refuses more than 64 fields: PostgreSQL has 18.
Result<ErrorFields> read_error_fields(std::string_view body);

/// Five characters, 0-9 and A-Z.
bool is_sqlstate(std::string_view text);

}  // namespace pgkeel::pgwire::backend
