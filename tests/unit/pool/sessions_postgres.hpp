#pragma once
#include "auth/md5.hpp"
#include "auth/scram_server.hpp"
#include "auth/secret.hpp"
#include "pgwire/backend_builders.hpp"
#include "pgwire/backend_readers.hpp"
#include "pgwire/startup.hpp"
#include "sessions_wire.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

// A PostgreSQL as far as a pooler can see it: the protocol is the real one, the SQL is not. It looks closely at what it
// is sent — a message cut wrongly shows as one that cannot be read — and says so in `violations`.
//
// Its statements: `mark X` one row with X · `rows N X` · `BEGIN` `COMMIT` `ROLLBACK` · `error CODE` · `fatal CODE` ·
// `notice X` · `SET name = value` `RESET name` `SHOW name` `SELECT pg_catalog.set_config('name', 'value', false)` ·
// `SET LOCAL` `SAVEPOINT x` `ROLLBACK TO x` · `LISTEN x` `UNLISTEN *` `CREATE TEMP TABLE x` `PREPARE x` `SELECT
// pg_advisory_lock(x)` leave something, which `SHOW left` tells · `COPY IN` (data that holds "bad" is an error) `COPY
// OUT N X` · `DEALLOCATE ALL` `DISCARD ALL` · `sleep` until it is woken or cancelled · `write`, which waits for a
// standby and hides the warning when that is cut short, and what asks whether it has arrived · `SELECT secret $1` for
// auth_query · the empty one. $1 is the first parameter.

namespace pgkeel::pool {

class Postgres;

inline std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

/// One connection, that is: one process of it.
class Backend final : public Peer {
  public:
    Backend(Postgres& postgres, std::uint32_t pid) : postgres_(postgres), pid_(pid) {}

    MemoryWire* wire = nullptr;
    void got(std::string_view bytes) override;
    void hung_up() override { gone = true; }

    bool gone = false;  ///< the pooler has closed it
    bool logged_in = false;
    bool cancelling = false;  ///< it is no session, but a cancel request
    bool terminated = false;  ///< by the word of the protocol
    std::uint32_t pid() const { return pid_; }
    std::string key() const { return "k" + std::to_string(100 + pid_ % 900); }
    const std::string& user() const { return user_; }
    std::map<std::string, std::string> startup;
    std::vector<std::string> log;  ///< what it was asked: `Q text`, `P name text`, `B name`, …
    std::size_t prepared() const { return statements_.size(); }
    char status() const { return status_; }
    bool sleeps() const { return sleeping_; }
    void wake() {
        if (!std::exchange(sleeping_, false)) return;
        complete(std::exchange(waits_for_standby_, Waits::no) == Waits::no ? "sleep" : "INSERT 0 1");
        go_on();
    }
    void cancel() {
        if (!std::exchange(sleeping_, false)) return;
        const Waits waits = std::exchange(waits_for_standby_, Waits::no);
        if (waits == Waits::no)
            error("57014", "canceling statement due to user request");
        else if (waits == Waits::with_warning)
            say_unconfirmed("SELECT 1");
        else
            complete("INSERT 0 1");
        go_on();
    }
    /// Says something unasked.
    void say(std::string_view bytes) { wire->send(bytes); }
    void say_fatal(std::string sqlstate, std::string message) {
        send([&](pgwire::Writer& out) {
            pgwire::backend::write_error_response(
                out, {pgwire::backend::Severity::fatal, std::move(sqlstate), std::move(message), "", ""});
        });
        die();
    }
    void die() {
        dead_ = true;
        wire->hang_up();
    }

  private:
    struct Prepared {
        std::string text, types;
    };
    struct Portal {
        std::string text;
        std::vector<std::string> values;
        std::size_t rows_sent = 0;
    };

