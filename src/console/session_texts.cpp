#include "console/session.hpp"

#include <fmt/format.h>

namespace pgkeel::console {

using namespace pgwire;

void write_parameters(Writer& out, std::string_view version) {
    backend::write_parameter_status(out, "server_version", fmt::format("{}/bouncer", version));
    backend::write_parameter_status(out, "client_encoding", "UTF8");
    backend::write_parameter_status(out, "server_encoding", "UTF8");
    backend::write_parameter_status(out, "DateStyle", "ISO");
    backend::write_parameter_status(out, "TimeZone", "GMT");
    backend::write_parameter_status(out, "standard_conforming_strings", "on");
    backend::write_parameter_status(out, "is_superuser", "on");
}

backend::Report help() {
    return {.severity = backend::Severity::notice,
            .sqlstate = "00000",
            .message = "Console usage",
            .detail =
                "\n\tSHOW POOLS|CLIENTS|SERVERS|SOCKETS|ACTIVE_SOCKETS\n"
                "\tSHOW DATABASES|USERS|LISTS|CONFIG|STATE|VERSION|MEM\n"
                "\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\n"
                "\tSHOW PEERS|PEER_POOLS|DNS_HOSTS|DNS_ZONES|HELP\n"
                "\tSET key = 'value'\n"
                "\tRELOAD\n"
                "\tPAUSE [db]\n"
                "\tRESUME [db]\n"
                "\tRECONNECT [db]\n"
                "\tWAIT_CLOSE [db]\n"
                "\tKILL [db]\n"
                "\tKILL_CLIENT id\n"
                "\tDISABLE db\n"
                "\tENABLE db\n"
                "\tSUSPEND\n"
                "\tSHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]",
            .hint = {}};
}

backend::Report report_of(const Error& error) {
    return {.severity = backend::Severity::error,
            .sqlstate = sqlstate_console_error,
            .message = error.text,
            .detail = {},
            .hint = error.hint};
}

}  // namespace pgkeel::console
