// The text of a statement, whatever it is: its words are pieces of it in their order, what they leave is said in a way
// that can be replayed, and the look that most statements get agrees with the closer one.
#include "pool/parameters.hpp"
#include "pool/session_effects.hpp"
#include "pool/sql_words.hpp"
#include "require.hpp"

#include <cstdint>

namespace {

using namespace pgkeel::pool;

void read_words(std::string_view sql) {
    SqlWords words(sql);
    const char* place = sql.data();
    for (SqlWord word = words.next(); word.kind != SqlWord::Kind::end; word = words.next()) {
        REQUIRE(!word.raw.empty());
        REQUIRE(word.raw.data() >= place && word.raw.data() + word.raw.size() <= sql.data() + sql.size());
        place = word.raw.data() + word.raw.size();
        REQUIRE(words.rest().data() == place);
        std::string text;
        if (word.is_name()) REQUIRE(name_of(word).size() <= word.raw.size());
        if (text_of(word, text)) REQUIRE(text.size() + 2 <= word.raw.size());
    }
}

void check(const SessionEffect& effect) {
    using Kind = SessionEffect::Kind;
    REQUIRE(effect.reasons.none() != (effect.kind == Kind::pin || effect.kind == Kind::unpin));
    if (effect.kind != Kind::set && effect.kind != Kind::reset) return;
    // A setting that is replayed is one statement and nothing else, which means the same again.
    const Settings wanted = Settings().with(effect.name, effect.value);
    const SessionEffects again = session_effects(settings_statement({}, wanted));
    const bool has_escapes = effect.value.find('\\') != std::string::npos;
    REQUIRE(again.size() == 1 || effect.name.find('\0') != std::string::npos);
    if (again.empty() || has_escapes) return;
    REQUIRE(again[0].statement == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view sql(reinterpret_cast<const char*>(data), size);
    read_words(sql);
    const SessionEffects effects = session_effects(sql);
    REQUIRE(effects.empty() || may_leave_state(sql));
    std::size_t statement = 0;
    for (const SessionEffect& effect : effects) {
        REQUIRE(effect.statement >= statement);
        statement = effect.statement;
        check(effect);
    }
    // What comes behind does not change what was there.
    const SessionEffects more = session_effects(std::string(sql) + "\n;RESET x");
    REQUIRE(more.size() + 1 >= effects.size());
    return 0;
}
