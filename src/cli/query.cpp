#include "async/workers.hpp"
#include "cli/files.hpp"
#include "cli/members.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/sql.hpp"
#include "cli/terminal.hpp"

#include <boost/json/array.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

struct QueryOptions : ClusterOptions {
    std::string role, member, command, file, user, database = "postgres", delimiter = "\t";
    bool ask_password = false;
    bool watch = false;
    double watch_seconds = 0;
};

/// Reads a line without showing it.
std::string ask_secret(const std::string& question) {
    termios shown{};
    const bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (terminal) tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    std::cerr << question << ": " << std::flush;
    std::string secret;
    std::getline(std::cin, secret);
    if (terminal) tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    std::cerr << '\n';
    return secret;
}

struct Answer {
    std::vector<std::string> columns;
    std::vector<std::vector<std::optional<std::string>>> rows;  ///< nothing: NULL
};

Answer take_apart(const PGresult* result) {
    Answer answer;
    for (int column = 0; column < PQnfields(result); ++column) answer.columns.emplace_back(PQfname(result, column));
    for (int row = 0; row < PQntuples(result); ++row) {
        auto& cells = answer.rows.emplace_back();
        for (int column = 0; column < PQnfields(result); ++column)
            cells.push_back(PQgetisnull(result, row, column) != 0
                                ? std::nullopt
                                : std::optional<std::string>(PQgetvalue(result, row, column)));
    }
    return answer;
}

Result<Answer> run_query(const SqlParameters& parameters, const std::string& sql, const std::string& role) {
    auto connection = connect(parameters, 5s);
    if (!connection) return std::unexpected(connection.error());
    // The role in etcd may be older than the last promotion; the server knows.
    if (!role.empty() && role != "any" && role != "leader") {
        auto recovery = execute(**connection, "SELECT pg_catalog.pg_is_in_recovery()", 5s);
        if (!recovery) return std::unexpected(recovery.error());
        const bool in_recovery = PQgetvalue(recovery->get(), 0, 0)[0] == 't';
        const bool wants_recovery = role != "primary" && role != "master";
        if (in_recovery != wants_recovery)
            return fail(
                Errc::conflict,
                fmt::format("the member has changed its role: it is {} now", in_recovery ? "in recovery" : "primary"),
                "run the command again");
    }
    auto result = execute(**connection, sql, 24h);
    if (!result) return std::unexpected(result.error());
    return take_apart(result->get());
}

void print_answer(const Answer& answer, Format format, const std::string& delimiter) {
    if (format == Format::table) {
        std::vector<Column> columns;
        for (const std::string& name : answer.columns) columns.push_back({name, Align::left, true});
        Table table(std::move(columns));
        for (const auto& row : answer.rows) {
            std::vector<std::string> cells;
            for (const auto& cell : row) cells.push_back(cell.value_or(""));
            table.add(std::move(cells));
        }
        put("{}", table.framed("", is_terminal(1) ? terminal_width() : 0));
    } else if (format == Format::tsv) {
        const auto print_line = [&](const auto& cells, const auto& text_of_cell) {
            for (std::size_t i = 0; i < cells.size(); ++i) put("{}{}", i == 0 ? "" : delimiter, text_of_cell(cells[i]));
            put("\n");
        };
        if (!answer.columns.empty()) print_line(answer.columns, [](const std::string& name) { return name; });
        for (const auto& row : answer.rows)
            print_line(row, [](const std::optional<std::string>& cell) { return cell.value_or(""); });
    } else {
        boost::json::array records;
        for (const auto& row : answer.rows) {
            boost::json::object record;
            for (std::size_t i = 0; i < row.size(); ++i)
                record[answer.columns[i]] = row[i] ? boost::json::value(*row[i]) : boost::json::value(nullptr);
            records.push_back(std::move(record));
        }
        put("{}", render(records, format));
    }
    std::fflush(stdout);
}

Task<Result<int>> query(Session& session, QueryOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    if (options.command.empty() == options.file.empty())
        co_return fail(Errc::invalid_input,
                       options.file.empty() ? "query needs SQL" : "query takes --command or --file, not both",
                       "e.g. `pgkeel query -c 'SELECT 1'`");
    if (!options.file.empty()) {
        auto text = read_text(options.file);
        if (!text) co_return std::unexpected(text.error());
        options.command = *text;
    }
    config::PgUser user = session.config().postgresql.superuser;
    if (!options.user.empty() && options.user != user.username) user = {options.user, {}, user.connection};
    if (options.ask_password) user.password = ask_secret("Password");
    Workers workers(1);
    const double every = options.watch_seconds > 0 ? options.watch_seconds : options.watch ? 2 : 0;
    while (true) {
        auto words = options.words;
        auto view = co_await session.view_of(words);
        if (!view) co_return std::unexpected(view.error());
        auto member = one_member(*view, options.member, options.role);
        if (!member) co_return std::unexpected(member.error());
        const auto parameters = sql_parameters(*member, user, options.database);
        auto answer = co_await workers.run([&] { return run_query(parameters, options.command, options.role); });
        if (!answer && every <= 0) co_return fail(fmt::format("on {}", member->name), answer.error());
        if (!answer) {
            report(answer.error());
        } else {
            print_answer(*answer, *format, options.delimiter);
        }
        if (every <= 0) co_return 0;
        co_await session.clock.sleep_for(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(every)));
    }
}
}  // namespace

void add_query(CLI::App& app, Context& context) {
    auto options = std::make_shared<QueryOptions>();
    options->format = "tsv";
    // Here -c and -f belong to the SQL, as in patronictl and psql.
    CLI::App* command = app.add_subcommand("query", "run SQL on the primary, or on a member of your choice");
    command->footer("Example:\n  pgkeel query -c 'SELECT count(*) FROM pg_stat_activity' --role replica");
    auto* config_file =
        command->add_option("--config-file", options->choice.config_file, "an agent's file, or one for commands alone");
    command->add_option("--dir", options->choice.directory, "directory of a local cluster")->excludes(config_file);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    command->add_option("-c,--command", options->command, "the SQL")->type_name("SQL");
    command->add_option("-f,--file", options->file, "a file with the SQL (- is standard input)")->type_name("FILE");
    auto* role = command->add_option("-r,--role", options->role, "any member with this role; leader by default");
    command->add_option("-m,--member", options->member, "this member")->excludes(role);
    command->add_option("-d,--dbname", options->database, "database")->capture_default_str();
    command->add_option("-U,--username", options->user, "database user; the superuser of the configuration by default");
    command->add_flag("--password", options->ask_password, "ask for the user's password");
    command->add_option("--format", options->format, "table (or pretty), tsv, json, yaml")->capture_default_str();
    command->add_option("--delimiter", options->delimiter, "between the columns of tsv; a tab by default");
    command->add_flag("-W", options->watch, "again every 2 seconds");
    command->add_option("-w,--watch", options->watch_seconds, "again every SECONDS")->check(CLI::PositiveNumber);
    on_chosen(command, context, options, query);
}

}  // namespace pgkeel::cli
