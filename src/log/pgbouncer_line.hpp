#pragma once
#include "log/record.hpp"

#include <string>

namespace pgkeel::log {

/// "2026-11-21 10:20:30.123 UTC [1234] LOG text\n", in local time: what tools that read PgBouncer's log look for.
std::string pgbouncer_line(const Record& record);

}  // namespace pgkeel::log
