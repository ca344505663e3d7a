#include "pool/session_effects.hpp"

#include "pool/parameters.hpp"
#include "pool/sql_words.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

// The grammar is PostgreSQL's (VariableSetStmt, VariableResetStmt and their like in gram.y, as the reference pages of
// SET, RESET, DISCARD, LISTEN, PREPARE, DECLARE, CREATE TABLE and LOAD tell it); what is not in it, the server refuses.

namespace pgkeel::pool {
namespace {

using Kind = SessionEffect::Kind;
using WordKind = SqlWord::Kind;

// ---- a look

/// Statements that leave nothing, but for what functions in them do, and for a temporary table of SELECT INTO.
constexpr auto harmless = std::to_array<std::string_view>(
    {"select",  "insert", "update",  "delete",  "with",     "begin",   "commit",   "rollback",  "savepoint", "release",
     "start",   "end",    "abort",   "copy",    "fetch",    "show",    "values",   "table",     "merge",     "explain",
     "analyze", "vacuum", "execute", "call",    "truncate", "lock",    "move",     "notify",    "alter",     "drop",
     "grant",   "revoke", "comment", "refresh", "reindex",  "cluster", "security", "checkpoint"});

/// Four bytes out of each word that could make one of them leave something: "temp", "pg_advisory_lock", "set_config".
constexpr auto marks = std::to_array<std::string_view>({"temp", "advi", "nfig"});

constexpr char folded(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// How far to go on when a byte is the fourth one of those looked at (Horspool, for several words of one length), and
/// whether it can be the last one of a mark.
constexpr std::uint8_t may_end = 0x80;
constexpr auto steps = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(4);
    const auto each_case = [&](char letter, auto change) {
        for (const char c : {letter, static_cast<char>(letter - 'a' + 'A')})
            table[static_cast<unsigned char>(c)] = change(table[static_cast<unsigned char>(c)]);
    };
    for (const std::string_view mark : marks)
        for (std::uint8_t i = 0; i < 3; ++i)
            each_case(mark[i], [&](std::uint8_t step) { return std::min(step, static_cast<std::uint8_t>(3 - i)); });
    for (const std::string_view mark : marks)
        each_case(mark[3], [](std::uint8_t step) { return static_cast<std::uint8_t>(step | may_end); });
    return table;
}();

bool has_mark(std::string_view sql) {
    for (std::size_t i = 3; i < sql.size();) {
        const std::uint8_t step = steps[static_cast<unsigned char>(sql[i])];
        if ((step & may_end) != 0)
            for (const std::string_view mark : marks)
                if (std::ranges::equal(sql.substr(i - 3, 4), mark, {}, folded)) return true;
        i += step & ~may_end;
    }
    return false;
}

/// It does not seem to be only the end of one statement.
bool has_more_statements(std::string_view sql) {
    const auto semicolon = sql.find(';');
    return semicolon != std::string_view::npos && sql.find_first_not_of(" \t\r\n\f\v;", semicolon) != sql.npos;
}

// ---- a closer look

bool is_one_of(const SqlWord& word, std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view one) { return word.is(one); });
}

bool same_name(std::string_view left, std::string_view right) {
    return equal_without_case(left, right);
}

/// As PostgreSQL quotes a name in a list, if it has to.
std::string in_list(const std::string& name) {
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9'); };
    if (!name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, is_plain)) return name;
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"') quoted += c;
        quoted += c;
    }
    return quoted + '"';
}

/// Longer ones are not carried from server to server.
constexpr std::size_t value_bytes_max = 1024;

class Reader {
  public:
    explicit Reader(std::string_view sql, bool is_body = false) : words_(sql), is_body_(is_body) { advance(); }

    SessionEffects read() {
        for (;;) {
            while (now_.is(';') || now_.is('(')) advance();
            if (now_.kind == WordKind::end) break;
            read_statement();
            ++statement_;
        }
        return std::move(effects_);
    }

  private:
    void advance() { now_ = words_.next(); }
    bool take(std::string_view keyword) {
        if (!now_.is(keyword)) return false;
        advance();
        return true;
    }
    bool take(char symbol) {
        if (!now_.is(symbol)) return false;
        advance();
        return true;
    }
    bool at_end() const { return now_.kind == WordKind::end || now_.is(';'); }

