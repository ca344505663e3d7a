#include "console/session.hpp"

#include "console/tables.hpp"
#include "console/tokens.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/message_types.hpp"
#include "pgwire/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::console {

using namespace pgwire;
namespace types = frontend::types;

namespace {

void write_error(std::string& out, std::string_view sqlstate, std::string text, std::string hint = {},
                 backend::Severity severity = backend::Severity::error) {
    Writer writer(out);
    backend::write_error_response(writer, {.severity = severity,
                                           .sqlstate = std::string(sqlstate),
                                           .message = std::move(text),
                                           .detail = {},
                                           .hint = std::move(hint)});
}

void write_ready(std::string& out) {
    Writer writer(out);
    backend::write_ready_for_query(writer, backend::TransactionStatus::idle);
}

bool has_parameter(std::string_view sql) {
    const auto all = tokens(sql);
    return all && std::ranges::any_of(*all, [](const Token& t) { return t.kind == Token::Kind::parameter; });
}

/// A whole Bind.
struct Bind {
    std::string_view portal, statement;
    std::uint16_t parameters = 0;
    std::vector<std::uint16_t> formats;  ///< of the results
};
Result<Bind> read_bind(std::string_view body) {
    Reader reader(body);
    Bind bind;
    bind.portal = reader.text();
    bind.statement = reader.text();
    for (std::uint16_t formats = reader.int16(); formats > 0 && reader.ok(); --formats) reader.int16();
    bind.parameters = reader.int16();
    for (std::uint16_t left = bind.parameters; left > 0 && reader.ok(); --left) {
        const std::uint32_t length = reader.int32();
        if (length != 0xffff'ffff) reader.bytes(length);
    }
    for (std::uint16_t left = reader.int16(); left > 0 && reader.ok(); --left) bind.formats.push_back(reader.int16());
    if (!reader.finished()) return fail(Errc::invalid_input, "a Bind is not as long as its parts");
    return bind;
}

}  // namespace

Next Session::receive(char type, std::string_view body, std::string& out) {
    if (type == types::terminate) return Next::close;
    if (type == types::sync) {
        sync(out);
        return Next::go_on;
    }
    if (skips_to_sync_) return Next::more;
    switch (type) {
        case types::query:
            query(body, out);
            return Next::go_on;
        case types::parse:
            parse_message(body, out);
            return Next::more;
        case types::bind:
            bind(body, out);
            return Next::more;
        case types::describe:
            describe(body, out);
            return Next::more;
        case types::execute:
            execute(body, out);
            return Next::more;
        case types::close:
            close(body, out);
            return Next::more;
        case types::flush:
            return Next::go_on;
        case types::copy_data:
        case types::copy_done:
        case types::copy_fail:
            return Next::more;  // left over from a COPY that failed: PostgreSQL ignores them too
        case types::function_call:
            write_error(out, "0A000", "the admin console has no functions to call");
            write_ready(out);
            return Next::go_on;
        default:
            write_error(out, sqlstate_console_error,
                        fmt::format("unsupported packet type for admin console: {}", static_cast<unsigned char>(type)),
                        {}, backend::Severity::fatal);
            return Next::close;
    }
}

const Command* Session::command() const {
    return runs_ == Runs::nothing ? nullptr : &commands_[at_];
}

Result<std::vector<Command>> Session::commands_of(std::string_view sql) const {
    auto commands = parse(sql);
    if (commands)
        for (Command& command : *commands) command.own_columns = own_columns_;
    return commands;
}

void Session::query(std::string_view body, std::string& out) {
    // As in PostgreSQL, a simple query ends what has no name, and as its own transaction every portal.
    statements_.erase("");
    portals_.clear();
    const auto sql = frontend::read_query(body);
    auto commands = sql ? commands_of(*sql) : Result<std::vector<Command>>(std::unexpected(sql.error()));
    if (commands)
        for (const Command& wanted : *commands)
            if (auto permitted = permit(wanted.kind, access_); !permitted) {
                commands = std::unexpected(std::move(permitted.error()));
                break;
            }
    if (!commands) {
        Writer writer(out);
        backend::write_error_response(writer, report_of(commands.error()));
        backend::write_ready_for_query(writer, backend::TransactionStatus::idle);
        return;
    }
    if (commands->empty()) {
        Writer writer(out);
        backend::write_empty_query_response(writer);
        backend::write_ready_for_query(writer, backend::TransactionStatus::idle);
        return;
    }
    runs_ = Runs::query;
    commands_ = std::move(*commands);
    at_ = 0;
    answer_known(out);
}

void Session::parse_message(std::string_view body, std::string& out) {
    const auto message = frontend::read_parse(body);
    if (!message) return protocol_error(message.error(), out);
    if (message->types.size() > 0 || has_parameter(message->query))
        return error("0A000", "the admin console takes no parameters", out, "write the value into the command");
    auto commands = commands_of(message->query);
    if (!commands)
        return error(sqlstate_console_error, std::move(commands.error().text), out, std::move(commands.error().hint));
    if (commands->size() > 1)
        return error("42601", "a prepared statement cannot hold several commands", out, "prepare each of them");
    for (const Command& wanted : *commands)
        if (const auto permitted = permit(wanted.kind, access_); !permitted)
            return error(sqlstate_console_error, permitted.error().text, out, permitted.error().hint);
    const auto existing = statements_.find(message->name);
    if (existing != statements_.end() && !message->name.empty())
        return error("42P05", fmt::format("prepared statement \"{}\" already exists", message->name), out);
    if (existing == statements_.end() && statements_.size() >= statements_max)
        return error("54000", fmt::format("the session has {} prepared statements already", statements_max), out,
                     "close those that are not needed any more");
    statements_.insert_or_assign(std::string(message->name), std::move(*commands));
    Writer writer(out);
    backend::write_parse_complete(writer);
}

void Session::bind(std::string_view body, std::string& out) {
    const auto message = read_bind(body);
    if (!message) return protocol_error(message.error(), out);
    const auto statement = statements_.find(message->statement);
    if (statement == statements_.end())
        return error("26000", fmt::format("prepared statement \"{}\" does not exist", message->statement), out);
    if (message->parameters > 0)
        return error("0A000", "the admin console takes no parameters", out, "write the value into the command");
    const auto existing = portals_.find(message->portal);
    if (existing != portals_.end() && !message->portal.empty())
        return error("42P03", fmt::format("portal \"{}\" already exists", message->portal), out);
    if (existing == portals_.end() && portals_.size() >= portals_max)
        return error("54000", fmt::format("the session has {} portals already", portals_max), out,
                     "close those that are not needed any more");

    Portal portal{.statement = statement->second, .formats = {}, .table = {}};
    const std::size_t columns = portal.statement.empty() ? 0 : columns_of(portal.statement.front()).size();
    if (message->formats.size() > 1 && message->formats.size() != columns)
        return error("08P01",
                     fmt::format("{} result formats were given for {} columns", message->formats.size(), columns), out);
    for (const std::uint16_t format : message->formats) {
        if (format > 1) return error("22023", fmt::format("there is no result format {}", format), out);
        portal.formats.push_back(static_cast<Format>(format));
    }
    // One stands for all of them.
    if (portal.formats.size() == 1) portal.formats.assign(columns, Format{portal.formats.front()});
    portals_.insert_or_assign(std::string(message->portal), std::move(portal));
    Writer writer(out);
    backend::write_bind_complete(writer);
}

void Session::describe(std::string_view body, std::string& out) {
    const auto target = frontend::read_target(body);
    if (!target) return protocol_error(target.error(), out);
    Writer writer(out);
    const auto describe_rows = [&](const Statement& statement, std::span<const Format> formats) {
        if (statement.empty() || !has_rows(statement.front().kind)) return backend::write_no_data(writer);
        write_columns(writer, columns_of(statement.front()), formats);
    };
    if (target->kind == frontend::Target::Kind::statement) {
        const auto found = statements_.find(target->name);
        if (found == statements_.end())
            return error("26000", fmt::format("prepared statement \"{}\" does not exist", target->name), out);
        backend::write_parameter_description(writer, {});
        return describe_rows(found->second, {});
    }
    const auto found = portals_.find(target->name);
    if (found == portals_.end()) return error("34000", fmt::format("portal \"{}\" does not exist", target->name), out);
    describe_rows(found->second.statement, found->second.formats);
}

void Session::execute(std::string_view body, std::string& out) {
    const auto message = frontend::read_execute(body);
    if (!message) return protocol_error(message.error(), out);
    const auto found = portals_.find(message->portal);
    if (found == portals_.end())
        return error("34000", fmt::format("portal \"{}\" does not exist", message->portal), out);
    Portal& portal = found->second;
    if (portal.statement.empty()) {
        Writer writer(out);
        return backend::write_empty_query_response(writer);
    }
    rows_max_ = message->rows_max;
    const Command& wanted = portal.statement.front();
    if (portal.was_run && has_rows(wanted.kind)) return send_rows(portal, out);
    if (portal.was_run)
        return error("55000", fmt::format("portal \"{}\" was run and cannot be run again", message->portal), out);
    portal.was_run = true;
    runs_ = Runs::portal;
    commands_ = {wanted};
    at_ = 0;
    portal_ = message->portal;
    answer_known(out);
}

void Session::close(std::string_view body, std::string& out) {
    const auto target = frontend::read_target(body);
    if (!target) return protocol_error(target.error(), out);
    if (target->kind == frontend::Target::Kind::statement) {
        if (const auto found = statements_.find(target->name); found != statements_.end()) statements_.erase(found);
    } else if (const auto found = portals_.find(target->name); found != portals_.end()) {
        portals_.erase(found);
    }
    Writer writer(out);
    backend::write_close_complete(writer);
}

void Session::sync(std::string& out) {
    skips_to_sync_ = false;
    portals_.clear();  // the end of the transaction
    write_ready(out);
}

/// What the session can answer itself; the first command that it cannot is left to be run.
void Session::answer_known(std::string& out) {
    while (const Command* known = command()) {
        if (known->kind == Kind::show_parameter) return rows(parameter_table(*known), out);
        if (known->kind == Kind::set_parameter) {
            notice("SET ignored", out);
            return done(out);
        }
        if (known->kind != Kind::show_help) return;
        Writer writer(out);
        backend::write_notice_response(writer, help());
        return done(out);
    }
}

void Session::next_command(std::string& out) {
    if (++at_ < commands_.size()) return answer_known(out);
    if (runs_ == Runs::query) write_ready(out);
    runs_ = Runs::nothing;
    commands_.clear();
}

void Session::rows(Table table, std::string& out) {
    if (runs_ == Runs::query) {
        append_answer(out, table);
    } else if (const auto found = portals_.find(portal_); found != portals_.end()) {
        found->second.table = std::move(table);
        send_rows(found->second, out);
    }
    next_command(out);
}

/// The next rows_max_ of a portal; all that are left for 0. See PostgreSQL, "Extended Query", on PortalSuspended.
void Session::send_rows(Portal& portal, std::string& out) {
    Writer writer(out);
    const std::size_t left = portal.table.rows.size() - portal.rows_sent;
    const std::size_t count = rows_max_ == 0 ? left : std::min<std::size_t>(left, rows_max_);
    for (std::size_t sent = 0; sent < count; ++sent)
        write_row(writer, portal.table.columns, portal.table.rows[portal.rows_sent++], portal.formats);
    // As PostgreSQL does it: whether there are more is not looked at.
    if (rows_max_ != 0 && count == rows_max_) {
        writer.begin(backend::types::portal_suspended);
        return writer.end();
    }
    backend::write_command_complete(writer, tag(portal.statement.front()));
}

void Session::done(std::string& out) {
    Writer writer(out);
    backend::write_command_complete(writer, tag(commands_[at_]));
    next_command(out);
}

void Session::notice(std::string_view text, std::string& out) {
    Writer writer(out);
    backend::write_notice_response(writer, {.severity = backend::Severity::notice,
                                            .sqlstate = "00000",
                                            .message = std::string(text),
                                            .detail = {},
                                            .hint = {}});
}

void Session::failed(const backend::Report& report, std::string& out) {
    Writer writer(out);
    backend::write_error_response(writer, report);
    if (runs_ == Runs::query)
        backend::write_ready_for_query(writer, backend::TransactionStatus::idle);
    else
        skips_to_sync_ = true;
    runs_ = Runs::nothing;
    commands_.clear();
}

void Session::error(std::string_view sqlstate, std::string text, std::string& out, std::string hint) {
    write_error(out, sqlstate, std::move(text), std::move(hint));
    skips_to_sync_ = true;
}

void Session::protocol_error(const Error& why, std::string& out) {
    error("08P01", why.text, out, why.hint);
}

}  // namespace pgkeel::console