    template <class F>
    void send(F write) {
        std::string bytes;
        pgwire::Writer writer(bytes);
        write(writer);
        wire->send(bytes);
    }
    void violation(const std::string& what);
    void begin(std::string_view& bytes);
    void after_startup();
    void password(std::string_view body);
    void welcome();
    void go_on();
    void handle(char type, std::string_view body);
    void simple(std::string_view text);
    void run_next();
    void extended(char type, std::string_view body);
    /// False: it had an error, or has gone to sleep or into COPY.
    bool execute(std::string statement, bool describe, const std::vector<std::string>& values, std::size_t most = 0,
                 std::size_t* sent = nullptr);
    void row_description();
    void rows(std::size_t count, std::string_view text);
    void complete(std::string_view tag) {
        send([&](pgwire::Writer& out) { pgwire::backend::write_command_complete(out, tag); });
    }
    void error(std::string sqlstate, std::string message);
    /// As SyncRepWaitForLSN() of PostgreSQL 15 says it when the wait of a commit is cancelled.
    void say_unconfirmed(std::string_view tag) {
        send([](pgwire::Writer& out) {
            out.begin('N');
            for (const std::string_view field :
                 {"SWARNUNG", "VWARNING", "C01000", "Mcanceling wait for synchronous replication due to user request",
                  "DThe transaction has already committed locally, but might not have been replicated to the standby.",
                  "Fsyncrep.c", "L287", "RSyncRepWaitForLSN"})
                out.text(field);
            out.byte(0);
            out.end();
        });
        complete(tag);
    }
    void ready();
    void report_changes();
    void start_transaction(bool whole);
    void end_transaction(bool commit);
    void in_copy(char type, std::string_view body);
    bool set(std::string name, std::string value);
    std::string left() const;

    static std::optional<std::string_view> take_text(std::string_view& body) {
        const auto end = body.find('\0');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view text = body.substr(0, end);
        body.remove_prefix(end + 1);
        return text;
    }
    static std::optional<std::uint32_t> take_number(std::string_view& body, int bytes) {
        if (body.size() < static_cast<std::size_t>(bytes)) return std::nullopt;
        std::uint32_t value = 0;
        for (int i = 0; i < bytes; ++i)
            value = value << 8 | static_cast<unsigned char>(body[static_cast<std::size_t>(i)]);
        body.remove_prefix(static_cast<std::size_t>(bytes));
        return value;
    }

    Postgres& postgres_;
    std::uint32_t pid_;
    std::string in_, user_;
    bool begun_ = false, dead_ = false, sleeping_ = false, skipping_ = false, busy_simple_ = false;
    enum class Waits { no, silently, with_warning };
    Waits waits_for_standby_ = Waits::no;
    bool copying_ = false;
    std::size_t copied_ = 0;
    char status_ = 'I';
    bool implicit_ = false;  ///< an extended pipeline has begun, and no Sync yet
    std::map<std::string, std::string> settings_, before_, reported_, defaults_;
    std::map<std::string, std::string> locals_;                                ///< what SET LOCAL has hidden
    std::set<std::string> left_, left_before_;                                 ///< in the session: "listen x"
    std::map<std::string, std::map<std::string, std::string>> at_savepoints_;  ///< the settings
    std::map<std::string, Prepared> statements_;
    std::map<std::string, Portal> portals_;
    std::vector<std::string> todo_;  ///< of a simple query
    std::optional<auth::ScramServer> scram_;
    bool scram_begun_ = false;
    auth::Md5Salt salt_{'s', 'a', 'l', 't'};
};

class Postgres {
  public:
    enum class Method { trust, cleartext, md5, scram, refuse_all };
    Method method = Method::trust;
    std::map<std::string, std::string> passwords;          ///< of users, plain
    std::map<std::string, auth::ScramVerifier> verifiers;  ///< of users, instead
    std::map<std::string, std::string> secrets;            ///< what auth_query tells
    std::map<std::string, std::string> defaults{{"server_version", "15.8"},
                                                {"server_encoding", "UTF8"},
                                                {"client_encoding", "UTF8"},
                                                {"application_name", ""},
                                                {"DateStyle", "ISO, MDY"},
                                                {"IntervalStyle", "postgres"},
                                                {"TimeZone", "UTC"},
                                                {"standard_conforming_strings", "on"},
                                                {"search_path", "\"$user\", public"}};
    std::string refusal_sqlstate = "28P01", refusal_text = "no";
    bool takes_tls = false;
    bool unreachable = false;
    bool hold_cancels = false;  ///< the connection of a cancel request stays open until let_cancels_go()
    bool signal_late = false;   ///< and the signal comes only then
    bool standby_is_away = false;
    std::size_t asked_for_confirmation = 0;
    std::vector<std::string> violations;
    std::list<std::unique_ptr<Backend>> backends;

