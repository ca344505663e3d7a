#include "proxy/console_session.hpp"

#include "proxy/options.hpp"
#include "proxy/world.hpp"

#include <utility>

namespace pgkeel::proxy {

ConsoleSession::ConsoleSession(World& world, pool::Client& client)
    : world_(world),
      client_(client),
      session_(client.is_admin() ? console::Access::admin : console::Access::stats,
               !client.worker().config().settings.pgbouncer_compat) {}

std::vector<pool::Setting> ConsoleSession::greeting() const {
    return {{"server_version", version_line() + "/bouncer"},
            {"client_encoding", "UTF8"},
            {"server_encoding", "UTF8"},
            {"DateStyle", "ISO"},
            {"TimeZone", "GMT"},
            {"standard_conforming_strings", "on"},
            {"is_superuser", "on"}};
}

void ConsoleSession::message(char type, std::string_view body) {
    const console::Next next = session_.receive(type, body, out_);
    close_ = next == console::Next::close;
    run_next();
}

void ConsoleSession::run_next() {
    const console::Command* const command = session_.command();
    if (command == nullptr || close_) return send();
    busy_ = true;
    client_.wire().stop_reading();
    world_.run_command(client_.ref(), *command);
}

void ConsoleSession::answer(CommandResult result) {
    if (!std::exchange(busy_, false)) return;
    if (result.error)
        session_.failed(*result.error, out_);
    else if (result.table)
        session_.rows(std::move(*result.table), out_);
    else
        session_.done(out_);
    run_next();
    if (!busy_ && client_.state() != pool::Client::State::gone) client_.wire().start_reading();
}

void ConsoleSession::interrupt() {
    if (!busy_) return;
    world_.give_up_waiting(client_.ref());
    answer({.table = {},
            .error = pgwire::backend::Report{.severity = pgwire::backend::Severity::error,
                                             .sqlstate = "57014",
                                             .message = "canceling statement due to user request",
                                             .detail = {},
                                             .hint = {}}});
}

void ConsoleSession::send() {
    client_.wire().put(out_);
    out_.clear();
    if (close_) client_.leave("client close request");
}

}  // namespace pgkeel::proxy
