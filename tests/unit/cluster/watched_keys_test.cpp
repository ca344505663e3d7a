#include "cluster/watched_keys.hpp"

#include <gtest/gtest.h>

#include <random>

namespace pgkeel::cluster {
namespace {

using etcd::KeyValue;
using etcd::WatchEvent;

WatchEvent put(std::string key, std::string value, etcd::Revision at) {
    return {.value = {.key = std::move(key), .value = std::move(value), .create_revision = at, .mod_revision = at}};
}
WatchEvent removal(std::string key, etcd::Revision at) {
    return {.removed = true, .value = {.key = std::move(key), .value = {}, .mod_revision = at}};
}

std::string text(const WatchedKeys& keys) {
    std::string out;
    for (const KeyValue& one : keys.values()) out += one.key + "=" + one.value + " ";
    return out;
}

TEST(watched_keys, follow_what_the_watch_tells) {
    WatchedKeys keys;
    keys.begin_read();
    keys.end_read({.revision = 10, .values = {put("a", "1", 3).value, put("b", "1", 4).value}});
    EXPECT_EQ(text(keys), "a=1 b=1 ");
    EXPECT_TRUE(keys.apply(11, {put("a", "2", 11), removal("b", 11)}));
    EXPECT_EQ(text(keys), "a=2 ");
    EXPECT_EQ(keys.revision(), 11);
    EXPECT_FALSE(keys.apply(11, {put("a", "2", 11), removal("b", 11)})) << "etcd repeats itself";
    EXPECT_FALSE(keys.apply(5, {put("a", "0", 5)}));
    EXPECT_EQ(text(keys), "a=2 ");
}

TEST(watched_keys, an_answer_that_is_older_than_the_watch_takes_nothing_back) {
    WatchedKeys keys;
    keys.begin_read();
    keys.end_read({.revision = 10, .values = {put("leader", "old", 3).value, put("b", "1", 4).value}});
    keys.begin_read();
    keys.apply(11, {put("leader", "new", 11)});
    keys.apply(12, {removal("b", 12)});
    keys.end_read({.revision = 10, .values = {put("leader", "old", 3).value, put("b", "1", 4).value}});
    EXPECT_EQ(text(keys), "leader=new ");
    EXPECT_EQ(keys.revision(), 12);
}

TEST(watched_keys, a_read_repairs_what_the_watch_has_lost) {
    WatchedKeys keys;
    keys.begin_read();
    keys.end_read({.revision = 10, .values = {put("a", "1", 3).value}});
    keys.begin_read();
    keys.end_read({.revision = 20, .values = {put("b", "7", 15).value}});
    EXPECT_EQ(text(keys), "b=7 ");
    EXPECT_FALSE(keys.apply(16, {put("a", "late", 16)}));
    EXPECT_EQ(text(keys), "b=7 ");
}

TEST(watched_keys, believe_an_etcd_that_has_replaced_the_old_one) {
    WatchedKeys keys;
    keys.begin_read();
    keys.end_read({.revision = 1000, .values = {put("leader", "old", 900).value}});
    keys.begin_read();
    keys.apply(1001, {put("leader", "older", 1001)});
    keys.end_read({.revision = 3, .values = {put("leader", "new", 2).value}});
    EXPECT_EQ(text(keys), "leader=new ");
    EXPECT_EQ(keys.revision(), 3);
    EXPECT_TRUE(keys.apply(4, {put("leader", "newer", 4)}));
}

/// A small etcd of a few keys; reads and events of it arrive late, repeated, and partly not at all.
TEST(watched_keys, are_those_of_etcd_after_each_read_however_the_watch_behaves) {
    std::mt19937 random(4711);
    for (int round = 0; round < 3000; ++round) {
        std::map<std::string, KeyValue> truth;
        std::vector<std::vector<WatchEvent>> log;  // index: revision
        log.emplace_back();
        const auto change = [&] {
            const std::string key(1, static_cast<char>('a' + random() % 4));
            const auto revision = static_cast<etcd::Revision>(log.size());
            if (random() % 4 == 0 && truth.contains(key)) {
                truth.erase(key);
                log.push_back({removal(key, revision)});
            } else {
                log.push_back({put(key, std::to_string(random() % 100), revision)});
                truth[key] = log.back()[0].value;
            }
        };
        const auto read = [&] {
            etcd::RangeResult result{.revision = static_cast<etcd::Revision>(log.size()) - 1, .values = {}};
            for (const auto& [key, value] : truth) result.values.push_back(value);
            return result;
        };
        WatchedKeys keys;
        std::size_t told = 0;
        for (int reads = 0; reads < 4; ++reads) {
            keys.begin_read();
            for (unsigned i = random() % 3; i > 0; --i) change();
            const auto answer = read();
            const bool watch_works = random() % 2 == 0;
            for (unsigned i = random() % 5; i > 0; --i) {
                change();
                if (!watch_works) continue;
                if (random() % 3 == 0 && told > 1) --told;  // once more
                for (; told < log.size(); ++told) keys.apply(static_cast<etcd::Revision>(told), log[told]);
            }
            keys.end_read(answer);
            // The stream is opened again behind what is known.
            for (auto at = static_cast<std::size_t>(keys.revision()) + 1; at < log.size(); ++at)
                keys.apply(static_cast<etcd::Revision>(at), log[at]);
            told = log.size();
            std::string expected;
            for (const auto& [key, value] : truth) expected += key + "=" + value.value + " ";
            ASSERT_EQ(text(keys), expected) << "round " << round;
        }
    }
}

}  // namespace
}  // namespace pgkeel::cluster