    void add(Kind kind, std::string name = {}, std::string value = {}) {
        effects_.push_back({kind, {}, statement_, std::move(name), std::move(value)});
    }
    void pin(PinReasons reasons, std::string name = {}) {
        effects_.push_back({Kind::pin, reasons, statement_, std::move(name), {}});
    }
    void unpin(PinReasons reasons) { effects_.push_back({Kind::unpin, reasons, statement_, {}, {}}); }

    void read_statement();
    void read_set();
    void read_characteristics();
    void read_value(std::string name);
    std::optional<std::string> take_setting_name();
    std::optional<std::string> take_item(bool as_list);
    void read_reset();
    void read_discard();
    void read_any();
    void read_config_call();
    void look_into(const SqlWord& body);

    SqlWords words_;
    SqlWord now_;
    bool is_body_;  ///< of a DO: statements begin in the middle of others
    std::size_t statement_ = 0;
    SessionEffects effects_;
};

void Reader::read_statement() {
    if (is_body_) return read_any();
    if (take("set"))
        read_set();
    else if (take("reset"))
        read_reset();
    else if (take("discard"))
        read_discard();
    else if (take("listen"))
        pin(PinReason::listen);
    else if (take("unlisten")) {
        if (now_.is('*')) unpin(PinReason::listen);
    } else if (take("deallocate")) {
        (void)take("prepare");
        if (now_.is("all")) unpin(PinReason::prepare);
    } else if (take("close")) {
        if (now_.is("all")) unpin(PinReason::cursor);
    } else if (take("load")) {
        pin(PinReason::load);
    } else {
        return read_any();
    }
    while (!at_end()) advance();
}

void Reader::read_set() {
    const bool local = take("local");
    if (!local) (void)take("session");
    if (local || is_one_of(now_, {"transaction", "constraints"})) return add(Kind::nothing);
    if (now_.is("characteristics")) return read_characteristics();
    if (take("session")) return read_characteristics();
    if (now_.is("authorization")) {
        advance();
        if (now_.is("default")) return unpin(PinReason::role);
        return pin(PinReason::role);
    }
    if (take("time")) {
        (void)take("zone");
        if (is_one_of(now_, {"local", "default"})) return add(Kind::reset, "TimeZone");
        return read_value("TimeZone");
    }
    if (take("names")) {
        if (at_end() || now_.is("default")) return add(Kind::reset, "client_encoding");
        return read_value("client_encoding");
    }
    if (take("schema")) return read_value("search_path");
    if (take("xml")) {
        (void)take("option");
        return read_value("xmloption");
    }
    std::optional<std::string> name = take_setting_name();
    if (!name) return pin(PinReason::setting);
    const bool is_assignment = take('=') || take("to");
    if (same_name(*name, "role") || same_name(*name, "session_authorization")) {
        if (is_one_of(now_, {"none", "default"})) return unpin(PinReason::role);
        return pin(PinReason::role);
    }
    // They end with the transaction.
    for (const char* of_transaction : {"transaction_isolation", "transaction_read_only", "transaction_deferrable"})
        if (same_name(*name, of_transaction)) return add(Kind::nothing);
    if (!is_assignment) return pin(PinReason::setting, *name);
    if (now_.is("default")) return add(Kind::reset, *name);
    read_value(std::move(*name));
}

/// SET SESSION CHARACTERISTICS AS TRANSACTION …
void Reader::read_characteristics() {
    (void)take("characteristics");
    (void)take("as");
    (void)take("transaction");
    while (!at_end()) {
        if (take("isolation")) {
            (void)take("level");
            std::string level;
            while (is_one_of(now_, {"serializable", "repeatable", "read", "committed", "uncommitted"})) {
                // The next mode may begin with READ, too.
                const bool is_whole = level == "serializable" || level.contains(' ');
                if (is_whole) break;
                level += (level.empty() ? "" : " ") + name_of(now_);
                advance();
            }
            add(Kind::set, "default_transaction_isolation", std::move(level));
        } else if (take("read")) {
            add(Kind::set, "default_transaction_read_only", now_.is("only") ? "on" : "off");
            advance();
        } else if (take("not")) {
            add(Kind::set, "default_transaction_deferrable", "off");
            advance();
        } else if (take("deferrable")) {
            add(Kind::set, "default_transaction_deferrable", "on");
        } else if (!take(',')) {
            return pin(PinReason::setting);
        }
    }
}