    Backend& add() {
        backends.push_back(std::make_unique<Backend>(*this, ++pids_));
        return *backends.back();
    }
    /// Connected and not closed, cancel requests apart.
    std::vector<Backend*> sessions() const {
        std::vector<Backend*> found;
        for (const auto& backend : backends)
            if (backend->logged_in && !backend->gone && !backend->cancelling) found.push_back(backend.get());
        return found;
    }
    Backend& only() const { return *sessions().at(0); }
    std::size_t logins() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(backends, [](const auto& backend) { return backend->logged_in; }));
    }
    void cancel(std::uint32_t pid, std::string_view key) {
        ++cancels_seen;
        for (const auto& backend : backends)
            if (backend->pid() == pid && backend->key() == key && !backend->gone) backend->cancel();
    }
    void let_cancels_go() {
        hold_cancels = false;
        for (const auto& [pid, key] : std::exchange(late_, {})) cancel(pid, key);
        for (const auto& backend : backends)
            if (backend->cancelling) backend->wire->hang_up();
    }
    std::size_t cancels_seen = 0;

  private:
    friend class Backend;
    std::uint32_t pids_ = 1000;
    std::vector<std::pair<std::uint32_t, std::string>> late_;
};

// ---- the protocol

inline void Backend::violation(const std::string& what) {
    postgres_.violations.push_back("backend " + std::to_string(pid_) + ": " + what);
    die();
}

inline void Backend::got(std::string_view bytes) {
    if (dead_) return;
    in_ += bytes;
    go_on();
}

inline void Backend::go_on() {
    while (!dead_ && !sleeping_ && !in_.empty()) {
        if (busy_simple_ && !copying_) {
            run_next();
            continue;
        }
        if (!begun_) {
            std::string_view rest = in_;
            begin(rest);
            if (rest.size() == in_.size()) return;
            in_ = std::string(rest);
            continue;
        }
        if (in_.size() < 5) break;
        std::string_view rest = std::string_view(in_).substr(1);
        const std::uint32_t length = *take_number(rest, 4);
        if (length < 4) return violation("length " + std::to_string(length));
        if (in_.size() < std::size_t{1} + length) break;
        const char type = in_[0];
        const std::string body = in_.substr(5, length - 4);
        in_.erase(0, 1 + length);
        handle(type, body);
    }
    while (!dead_ && !sleeping_ && busy_simple_ && !copying_) run_next();
}

inline void Backend::begin(std::string_view& bytes) {
    const auto first = pgwire::read_first_packet(bytes);
    if (!first) return violation("first packet: " + first.error().text);
    if (!*first) return;
    bytes.remove_prefix((*first)->bytes);
    const pgwire::FirstPacket& packet = (*first)->packet;
    if (std::holds_alternative<pgwire::SslRequest>(packet)) return wire->send(postgres_.takes_tls ? "S" : "N");
    if (const auto* cancel = std::get_if<pgwire::CancelRequest>(&packet)) {
        cancelling = begun_ = true;
        if (postgres_.hold_cancels) {
            if (postgres_.signal_late)
                postgres_.late_.emplace_back(cancel->process_id, cancel->key);
            else
                postgres_.cancel(cancel->process_id, cancel->key);
            return;
        }
        postgres_.cancel(cancel->process_id, cancel->key);
        return die();
    }
    if (!std::holds_alternative<pgwire::StartupMessage>(packet)) return violation("strange first packet");
    const auto& startup_message = std::get<pgwire::StartupMessage>(packet);
    begun_ = true;
    user_ = startup_message.user;
    startup["database"] = startup_message.database;
    defaults_ = postgres_.defaults;
    for (const auto& [name, value] : startup_message.parameters) {
        startup[name] = value;
        for (auto& [known, now] : defaults_)
            if (lower(known) == lower(name)) now = value;
    }
    settings_ = defaults_;
    after_startup();
}

