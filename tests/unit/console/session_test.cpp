#include "console/session.hpp"

#include "console/binary.hpp"
#include "console/tables.hpp"
#include "pgwire/frontend_builders.hpp"
#include "wire.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace pgkeel::console {
namespace {

using namespace pgwire;

/// A client and what answers it: SHOW LISTS and SHOW STATE have rows, `pause missing` fails, everything else is done.
class Console {
  public:
    explicit Console(Access access = Access::admin, bool own_columns = false) : session_(access, own_columns) {}

    template <class... Arguments>
    Console& operator()(void (*write)(Writer&, Arguments...), std::type_identity_t<Arguments>... arguments) {
        std::string sent;
        Writer writer(sent);
        write(writer, arguments...);
        EXPECT_TRUE(writer.ok());
        return raw(sent[0], std::string_view(sent).substr(head_bytes));
    }
    Console& raw(char type, std::string_view body) {
        next = session_.receive(type, body, out_);
        while (const Command* command = session_.command()) {
            ran.push_back(*command);
            if (command->kind == Kind::show_state)
                session_.rows(state_table({}), out_);
            else if (command->kind == Kind::show_lists)
                session_.rows(lists_table({.users = 2}), out_);
            else if (command->argument == "missing")
                session_.failed(report_of({.code = Errc::not_found, .text = "no such database: missing", .hint = {}}),
                                out_);
            else
                session_.done(out_);
        }
        return *this;
    }
    Console& query(std::string_view sql) { return (*this)(frontend::write_query, sql); }
    Console& parse(std::string_view name, std::string_view sql) {
        return (*this)(frontend::write_parse, name, {.name = name, .query = sql, .types = {}});
    }
    Console& bind(std::string_view portal, std::string_view statement, std::string_view formats = {}) {
        std::string body = std::string(portal) + '\0' + std::string(statement) + std::string(5, '\0');
        body += bytes("\0") + static_cast<char>(formats.size());
        for (const char format : formats) body += bytes("\0") + static_cast<char>(format - '0');
        return raw('B', body);
    }
    Console& describe(char kind, std::string_view name) {
        return (*this)(frontend::write_describe, {static_cast<frontend::Target::Kind>(kind), name});
    }
    Console& execute(std::string_view portal, std::uint32_t rows_max = 0) {
        return (*this)(frontend::write_execute, {portal, rows_max});
    }
    Console& close(char kind, std::string_view name) {
        return (*this)(frontend::write_close, {static_cast<frontend::Target::Kind>(kind), name});
    }
    Console& sync() { return (*this)(frontend::write_sync); }

    Words told() { return console::told(take()); }
    std::string take() { return std::exchange(out_, {}); }

    Next next = Next::go_on;
    std::vector<Command> ran;

  private:
    Session session_;
    std::string out_;
};

const Words state_rows{"D|active|yes", "D|paused|no", "D|suspended|no"};
const std::string state_columns = "T key:25 value:25";

TEST(session, answers_a_simple_query_and_is_ready_again) {
    Console console;
    EXPECT_EQ(console.query("show state").told(),
              (Words{state_columns, state_rows[0], state_rows[1], state_rows[2], "C SHOW", "Z"}));
    EXPECT_EQ(console.next, Next::go_on);
    EXPECT_EQ(console.query("PAUSE app; RESUME app").told(), (Words{"C PAUSE", "C RESUME", "Z"}));
    EXPECT_EQ(console.query(" -- nothing").told(), (Words{"I", "Z"}));
    EXPECT_EQ(console.query("show timezone").told(), (Words{"T timezone:25", "D|GMT", "C SHOW", "Z"}));
    EXPECT_EQ(console.query("set timezone = 'x'; reload").told(),
              (Words{"N 00000 SET ignored", "C SET", "C RELOAD", "Z"}));
    EXPECT_EQ(console.query("show help").told(), (Words{"N 00000 Console usage", "C SHOW", "Z"}));
    EXPECT_EQ(console.ran.size(), 4U);
}

TEST(session, an_error_ends_the_query_and_nothing_else) {
    Console console;
    EXPECT_EQ(console.query("pause a; pause missing; pause b").told(),
              (Words{"C PAUSE", "E 08P01 no such database: missing", "Z"}));
    EXPECT_EQ(console.query("nonsense").told(), (Words{"E 08P01 invalid command 'nonsense', use SHOW HELP;", "Z"}));
    EXPECT_EQ(console.query("resume").told(), (Words{"C RESUME", "Z"}));
    EXPECT_EQ(console.ran.size(), 3U);
}

TEST(session, a_stats_user_runs_nothing_that_changes_anything) {
    Console console(Access::stats);
    EXPECT_EQ(console.query("show state; kill_client 1").told(), (Words{"E 08P01 admin access needed", "Z"}));
    EXPECT_EQ(console.parse("", "KILL_CLIENT 1").bind("", "").execute("").sync().told(),
              (Words{"E 08P01 admin access needed", "Z"}));
    EXPECT_TRUE(console.ran.empty());
    EXPECT_EQ(console.query("show lists; set datestyle = 'x'").told().size(), 19U);
    Console nobody(Access::none);
    EXPECT_EQ(nobody.query("show state").told(), (Words{"E 08P01 admin access needed", "Z"}));
}

TEST(session, extended_protocol_in_the_order_of_libpq_and_pgx) {
    Console console;
    console.parse("", "SHOW STATE").bind("", "").describe('P', "").execute("");
    EXPECT_EQ(console.next, Next::more);
    EXPECT_EQ(console.sync().told(),
              (Words{"1", "2", state_columns, state_rows[0], state_rows[1], state_rows[2], "C SHOW", "Z"}));
    EXPECT_EQ(console.next, Next::go_on);

    EXPECT_EQ(console.parse("s1", "show state").describe('S', "s1").sync().told(),
              (Words{"1", "t", state_columns, "Z"}));
    EXPECT_EQ(console.parse("s2", "pause a").describe('S', "s2").sync().told(), (Words{"1", "t", "n", "Z"}));
    for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(console.bind("", "s1").execute("").sync().told().size(), 6U);
        EXPECT_EQ(console.bind("", "s2").describe('P', "").execute("").sync().told(),
                  (Words{"2", "n", "C PAUSE", "Z"}));
    }
    EXPECT_EQ(console.close('S', "s1").close('S', "never").sync().told(), (Words{"3", "3", "Z"}));
    EXPECT_EQ(console.bind("", "s1").sync().told(), (Words{"E 26000 prepared statement \"s1\" does not exist", "Z"}));
    EXPECT_EQ(console.parse("", "").bind("", "").describe('P', "").execute("").sync().told(),
              (Words{"1", "2", "n", "I", "Z"}));
    EXPECT_EQ(console.parse("", "show help").bind("", "").describe('P', "").execute("").sync().told(),
              (Words{"1", "2", "n", "N 00000 Console usage", "C SHOW", "Z"}));
}

