#include "pool/session_effects.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <string>

namespace pgkeel::pool {
namespace {

/// "set search_path=a", "pin listen", …; with the number of the statement in front if it is not the first.
std::string effects(std::string_view sql) {
    std::string all;
    for (const SessionEffect& effect : session_effects(sql)) {
        if (!all.empty()) all += "; ";
        if (effect.statement > 0) all += fmt::format("{}:", effect.statement);
        using Kind = SessionEffect::Kind;
        switch (effect.kind) {
            case Kind::nothing:
                all += "nothing";
                break;
            case Kind::set:
                all += fmt::format("set {}={}", effect.name, effect.value);
                break;
            case Kind::reset:
                all += "reset " + effect.name;
                break;
            case Kind::reset_all:
                all += "reset all";
                break;
            case Kind::pin:
                all += "pin " + effect.reasons.text() + (effect.name.empty() ? "" : " " + effect.name);
                break;
            case Kind::unpin:
                all += "unpin " + (effect.reasons == PinReasons::all() ? "all" : effect.reasons.text());
                break;
        }
    }
    return all;
}

TEST(session_effects, plain_settings_are_understood) {
    EXPECT_EQ(effects("SET statement_timeout = 5000"), "set statement_timeout=5000");
    EXPECT_EQ(effects("set Session statement_timeout to '5s';"), "set statement_timeout=5s");
    EXPECT_EQ(effects("SET x = -1.5e3"), "set x=-1.5e3");
    EXPECT_EQ(effects("SET enable_seqscan TO OFF"), "set enable_seqscan=off");
    EXPECT_EQ(effects("SET \"My.App\" = 'it''s'"), "set My.App=it's");
    EXPECT_EQ(effects("SET app.user=$$a'b$$"), "set app.user=a'b");
    EXPECT_EQ(effects("SET x = E'plain'"), "set x=plain");
    EXPECT_EQ(effects("/* who */ SET -- why\n x = 1"), "set x=1");
    EXPECT_EQ(effects("SET NAMES 'utf8'"), "set client_encoding=utf8");
    EXPECT_EQ(effects("SET TIME ZONE 'UTC'"), "set TimeZone=UTC");
    EXPECT_EQ(effects("SET TIME ZONE LOCAL"), "reset TimeZone");
    EXPECT_EQ(effects("SET x TO DEFAULT"), "reset x");
    EXPECT_EQ(effects("RESET x"), "reset x");
    EXPECT_EQ(effects("RESET ALL"), "reset all");
}

TEST(session_effects, lists_of_names_are_kept_as_postgresql_writes_them) {
    EXPECT_EQ(effects("SET search_path = a, \"B c\", public"), "set search_path=a, \"B c\", public");
    EXPECT_EQ(effects("SET search_path TO 'a, b'"), "set search_path=\"a, b\"");
    EXPECT_EQ(effects("SET search_path = ''"), "set search_path=\"\"");
    EXPECT_EQ(effects("SET search_path = \"$user\", Public"), "set search_path=\"$user\", public");
    EXPECT_EQ(effects("SET SCHEMA 'one'"), "set search_path=one");
    EXPECT_EQ(effects("SET datestyle = iso, dmy"), "set datestyle=iso, dmy");
}

TEST(session_effects, what_is_over_with_the_transaction_is_nothing) {
    for (const char* sql :
         {"SET LOCAL search_path = a", "SET TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ ONLY",
          "SET transaction_isolation = serializable", "SET CONSTRAINTS ALL DEFERRED"})
        EXPECT_EQ(effects(sql), "nothing") << sql;
    for (const char* sql :
         {"SELECT set_config('a', 'b', true)", "SELECT set_config('a', $1, true), set_config('c', $2, 't')",
          "SELECT pg_advisory_xact_lock(1)", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "PREPARE TRANSACTION 'x'",
          "DECLARE c CURSOR FOR SELECT 1"})
        EXPECT_EQ(effects(sql), "") << sql;
}

TEST(session_effects, what_only_looks_so_is_nothing) {
    for (const char* sql : {"SELECT 1",
                            "UPDATE t SET a = 1",
                            "SELECT set_timeout(1)",
                            "SELECT 'SET x = 1; SET y = 2'",
                            "SELECT 1 -- ; SET x = 1",
                            "SELECT 1 /* ; /* ; */ SET x = 1 */",
                            "SELECT $$;SET x = 1;$$",
                            "SELECT \"pg_advisory_lock\" FROM t",
                            "INSERT INTO t VALUES ('pg_advisory_lock(1)')",
                            "SELECT temp FROM weather",
                            "CREATE TABLE temp (a int)",
                            "CREATE FUNCTION f() RETURNS int AS $x$ SET a = 1; $x$",
                            "SELECT $a$ $b$; SET x = 1 $a$",
                            "SELECT E'\\'; SET x = 1;'",
                            "INSERT INTO into_temp SELECT 1",
                            "",
                            ";;",
                            "((",
                            "SELECT 'open; SET x = 1",
                            "BEGIN",
                            "COMMIT; SELECT 1",
                            "CLOSE c",
                            "DISCARD PLANS"})
        EXPECT_EQ(effects(sql), "") << sql;
}

TEST(session_effects, what_cannot_be_carried_pins) {
    const std::pair<const char*, const char*> cases[] = {
        {"LISTEN a", "pin listen"},
        {"PREPARE p AS SELECT 1", "pin prepare"},
        {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "pin cursor"},
        {"LOAD 'x'", "pin load"},
        {"CREATE TEMP TABLE t (a int)", "pin temporary"},
        {"create or replace temporary view v as select 1", "pin temporary"},
        {"CREATE LOCAL TEMP SEQUENCE s", "pin temporary"},
        {"CREATE TABLE pg_temp.t (a int)", "pin temporary"},
        {"SELECT 1 AS a INTO TEMP t", "pin temporary"},
        {"WITH x AS (SELECT 1) SELECT * INTO TEMPORARY t FROM x", "pin temporary"},
        {"SELECT pg_advisory_lock(1)", "pin advisory_lock"},
        {"SELECT a FROM t WHERE pg_catalog.pg_try_advisory_lock_shared ( a )", "pin advisory_lock"},
        {"SET ROLE bob", "pin role"},
        {"SET role TO bob", "pin role"},
        {"SET SESSION AUTHORIZATION bob", "pin role"},
        {"DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$", "pin advisory_lock"},
        {"DO 'BEGIN CREATE TEMP TABLE t (a int); END'", "pin temporary"},
        {"DO $$ BEGIN SET x = 1; END $$", "pin setting"},
    };
    for (const auto& [sql, expected] : cases) EXPECT_EQ(effects(sql), expected) << sql;
}

TEST(session_effects, a_value_that_is_not_known_pins) {
    EXPECT_EQ(effects("SET x = E'a\\nb'"), "pin setting x");
    EXPECT_EQ(effects("SET x = 1 + 1"), "pin setting x");
    EXPECT_EQ(effects("SET x"), "pin setting x");
    EXPECT_EQ(effects("SELECT set_config('x', $1, false)"), "pin setting x");
    EXPECT_EQ(effects("SELECT set_config($1, $2, $3)"), "pin setting");
    EXPECT_EQ(effects("SELECT set_config('x', 'y', false) FROM t"), "pin setting x");
    EXPECT_EQ(effects("SELECT set_config('x', a.set_config, b) FROM a"), "pin setting x");
    EXPECT_EQ(effects("SET TIME ZONE INTERVAL '1' HOUR"), "pin setting TimeZone");
    EXPECT_EQ(effects("SET x = '" + std::string(2000, 'a') + "'"), "pin setting x");
}

TEST(session_effects, a_call_of_set_config_alone_is_a_setting) {
    EXPECT_EQ(effects("SELECT set_config('x', 'y', false)"), "set x=y");
    EXPECT_EQ(effects("select pg_catalog.set_config('search_path', '', false) as s, set_config('z', '1', 'f');"),
              "set search_path=; set z=1");
}

TEST(session_effects, what_is_gone_unpins) {
    EXPECT_EQ(effects("DISCARD ALL"), "reset all; unpin all");
    EXPECT_EQ(effects("DISCARD TEMP"), "unpin temporary");
    EXPECT_EQ(effects("UNLISTEN *"), "unpin listen");
    EXPECT_EQ(effects("UNLISTEN a"), "");
    EXPECT_EQ(effects("DEALLOCATE PREPARE ALL"), "unpin prepare");
    EXPECT_EQ(effects("DEALLOCATE p"), "");
    EXPECT_EQ(effects("CLOSE ALL"), "unpin cursor");
    EXPECT_EQ(effects("RESET ROLE"), "unpin role");
    EXPECT_EQ(effects("SET ROLE NONE"), "unpin role");
    EXPECT_EQ(effects("SELECT pg_advisory_unlock_all()"), "unpin advisory_lock");
}

TEST(session_effects, the_modes_of_all_transactions_are_settings) {
    EXPECT_EQ(effects("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), "set default_transaction_read_only=on");
    EXPECT_EQ(effects("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE"),
              "set default_transaction_isolation=repeatable read; set default_transaction_read_only=off");
    EXPECT_EQ(effects("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY"),
              "set default_transaction_isolation=read committed; set default_transaction_read_only=on");
}

TEST(session_effects, statements_are_told_apart) {
    EXPECT_EQ(
        effects("SELECT ';'; SET a = 1;; LISTEN x; CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); RESET b"),
        "1:set a=1; 2:pin listen; 4:reset b");
    EXPECT_EQ(effects("BEGIN; SET LOCAL a = 1; COMMIT"), "1:nothing");
}

}  // namespace
}  // namespace pgkeel::pool