inline void Backend::after_startup() {
    using namespace pgwire::backend;
    switch (postgres_.method) {
        case Postgres::Method::trust:
            return welcome();
        case Postgres::Method::refuse_all:
            return say_fatal(postgres_.refusal_sqlstate, postgres_.refusal_text);
        case Postgres::Method::cleartext:
            return send([](pgwire::Writer& out) { write_authentication_cleartext(out); });
        case Postgres::Method::md5:
            return send([this](pgwire::Writer& out) { write_authentication_md5(out, salt_); });
        case Postgres::Method::scram: {
            auth::ScramServer::User whom;
            if (const auto known = postgres_.verifiers.find(user_); known != postgres_.verifiers.end())
                whom = {known->second, true};
            else if (const auto plain = postgres_.passwords.find(user_); plain != postgres_.passwords.end())
                whom = {*auth::make_verifier(plain->second, "server salt 1234", 4096), true};
            else
                return say_fatal("28P01", "password authentication failed");
            scram_.emplace(whom, "");
            return send([this](pgwire::Writer& out) { write_authentication_sasl(out, {scram_->mechanisms().at(0)}); });
        }
    }
}

inline void Backend::password(std::string_view body) {
    using namespace pgwire::backend;
    const auto wrong = [this] { say_fatal("28P01", "password authentication failed for user \"" + user_ + "\""); };
    if (scram_) {
        if (!std::exchange(scram_begun_, true)) {
            const auto initial = pgwire::frontend::read_sasl_initial_response(body);
            if (!initial || !initial->data) return violation("SASLInitialResponse");
            const auto answer = scram_->first(initial->mechanism, *initial->data);
            if (!answer) return wrong();
            return send([&](pgwire::Writer& out) { write_authentication_sasl_continue(out, *answer); });
        }
        const auto answer = scram_->last(body);
        if (!answer) return wrong();
        send([&](pgwire::Writer& out) { write_authentication_sasl_final(out, *answer); });
        return welcome();
    }
    const auto text = pgwire::frontend::read_password(body);
    if (!text) return violation("PasswordMessage");
    const auto secret = auth::Secret::parse(postgres_.passwords[user_]);
    const bool right = postgres_.method == Postgres::Method::md5 ? secret->matches_md5(*text, user_, salt_)
                                                                 : secret->matches(*text, user_);
    if (!right) return wrong();
    welcome();
}

inline void Backend::welcome() {
    logged_in = true;
    send([&](pgwire::Writer& out) {
        pgwire::backend::write_authentication_ok(out);
        for (const auto& [name, value] : settings_)
            if (name != "search_path") pgwire::backend::write_parameter_status(out, name, value);
        pgwire::backend::write_backend_key_data(out, pid_, key());
        pgwire::backend::write_ready_for_query(out, pgwire::backend::TransactionStatus::idle);
    });
    reported_ = settings_;
}

inline void Backend::error(std::string sqlstate, std::string message) {
    send([&](pgwire::Writer& out) {
        pgwire::backend::write_error_response(
            out, {pgwire::backend::Severity::error, std::move(sqlstate), std::move(message), "", ""});
    });
    copying_ = false;
    if (status_ == 'T')
        status_ = 'E';
    else if (status_ == 'I')
        end_transaction(false);
    if (busy_simple_)
        todo_.clear();
    else
        skipping_ = true;
}

inline void Backend::start_transaction(bool whole) {
    if (status_ == 'I' && !implicit_) {
        before_ = settings_;
        left_before_ = left_;
    }
    if (whole)
        status_ = 'T';
    else if (status_ == 'I')
        implicit_ = true;
}

inline void Backend::end_transaction(bool commit) {
    for (const auto& [name, value] : std::exchange(locals_, {})) settings_[name] = value;
    at_savepoints_.clear();
    if ((implicit_ || status_ != 'I') && !commit) {
        settings_ = before_;
        // These do not care for transactions.
        std::erase_if(left_before_,
                      [](const std::string& one) { return !one.starts_with("listen") && !one.starts_with("temp"); });
        std::erase_if(left_,
                      [](const std::string& one) { return one.starts_with("listen") || one.starts_with("temp"); });
        left_.merge(left_before_);
    }
    implicit_ = false;
    status_ = 'I';
    portals_.clear();
}

inline void Backend::report_changes() {
    for (const auto& [name, value] : settings_)
        if (name != "search_path" && postgres_.defaults.contains(name) && reported_[name] != value)
            send([&](pgwire::Writer& out) { pgwire::backend::write_parameter_status(out, name, value); });
    reported_ = settings_;
}