TEST(session, an_error_skips_to_the_next_sync) {
    Console console;
    EXPECT_EQ(console.parse("", "nonsense").bind("", "").execute("").query("show state").raw('H', "").told(),
              (Words{"E 08P01 invalid command 'nonsense', use SHOW HELP;"}));
    EXPECT_EQ(console.sync().told(), (Words{"Z"}));
    EXPECT_EQ(
        console.parse("", "pause missing").bind("", "").execute("").execute("").parse("x", "reload").sync().told(),
        (Words{"1", "2", "E 08P01 no such database: missing", "Z"}));
    EXPECT_EQ(console.bind("", "x").sync().told(), (Words{"E 26000 prepared statement \"x\" does not exist", "Z"}));
    EXPECT_EQ(console.ran.size(), 1U);
}

TEST(session, refuses_what_it_cannot_do_with_postgresqls_codes) {
    Console console;
    const auto refusal = [&] { return console.sync().told().front().substr(0, 7); };
    console.parse("s", "show state").sync().take();
    EXPECT_EQ((console.parse("s", "show state"), refusal()), "E 42P05");
    EXPECT_EQ((console.parse("m", "pause; resume"), refusal()), "E 42601");
    EXPECT_EQ((console.parse("p", "pause $1"), refusal()), "E 0A000");
    EXPECT_EQ((console.raw('P', bytes("p\0pause\0\0\1\0\0\0\31")), refusal()), "E 0A000");
    EXPECT_EQ((console.raw('B', bytes("\0s\0\0\0\0\1\0\0\0\1a\0\0")), refusal()), "E 0A000");
    EXPECT_EQ((console.raw('B', bytes("\0s\0\0\0\0\1")), refusal()), "E 08P01");
    EXPECT_EQ((console.bind("", "s", "000"), refusal()), "E 08P01");
    EXPECT_EQ((console.bind("", "s", "7"), refusal()), "E 22023");
    EXPECT_EQ((console.execute("q"), refusal()), "E 34000");
    EXPECT_EQ((console.describe('P', "q"), refusal()), "E 34000");
    EXPECT_EQ((console.describe('S', "q"), refusal()), "E 26000");
    EXPECT_EQ((console.raw('D', "?"), refusal()), "E 08P01");
    EXPECT_EQ(console.bind("q", "s").bind("q", "s").sync().told()[1].substr(0, 7), "E 42P03");
    EXPECT_TRUE(console.ran.empty());
    EXPECT_EQ(console.raw('F', "").told(), (Words{"E 0A000 the admin console has no functions to call", "Z"}));
    EXPECT_EQ(console.raw('d', "x").told(), Words{});
}

