#include "console/cells.hpp"

#include <fmt/format.h>

#include <chrono>

namespace pgkeel::console {
namespace {

using State = SocketFacts::State;
using Side = SocketFacts::Side;

const char* to_string(State state) {
    switch (state) {
        case State::login:
            return "login";
        case State::active:
            return "active";
        case State::waiting:
            return "waiting";
        case State::active_cancel_req:
            return "active_cancel_req";
        case State::waiting_cancel_req:
            return "waiting_cancel_req";
        case State::idle:
            return "idle";
        case State::used:
            return "used";
        case State::tested:
            return "tested";
        case State::active_cancel:
            return "active_cancel";
        case State::being_canceled:
            return "being_canceled";
    }
    return "";
}

const char* to_string(pgwire::ReplicationMode mode) {
    switch (mode) {
        case pgwire::ReplicationMode::none:
            return "none";
        case pgwire::ReplicationMode::physical:
            return "physical";
        case pgwire::ReplicationMode::logical:
            return "logical";
    }
    return "";
}

/// In CLIENTS and SERVERS. A client that has its login behind it and holds no server is idle.
std::string short_state(const SocketFacts& socket) {
    if (socket.state == State::active && socket.link.empty()) return "idle";
    if (socket.state == State::login && socket.side == Side::server) return "new";
    return to_string(socket.state);
}

/// In SOCKETS.
std::string long_state(const SocketFacts& socket) {
    return fmt::format("{}_{}", socket.side == Side::client ? "cl" : "sv", to_string(socket.state));
}

Row socket_row(const SocketFacts& socket, std::string state) {
    return row({socket.side == Side::client ? "C" : "S", socket.user.empty() ? "(nouser)" : socket.user,
                socket.database.empty() ? "(nodb)" : socket.database, to_string(socket.replication), std::move(state),
                socket.address, int4(socket.port), socket.local_address, int4(socket.local_port),
                time_text(socket.connected_at), time_text(socket.requested_at), whole_seconds(socket.wait),
                rest_microseconds(socket.wait), socket.close_needed, socket.pointer, socket.link,
                int4(socket.remote_process_id), socket.tls, socket.application_name, int4(socket.prepared_statements),
                // Not cut to an int4: KILL_CLIENT must get the same number.
                socket.id});
}

Table short_table(Kind kind, Side side, std::span<const SocketFacts> sockets, bool own_columns) {
    Table table{.columns = columns_of({.kind = kind, .own_columns = own_columns}), .rows = {}};
    for (const SocketFacts& socket : sockets) {
        if (socket.side != side) continue;
        table.rows.push_back(socket_row(socket, short_state(socket)));
        if (own_columns) table.rows.back().emplace_back(socket.pin_reason);
    }
    return table;
}

}  // namespace

Table clients_table(std::span<const SocketFacts> sockets, bool own_columns) {
    return short_table(Kind::show_clients, Side::client, sockets, own_columns);
}

Table servers_table(std::span<const SocketFacts> sockets, bool own_columns) {
    return short_table(Kind::show_servers, Side::server, sockets, own_columns);
}

Table sockets_table(std::span<const SocketFacts> sockets) {
    Table table = table_of(Kind::show_sockets);
    for (const SocketFacts& socket : sockets) {
        Row values = socket_row(socket, long_state(socket));
        for (const std::uint64_t bytes :
             {socket.receive_position, socket.packet_position, socket.packet_remaining, socket.send_position,
              socket.send_remaining, socket.packet_available, socket.send_available})
            values.emplace_back(std::to_string(int4(bytes)));
        table.rows.push_back(std::move(values));
    }
    return table;
}

std::string time_text(WallTime time) {
    if (time == WallTime{}) return {};
    const auto second = std::chrono::floor<std::chrono::seconds>(time);
    const auto day = std::chrono::floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(second - day);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count());
}

}  // namespace pgkeel::console