inline void Backend::ready() {
    report_changes();
    send([&](pgwire::Writer& out) {
        pgwire::backend::write_ready_for_query(out, static_cast<pgwire::backend::TransactionStatus>(status_));
    });
}

inline bool Backend::set(std::string name, std::string value) {
    if (value == "invalid") {
        error("22023", "invalid value for parameter \"" + name + "\"");
        return false;
    }
    for (auto& [known, now] : settings_)
        if (lower(known) == lower(name)) {
            if (known == "DateStyle" && lower(value).starts_with("iso")) value = "ISO, MDY";
            if (known == "DateStyle" && lower(value).starts_with("german")) value = "German, DMY";
            now = value;
            return true;
        }
    if (!name.contains('.') && name != "extra_float_digits" && name != "statement_timeout") {
        error("42704", "unrecognized configuration parameter \"" + name + "\"");
        return false;
    }
    settings_[name] = value;
    reported_[name] = value;  // never reported
    defaults_.try_emplace(name, "");
    return true;
}

inline void Backend::handle(char type, std::string_view body) {
    if (cancelling) return;
    if (!logged_in) {
        if (type != 'p') return violation("a password was expected");
        return password(body);
    }
    if (type == 'X') {
        terminated = true;
        return die();
    }
    if (copying_) return in_copy(type, body);
    if (type == 'd' || type == 'c' || type == 'f') return;  // what comes late is ignored
    if (skipping_ && type != 'S') return;
    switch (type) {
        case 'Q': {
            const auto text = take_text(body);
            if (!text || !body.empty()) return violation("malformed Query");
            log.push_back("Q " + std::string(*text));
            return simple(*text);
        }
        case 'S':
            if (!body.empty()) return violation("malformed Sync");
            log.push_back("S");
            skipping_ = false;
            if (status_ == 'I') end_transaction(true);
            return ready();
        case 'H':
            return;
        case 'F':
            send([](pgwire::Writer& out) {
                out.begin('V');
                out.int32(0xffffffff);
                out.end();
            });
            return ready();
        case 'P':
        case 'B':
        case 'D':
        case 'E':
        case 'C':
            return extended(type, body);
        default:
            return violation(std::string("message of type ") + type);
    }
}

inline void Backend::in_copy(char type, std::string_view body) {
    switch (type) {
        case 'd':
            copied_ += body.size();
            if (body.find("bad") == std::string_view::npos) return;
            return error("22P04", "bad row");
        case 'c':
            copying_ = false;
            complete("COPY " + std::to_string(copied_));
            return;
        case 'f':
            return error("57014", "COPY from stdin failed");
        case 'S':
        case 'H':
            return;
        default:
            return error("08P01", "unexpected message type during COPY from stdin");
    }
}

inline void Backend::simple(std::string_view text) {
    busy_simple_ = true;
    todo_.clear();
    std::string part;
    for (const char c : text) {
        if (c != ';') {
            part += c;
            continue;
        }
        todo_.push_back(std::exchange(part, ""));
    }
    if (!part.empty() || todo_.empty()) todo_.push_back(part);
    std::ranges::reverse(todo_);
}

/// The next statement of the simple query, or its end.
inline void Backend::run_next() {
    if (todo_.empty()) {
        busy_simple_ = false;
        if (status_ == 'I') end_transaction(true);
        return ready();
    }
    const std::string statement = todo_.back();
    todo_.pop_back();
    execute(statement, true, {});
}

inline void Backend::row_description() {
    send([](pgwire::Writer& out) {
        const pgwire::backend::Column column{.name = "mark"};
        pgwire::backend::write_row_description(out, {&column, 1});
    });
}

inline void Backend::rows(std::size_t count, std::string_view text) {
    const std::optional<std::string_view> value = text;
    for (std::size_t i = 0; i < count; ++i)
        send([&](pgwire::Writer& out) { pgwire::backend::write_data_row(out, {&value, 1}); });
}

namespace fake_sql {

inline std::string trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return std::string(text);
}

inline std::string unquoted(std::string_view text) {
    std::string word = trimmed(text), out;
    const bool escapes = word.starts_with("E'");
    if (escapes) word.erase(0, 1);
    if (word.size() < 2 || (word.front() != '\'' && word.front() != '"')) return word;
    for (std::size_t i = 1; i + 1 < word.size(); ++i) {
        if (word[i] == word.front() || (escapes && word[i] == '\\')) ++i;
        out += word[i];
    }
    return out;
}

}  // namespace fake_sql