TEST(session, gives_rows_in_portions) {
    Console console;
    console.parse("", "show state").bind("", "").execute("", 2);
    EXPECT_EQ(console.told(), (Words{"1", "2", state_rows[0], state_rows[1], "s"}));
    EXPECT_EQ(console.execute("", 2).told(), (Words{state_rows[2], "C SHOW"}));
    EXPECT_EQ(console.execute("", 0).sync().told(), (Words{"C SHOW", "Z"}));
    EXPECT_EQ(console.execute("").sync().told().front(), "E 34000 portal \"\" does not exist");
    EXPECT_EQ(console.ran.size(), 1U);
    console.parse("", "reload").bind("", "").execute("").told();
    EXPECT_EQ(console.execute("").sync().told(), (Words{"E 55000 portal \"\" was run and cannot be run again", "Z"}));
    EXPECT_EQ(console.ran.size(), 2U);
}

TEST(session, gives_binary_values_to_drivers_that_ask) {
    Console console;
    const std::string answer =
        console.parse("", "show lists").bind("", "", "1").describe('P', "").execute("", 2).take();
    EXPECT_EQ(told(answer)[2], "T list:25b items:23b");
    EXPECT_EQ(messages(answer)[4].body, bytes("\0\2\0\0\0\5users\0\0\0\4\0\0\0\2"));
    console.sync().take();
    EXPECT_EQ(told(console.bind("", "", "01").describe('P', "").take())[1], "T list:25 items:23b");
}

TEST(session, binary_values_are_those_of_postgresql) {
    EXPECT_EQ(binary_value(Type::int4, "-2"), bytes("\377\377\377\376"));
    EXPECT_EQ(binary_value(Type::int4, "5000000000"), bytes("\177\377\377\377"));
    EXPECT_EQ(binary_value(Type::int8, "5000000000"), bytes("\0\0\0\1\052\005\362\0"));
    // As PostgreSQL's numeric_send writes 0, 1, 10000, 12345678 and -100000001.
    EXPECT_EQ(binary_value(Type::numeric, "0"), bytes("\0\0\0\0\0\0\0\0"));
    EXPECT_EQ(binary_value(Type::numeric, "1"), bytes("\0\1\0\0\0\0\0\0\0\1"));
    EXPECT_EQ(binary_value(Type::numeric, "10000"), bytes("\0\1\0\1\0\0\0\0\0\1"));
    EXPECT_EQ(binary_value(Type::numeric, "12345678"), bytes("\0\2\0\1\0\0\0\0\004\322\026\056"));
    EXPECT_EQ(binary_value(Type::numeric, "-100000001"), bytes("\0\3\0\2\100\0\0\0\0\1\0\0\0\1"));
}

TEST(session, limits_what_it_keeps_for_a_client) {
    Console console;
    for (std::size_t i = 0; i < Session::statements_max; ++i) console.parse("s" + std::to_string(i), "show state");
    EXPECT_EQ(console.take().size(), 5 * Session::statements_max);
    EXPECT_EQ(console.parse("one more", "show state").sync().told().front().substr(0, 7), "E 54000");
    EXPECT_EQ(console.close('S', "s7").parse("one more", "show state").sync().told(), (Words{"3", "1", "Z"}));
}

TEST(session, closes_when_the_client_says_so_or_speaks_something_else) {
    Console console;
    EXPECT_EQ(console.raw('X', "").next, Next::close);
    EXPECT_EQ(console.raw('p', "x").told(), (Words{"E 08P01 unsupported packet type for admin console: 112"}));
    EXPECT_EQ(console.next, Next::close);
}

TEST(session, begins_with_what_drivers_need_to_know) {
    std::string out;
    Writer writer(out);
    write_parameters(writer, "1.25.0");
    std::string all;
    for (const Message& message : messages(out)) {
        const auto status = backend::read_parameter_status(message.body);
        all += std::string(status->name) + "=" + std::string(status->value) + " ";
    }
    EXPECT_EQ(all,
              "server_version=1.25.0/bouncer client_encoding=UTF8 server_encoding=UTF8 DateStyle=ISO TimeZone=GMT "
              "standard_conforming_strings=on is_superuser=on ");
}

TEST(session, help_names_every_table) {
    const std::string text = help().detail;
    for (const char* name :
         {"ACTIVE_SOCKETS", "CLIENTS",     "CONFIG",         "DATABASES",    "DNS_HOSTS", "DNS_ZONES",
          "LISTS",          "MEM",         "PEER_POOLS",     "PEERS",        "POOLS",     "SERVERS",
          "SOCKETS",        "STATE",       "STATS_AVERAGES", "STATS_TOTALS", "TOTALS",    "USERS",
          "VERSION",        "KILL_CLIENT", "WAIT_CLOSE",     "SUSPEND"})
        EXPECT_TRUE(text.contains(name)) << name;
}

TEST(session, columns_of_our_own_are_described_only_when_asked_for) {
    for (const bool own : {false, true}) {
        Console console(Access::admin, own);
        const auto described = console.parse("", "show clients").bind("", "").describe('P', "").sync().told();
        ASSERT_GE(described.size(), 3U);
        EXPECT_EQ(described[2].find("pin_reason:25") != std::string::npos, own) << described[2];
        (void)console.query("show servers");
        EXPECT_EQ(console.ran.back().own_columns, own);
    }
}

}  // namespace
}  // namespace pgkeel::console
