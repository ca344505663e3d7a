#pragma once
#include "console/command.hpp"
#include "console/table.hpp"
#include "pgwire/backend_builders.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// The protocol of a console session after its login, simple and extended, so that every driver can ask: messages in,
// answers and commands out. One message at a time; while it has commands to run, they are run one after the other and
// each is answered before the next:
//
//     const Next next = session.receive(type, body, out);
//     while (const Command* command = session.command())
//         … run it, then session.rows(table, out), session.done(out) or session.failed(report, out)
//
// Errors skip to the next Sync, as in PostgreSQL ("Extended Query"). What needs no facts is answered here: SHOW HELP,
// parameters of the session, and commands that the user may not give.

namespace pgkeel::console {

/// What becomes of the connection when the answers are sent.
enum class Next {
    go_on,  ///< send the answers at once: a Sync, a Flush or a Query was received
    more,   ///< the answers can wait for the next message
    close,  ///< the client has gone, or does not speak the protocol
};

class Session {
  public:
    /// \param own_columns  tables tell more than PgBouncer's
    explicit Session(Access access, bool own_columns = false) : access_(access), own_columns_(own_columns) {}

    /// \param body  of a whole message, with the lengths that pgwire::Scanner lets through
    Next receive(char type, std::string_view body, std::string& out);

    /// What is to be run now; null: nothing. Its permission was asked.
    const Command* command() const;
    void rows(Table table, std::string& out);
    void done(std::string& out);
    void notice(std::string_view text, std::string& out);  ///< before one of the others
    void failed(const pgwire::backend::Report& report, std::string& out);

    /// Kept for a client, whatever it sends.
    static constexpr std::size_t statements_max = 1000, portals_max = 1000;

  private:
    using Statement = std::vector<Command>;  ///< one command; none: the empty query
    struct Portal {
        Statement statement;
        std::vector<Format> formats;
        Table table;  ///< of a command that was run and gave rows
        std::size_t rows_sent = 0;
        bool was_run = false;
    };

    void query(std::string_view body, std::string& out);
    void parse_message(std::string_view body, std::string& out);
    void bind(std::string_view body, std::string& out);
    void describe(std::string_view body, std::string& out);
    void execute(std::string_view body, std::string& out);
    void close(std::string_view body, std::string& out);
    void sync(std::string& out);

    void send_rows(Portal& portal, std::string& out);
    void answer_known(std::string& out);
    void next_command(std::string& out);
    void error(std::string_view sqlstate, std::string text, std::string& out, std::string hint = {});
    void protocol_error(const Error& why, std::string& out);

    Result<Statement> commands_of(std::string_view sql) const;

    Access access_;
    bool own_columns_;
    std::map<std::string, Statement, std::less<>> statements_;
    std::map<std::string, Portal, std::less<>> portals_;
    bool skips_to_sync_ = false;

    // What runs.
    enum class Runs { nothing, query, portal };
    Runs runs_ = Runs::nothing;
    std::vector<Command> commands_;
    std::size_t at_ = 0;  ///< of commands_
    std::string portal_;
    std::uint32_t rows_max_ = 0;
};

/// What a session begins with, behind AuthenticationOk and before BackendKeyData and ReadyForQuery. A client may ask
/// for any startup parameter: the console ignores them all.
/// \param version  of the pooler
void write_parameters(pgwire::Writer& out, std::string_view version);

/// The text of SHOW HELP.
pgwire::backend::Report help();

/// An error of the console. PgBouncer has one SQLSTATE for nearly all, and people's scripts look for it.
pgwire::backend::Report report_of(const Error& error);
inline constexpr const char* sqlstate_console_error = "08P01";
inline constexpr const char* sqlstate_reload_failed = "F0000";

}  // namespace pgkeel::console