inline bool Backend::execute(std::string statement, bool describe, const std::vector<std::string>& values,
                             std::size_t most, std::size_t* sent) {
    using fake_sql::trimmed;
    using fake_sql::unquoted;
    statement = trimmed(statement);
    if (const auto place = statement.find("$1"); place != std::string::npos)
        statement.replace(place, 2, values.empty() ? "" : values[0]);
    std::istringstream words(statement);
    std::string verb;
    words >> verb;
    const std::string command = lower(verb);
    const auto rest = [&] { return trimmed(std::string_view(statement).substr(verb.size())); };
    if (statement.empty()) {
        send([](pgwire::Writer& out) { pgwire::backend::write_empty_query_response(out); });
        return true;
    }
    if (status_ == 'E' && command != "rollback" && command != "commit") {
        error("25P02", "current transaction is aborted");
        return false;
    }
    start_transaction(false);
    if (command == "mark") {
        if (describe) row_description();
        rows(1, rest());
        complete("SELECT 1");
    } else if (command == "rows") {
        std::size_t count = 0;
        std::string mark;
        words >> count >> mark;
        count = std::min<std::size_t>(count, 5000);
        if (describe) row_description();
        std::size_t begin = sent != nullptr ? *sent : 0;
        std::size_t now = most == 0 ? count - begin : std::min(most, count - begin);
        rows(now, mark);
        if (sent != nullptr) *sent += now;
        if (begin + now < count) {
            send([](pgwire::Writer& out) {
                out.begin('s');
                out.end();
            });
            return true;
        }
        complete("SELECT " + std::to_string(now));
    } else if (command == "begin") {
        start_transaction(true);
        implicit_ = false;
        complete("BEGIN");
    } else if (command == "savepoint") {
        at_savepoints_[rest()] = settings_;
        complete("SAVEPOINT");
    } else if (lower(statement).starts_with("rollback to ")) {
        if (status_ == 'E') status_ = 'T';
        settings_ = at_savepoints_[statement.substr(12)];
        complete("ROLLBACK");
    } else if (command == "commit" || command == "rollback") {
        const bool commit = command == "commit" && status_ != 'E';
        end_transaction(commit);
        complete(commit ? "COMMIT" : "ROLLBACK");
    } else if (command == "error") {
        error(rest(), "as asked");
        return false;
    } else if (command == "fatal") {
        say_fatal(rest(), "terminating connection as asked");
        return false;
    } else if (command == "notice") {
        send([&](pgwire::Writer& out) {
            pgwire::backend::write_notice_response(out, {pgwire::backend::Severity::notice, "00000", rest(), "", ""});
        });
        complete("NOTICE");
    } else if (command == "unconfirmed") {
        say_unconfirmed("COMMIT");
    } else if (command == "write") {
        sleeping_ = true;
        waits_for_standby_ = Waits::silently;
        return false;
    } else if (statement.contains("pg_logical_emit_message")) {
        ++postgres_.asked_for_confirmation;
        if (describe) row_description();
        rows(1, "0/1");
        if (!postgres_.standby_is_away) {
            complete("SELECT 1");
            return true;
        }
        sleeping_ = true;
        waits_for_standby_ = Waits::with_warning;
        return false;
    } else if (command == "listen" || command == "prepare") {
        left_.insert(command + " " + rest().substr(0, rest().find(' ')));
        complete(lower(verb) == "listen" ? "LISTEN" : "PREPARE");
    } else if (statement == "UNLISTEN *") {
        std::erase_if(left_, [](const std::string& one) { return one.starts_with("listen"); });
        complete("UNLISTEN");
    } else if (lower(statement).starts_with("create temp table ")) {
        left_.insert("temp " + statement.substr(18));
        complete("CREATE TABLE");
    } else if (statement.starts_with("SELECT pg_advisory_lock(")) {
        left_.insert("lock " + statement.substr(24, statement.find(')') - 24));
        if (describe) row_description();
        rows(1, "");
        complete("SELECT 1");
    } else if (statement == "SHOW left") {
        if (describe) row_description();
        rows(1, left());
        complete("SHOW");
    } else if (command == "set") {
        std::string text = rest();
        bool local = false;
        if (lower(text).starts_with("local ")) {
            local = true;
            text.erase(0, 6);
        }
        if (lower(text).starts_with("session ")) text.erase(0, 8);
        auto equals = text.find('=');
        if (equals == std::string::npos)
            if (const auto to = lower(text).find(" to "); to != std::string::npos) text.replace(equals = to, 4, "=");
        if (local && equals != std::string::npos) {
            const std::string name = unquoted(text.substr(0, equals));
            locals_.try_emplace(name, settings_[name]);
        }
        if (equals == std::string::npos) {
            error("42601", "syntax error");
            return false;
        }
        if (!set(unquoted(text.substr(0, equals)), unquoted(text.substr(equals + 1)))) return false;
        complete("SET");
    } else if (command == "reset") {
        const std::string name = unquoted(rest());
        if (name == "ALL") settings_ = defaults_;
        for (auto& [known, now] : settings_)
            if (lower(known) == lower(name)) now = defaults_[known];
        complete("RESET");
    } else if (statement.starts_with("SELECT pg_catalog.set_config(")) {
        std::string_view arguments = std::string_view(statement).substr(29);
        const auto first = arguments.find("',");
        const auto last = arguments.rfind(", false)");
        if (first == std::string_view::npos || last == std::string_view::npos || last < first + 2) {
            error("42601", "syntax error");
            return false;
        }
        if (!set(unquoted(arguments.substr(0, first + 1)), unquoted(arguments.substr(first + 2, last - first - 2))))
            return false;
        if (describe) row_description();
        rows(1, "set");
        complete("SELECT 1");
    } else if (command == "show") {
        std::string value;
        for (const auto& [known, now] : settings_)
            if (lower(known) == lower(rest())) value = now;
        if (describe) row_description();
        rows(1, value);
        complete("SHOW");
    } else if (lower(statement) == "copy in") {
        send([](pgwire::Writer& out) {
            out.begin('G');
            out.byte(0);
            out.int16(0);
            out.end();
        });
        copying_ = true;
        copied_ = 0;
        return false;
    } else if (command == "copy") {
        std::size_t count = 0;
        std::string out_word, mark;
        words >> out_word >> count >> mark;
        count = std::min<std::size_t>(count, 5000);
        send([](pgwire::Writer& out) {
            out.begin('H');
            out.byte(0);
            out.int16(0);
            out.end();
        });
        for (std::size_t i = 0; i < count; ++i)
            send([&](pgwire::Writer& out) {
                out.begin('d');
                out.bytes(mark);
                out.end();
            });
        send([](pgwire::Writer& out) {
            out.begin('c');
            out.end();
        });
        complete("COPY " + std::to_string(count));
    } else if (statement == "DEALLOCATE ALL" || statement == "DISCARD ALL") {
        statements_.clear();
        std::erase_if(left_, [](const std::string& one) { return one.starts_with("prepare"); });
        if (statement == "DISCARD ALL") {
            settings_ = defaults_;
            left_.clear();
        }
        complete(statement);
    } else if (command == "sleep") {
        sleeping_ = true;
        return false;
    } else if (statement.starts_with("SELECT secret")) {
        const std::string name = values.empty() ? "" : values[0];
        if (settings_["search_path"] != postgres_.defaults["search_path"])
            postgres_.violations.push_back("auth_query ran with search_path " + settings_["search_path"]);
        if (const auto known = postgres_.secrets.find(name); known != postgres_.secrets.end()) {
            const std::optional<std::string_view> row[] = {known->first, known->second};
            send([&](pgwire::Writer& out) { pgwire::backend::write_data_row(out, row); });
        }
        complete("SELECT 1");
    } else {
        error("42601", "syntax error at or near \"" + verb + "\"");
        return false;
    }
    return true;
}