std::optional<std::string> Reader::take_setting_name() {
    std::string name;
    do {
        const bool has_escapes = now_.kind == WordKind::quoted && !now_.raw.starts_with('"');
        if (!now_.is_name() || has_escapes) return std::nullopt;
        if (!name.empty()) name += '.';
        name += name_of(now_);
        advance();
    } while (take('.'));
    return name;
}

/// \param as_list  names in a list, as search_path has them
std::optional<std::string> Reader::take_item(bool as_list) {
    std::string item;
    if (now_.is('-') || now_.is('+')) {
        if (now_.is('-')) item = '-';
        advance();
        if (now_.kind != WordKind::number) return std::nullopt;
    }
    if (now_.kind == WordKind::number) {
        item += now_.raw;
        as_list = false;
    } else if (now_.kind == WordKind::name) {
        item = name_of(now_);
    } else if (now_.kind == WordKind::quoted && now_.raw.starts_with('"')) {
        item = name_of(now_);
    } else if (!text_of(now_, item)) {
        return std::nullopt;
    }
    advance();
    return as_list ? in_list(item) : item;
}

void Reader::read_value(std::string name) {
    const bool as_list = is_list_setting(name);
    std::string value;
    do {
        const auto item = take_item(as_list);
        if (!item) return pin(PinReason::setting, std::move(name));
        if (!value.empty()) value += ", ";
        value += *item;
    } while (take(','));
    if (!at_end() || value.size() > value_bytes_max) return pin(PinReason::setting, std::move(name));
    add(Kind::set, std::move(name), std::move(value));
}

void Reader::read_reset() {
    if (now_.is("all")) return add(Kind::reset_all);
    if (is_one_of(now_, {"role", "session"})) return unpin(PinReason::role);
    if (now_.is("transaction")) return add(Kind::nothing);
    if (now_.is("time")) return add(Kind::reset, "TimeZone");
    std::optional<std::string> name = take_setting_name();
    if (!name) return pin(PinReason::setting);
    if (same_name(*name, "session_authorization")) return unpin(PinReason::role);
    add(Kind::reset, std::move(*name));
}

void Reader::read_discard() {
    if (now_.is("all")) {
        add(Kind::reset_all);
        unpin(PinReasons::all());
    } else if (is_one_of(now_, {"temp", "temporary"})) {
        unpin(PinReason::temporary);
    }
}

/// To the end of the statement: what may be anywhere in it.
void Reader::read_any() {
    const std::size_t first_effect = effects_.size();
    const bool is_do = now_.is("do");
    const bool creates = now_.is("create");
    const bool declares = now_.is("declare");
    if (now_.is("prepare")) {
        advance();
        if (!now_.is("transaction")) pin(PinReason::prepare);
    }
    bool is_plain = now_.is("select");  // nothing but calls of set_config
    bool temporary = false, dropped = false;
    std::size_t depth = 0;
    SqlWord before, before_that;
    const auto go_on = [&] {
        before_that = before;
        before = now_;
        advance();
    };
    if (is_plain) go_on();
    for (; now_.kind != WordKind::end && !(now_.is(';') && depth == 0); go_on()) {
        if (now_.is('(')) ++depth;
        if (now_.is(')') && depth > 0) --depth;
        if (is_do && now_.kind == WordKind::text) look_into(now_);
        if (is_body_ && (before.kind == WordKind::end || is_one_of(before, {"begin", "then", "else", "loop"}))) {
            if (now_.is("listen")) pin(PinReason::listen);
            if (now_.is("load")) pin(PinReason::load);
            if (now_.is("set") || now_.is("reset")) {
                go_on();
                if (!is_one_of(now_, {"local", "transaction", "constraints"})) pin(PinReason::setting);
            }
        }
        if (is_one_of(now_, {"temp", "temporary"}) &&
            is_one_of(before, {"create", "replace", "local", "global", "into"}))
            temporary = true;
        if (now_.is('.') && before.is_name() && same_name(name_of(before), "pg_temp") &&
            (creates || is_one_of(before_that, {"into", "table"})))
            temporary = true;
        if (now_.is("drop") && before.is("commit") && before_that.is("on")) dropped = true;
        if (declares && now_.is("hold") && before.is("with")) pin(PinReason::cursor);
        if (now_.is('(') && before.is_name()) {
            const std::string_view function = before.kind == WordKind::name ? before.raw : between_quotes(before);
            if (same_name(function, "set_config")) {
                --depth;
                read_config_call();
                if (now_.kind == WordKind::end) break;
                continue;
            }
            if (same_name(function, "pg_advisory_unlock_all")) unpin(PinReason::advisory_lock);
            for (const char* lock :
                 {"pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"})
                if (same_name(function, lock)) pin(PinReason::advisory_lock);
        }
        const bool belongs_to_calls = now_.is(',') || now_.is('.') || is_one_of(now_, {"as", "pg_catalog"}) ||
                                      (now_.is_name() && (before.is("as") || same_name(now_.raw, "set_config")));
        if (!belongs_to_calls) is_plain = false;
    }
    if (temporary && !dropped) pin(PinReason::temporary);
    if (is_plain) return;
    // Whether it was called, and for which row, cannot be known.
    for (std::size_t i = first_effect; i < effects_.size(); ++i)
        if (effects_[i].kind == Kind::set) {
            effects_[i].kind = Kind::pin;
            effects_[i].reasons = PinReason::setting;
            effects_[i].value.clear();
        }
}