inline std::string Backend::left() const {
    std::string all;
    for (const std::string& one : left_) all += (all.empty() ? "" : ",") + one;
    return all;
}

inline void Backend::extended(char type, std::string_view body) {
    const auto done = [&](void (*write)(pgwire::Writer&)) { send(write); };
    const auto has_rows = [](std::string_view text) {
        const std::string word = lower(text.substr(0, text.find(' ')));
        return word == "mark" || word == "rows" || word == "show" || word == "select";
    };
    switch (type) {
        case 'P': {
            const auto name = take_text(body), text = take_text(body);
            const auto types = take_number(body, 2);
            if (!name || !text || !types || body.size() != std::size_t{4} * *types) return violation("malformed Parse");
            log.push_back("P " + std::string(*name) + " " + std::string(*text));
            if (status_ == 'E' && lower(*text) != "rollback") return error("25P02", "current transaction is aborted");
            start_transaction(false);
            if (text->starts_with("syntax")) return error("42601", "syntax error");
            if (!name->empty() && statements_.contains(std::string(*name)))
                return error("42P05", "prepared statement \"" + std::string(*name) + "\" already exists");
            statements_[std::string(*name)] = {std::string(*text), std::string(body)};
            return done(pgwire::backend::write_parse_complete);
        }
        case 'B': {
            const auto portal = take_text(body), name = take_text(body);
            const auto formats = take_number(body, 2);
            if (!portal || !name || !formats || body.size() < std::size_t{2} * *formats)
                return violation("malformed Bind");
            body.remove_prefix(std::size_t{2} * *formats);
            const auto count = take_number(body, 2);
            if (!count) return violation("malformed Bind");
            Portal made;
            for (std::uint32_t i = 0; i < *count; ++i) {
                const auto length = take_number(body, 4);
                if (!length || (*length != 0xffffffff && body.size() < *length)) return violation("malformed Bind");
                made.values.emplace_back(*length == 0xffffffff ? "" : body.substr(0, *length));
                if (*length != 0xffffffff) body.remove_prefix(*length);
            }
            const auto results = take_number(body, 2);
            if (!results || body.size() != std::size_t{2} * *results) return violation("malformed Bind");
            log.push_back("B " + std::string(*name));
            const auto known = statements_.find(std::string(*name));
            if (known == statements_.end())
                return error("26000", "prepared statement \"" + std::string(*name) + "\" does not exist");
            if (status_ == 'E' && lower(known->second.text) != "rollback")
                return error("25P02", "current transaction is aborted");
            start_transaction(false);
            made.text = known->second.text;
            portals_[std::string(*portal)] = made;
            return done(pgwire::backend::write_bind_complete);
        }
        case 'D': {
            if (body.empty()) return violation("malformed Describe");
            const char kind = body[0];
            body.remove_prefix(1);
            const auto name = take_text(body);
            if (!name || !body.empty() || (kind != 'S' && kind != 'P')) return violation("malformed Describe");
            log.push_back(std::string("D ") + kind + std::string(*name));
            std::string text;
            if (kind == 'S') {
                const auto known = statements_.find(std::string(*name));
                if (known == statements_.end())
                    return error("26000", "prepared statement \"" + std::string(*name) + "\" does not exist");
                text = known->second.text;
                send([&](pgwire::Writer& out) { pgwire::backend::write_parameter_description(out, {}); });
            } else {
                const auto known = portals_.find(std::string(*name));
                if (known == portals_.end())
                    return error("34000", "portal \"" + std::string(*name) + "\" does not exist");
                text = known->second.text;
            }
            if (has_rows(text)) return row_description();
            return done(pgwire::backend::write_no_data);
        }
        case 'E': {
            const auto name = take_text(body);
            const auto most = take_number(body, 4);
            if (!name || !most || !body.empty()) return violation("malformed Execute");
            log.push_back("E");
            const auto known = portals_.find(std::string(*name));
            if (known == portals_.end()) return error("34000", "portal \"" + std::string(*name) + "\" does not exist");
            Portal portal = known->second;
            execute(portal.text, false, portal.values, *most, &portal.rows_sent);
            if (const auto still = portals_.find(std::string(*name)); still != portals_.end()) still->second = portal;
            return;
        }
        case 'C': {
            if (body.empty()) return violation("malformed Close");
            const char kind = body[0];
            body.remove_prefix(1);
            const auto name = take_text(body);
            if (!name || !body.empty() || (kind != 'S' && kind != 'P')) return violation("malformed Close");
            log.push_back(std::string("C ") + kind + std::string(*name));
            if (kind == 'S')
                statements_.erase(std::string(*name));
            else
                portals_.erase(std::string(*name));
            return done(pgwire::backend::write_close_complete);
        }
        default:
            return;
    }
}

}  // namespace pgkeel::pool