/// set_config(name, value, is_local), from its parenthesis; ends at the closing one.
void Reader::read_config_call() {
    struct Argument {
        SqlWord only;
        std::size_t words = 0;
    };
    std::array<Argument, 3> arguments;
    std::size_t count = 0, depth = 0;
    for (advance(); now_.kind != WordKind::end; advance()) {
        if (now_.is(')') && depth == 0) break;
        if (now_.is('(')) ++depth;
        if (now_.is(')')) --depth;
        if (now_.is(',') && depth == 0) {
            ++count;
            continue;
        }
        if (count >= arguments.size()) continue;
        arguments[count].only = now_;
        ++arguments[count].words;
    }
    const auto& [name, value, local] = arguments;
    std::string local_text;
    if (local.words == 1 && text_of(local.only, local_text))
        std::ranges::transform(local_text, local_text.begin(), folded);
    const auto is_local = [&](std::string_view word, std::string_view letter) {
        return local.words == 1 && (local.only.is(word) || local_text == word || local_text == letter);
    };
    if (is_local("true", "t")) return;
    std::string known_name, known_value;
    const bool has_name = name.words == 1 && text_of(name.only, known_name);
    if (has_name && (same_name(known_name, "role") || same_name(known_name, "session_authorization")))
        return pin(PinReason::role);
    if (has_name && value.words == 1 && text_of(value.only, known_value) && is_local("false", "f") &&
        known_value.size() <= value_bytes_max)
        add(Kind::set, std::move(known_name), std::move(known_value));
    else
        pin(PinReason::setting, std::move(known_name));
}

/// The statements of a DO are seen as far as they are not put together at run time.
void Reader::look_into(const SqlWord& body) {
    for (SessionEffect& effect : Reader(between_quotes(body), true).read()) {
        if (effect.kind != Kind::pin && effect.kind != Kind::set) continue;
        pin(effect.kind == Kind::set ? PinReasons(PinReason::setting) : effect.reasons);
    }
}

}  // namespace

const char* to_string(PinReason reason) {
    switch (reason) {
        case PinReason::setting:
            return "setting";
        case PinReason::role:
            return "role";
        case PinReason::listen:
            return "listen";
        case PinReason::prepare:
            return "prepare";
        case PinReason::cursor:
            return "cursor";
        case PinReason::temporary:
            return "temporary";
        case PinReason::advisory_lock:
            return "advisory_lock";
        case PinReason::load:
            return "load";
    }
    return "";
}

std::string PinReasons::text() const {
    std::string words;
    for (std::size_t i = 0; i < pin_reason_count; ++i) {
        const auto reason = static_cast<PinReason>(i);
        if (!has(reason)) continue;
        if (!words.empty()) words += ',';
        words += to_string(reason);
    }
    return words;
}

bool may_leave_state(std::string_view sql) {
    SqlWords words(sql);
    SqlWord first = words.next();
    while (first.is('(')) first = words.next();
    if (first.kind == WordKind::end) return false;
    const bool is_harmless = std::ranges::any_of(harmless, [&](std::string_view word) { return first.is(word); });
    return !is_harmless || has_mark(words.rest()) || has_more_statements(words.rest());
}

SessionEffects session_effects(std::string_view sql) {
    if (!may_leave_state(sql)) return {};
    return Reader(sql).read();
}

SessionEffectsRef shared_session_effects(std::string_view sql) {
    SessionEffects effects = session_effects(sql);
    return effects.empty() ? nullptr : std::make_shared<const SessionEffects>(std::move(effects));
}

}  // namespace pgkeel::pool
