#include "etcd/codec.hpp"

#include "etcd/base64.hpp"

#include <gtest/gtest.h>

namespace pgkeel::etcd {
namespace {

TEST(base64, agrees_with_the_vectors_of_rfc_4648) {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(encode_base64(bytes), text);
        EXPECT_EQ(decode_base64(text), bytes);
    }
}

TEST(base64, carries_every_byte) {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    for (std::size_t length = 250; length <= 256; ++length)
        EXPECT_EQ(decode_base64(encode_base64(all.substr(0, length))), all.substr(0, length));
}

TEST(base64, refuses_what_is_not_base64) {
    for (const char* text : {"Z", "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9-", "Zm9 ", "=Zg="})
        EXPECT_FALSE(decode_base64(text)) << text;
}

TEST(codec, ends_a_prefix_after_its_last_key) {
    EXPECT_EQ(range_end("/service/a/"), "/service/a0");
    EXPECT_EQ(range_end("a\xff"), "b");
    EXPECT_EQ(range_end("\xff\xff"), std::string(1, '\0'));
    EXPECT_EQ(range_end(""), std::string(1, '\0'));
}

TEST(codec, writes_numbers_as_texts_and_keys_as_base64) {
    Transaction transaction;
    transaction.compare = {Compare::absent("a"),
                           Compare::unchanged("b", 9007199254740993),
                           Compare::holds("c", "v"),
                           {"d", Compare::Target::lease, 6615403006469606409, {}}};
    transaction.success = {Operation::put("a", "1", 7), Operation::remove("b"), Operation::remove_all("m/")};
    transaction.failure = {Operation::read("a")};
    EXPECT_EQ(transaction_request(transaction),
              R"({"compare":[{"key":"YQ==","result":"EQUAL","target":"CREATE","create_revision":"0"},)"
              R"({"key":"Yg==","result":"EQUAL","target":"MOD","mod_revision":"9007199254740993"},)"
              R"({"key":"Yw==","result":"EQUAL","target":"VALUE","value":"dg=="},)"
              R"({"key":"ZA==","result":"EQUAL","target":"LEASE","lease":"6615403006469606409"}],)"
              R"("success":[{"request_put":{"key":"YQ==","value":"MQ==","lease":"7"}},)"
              R"({"request_delete_range":{"key":"Yg=="}},)"
              R"({"request_delete_range":{"key":"bS8=","range_end":"bTA="}}],)"
              R"("failure":[{"request_range":{"key":"YQ=="}}]})");
}

TEST(codec, escapes_a_password_as_json) {
    EXPECT_EQ(authenticate_request("root", "a\"b\\c\n"), R"({"name":"root","password":"a\"b\\c\n"})");
}

// The answers below were recorded from etcd 3.4.23.

TEST(codec, reads_a_range) {
    const auto answer = parse_range(
        R"({"header":{"cluster_id":"2961762449054095690","member_id":"11201878611396189134","revision":"2","raft_term":"2"},)"
        R"("kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"dg=="}],"count":"1"})");
    ASSERT_TRUE(answer) << answer.error().line();
    EXPECT_EQ(answer->header.cluster_id, 2961762449054095690U);
    EXPECT_EQ(answer->header.member_id, 11201878611396189134U);
    EXPECT_EQ(answer->header.raft_term, 2U);
    EXPECT_EQ(answer->value.revision, 2);
    ASSERT_EQ(answer->value.values.size(), 1U);
    EXPECT_EQ(answer->value.values[0].key, "a");
    EXPECT_EQ(answer->value.values[0].value, "v");
    EXPECT_EQ(answer->value.values[0].lease, 0);
}

TEST(codec, reads_an_empty_range_as_no_keys) {
    const auto answer = parse_range(R"({"header":{"cluster_id":"1","revision":"2","raft_term":"2"}})");
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->value.values.empty());
}

TEST(codec, reads_a_transaction_that_lost) {
    const auto answer = parse_transaction(
        R"({"header":{"cluster_id":"1","revision":"8","raft_term":"2"},"responses":[{"response_range":{"header":{"revision":"8"},)"
        R"("kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"dw==","lease":"77"}],"count":"1"}},)"
        R"({"response_range":{"header":{"revision":"8"}}}]})");
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->value.succeeded);
    EXPECT_EQ(answer->value.revision, 8);
    ASSERT_EQ(answer->value.read.size(), 1U);
    EXPECT_EQ(answer->value.read[0].lease, 77);
}

TEST(codec, reads_a_lease_that_is_gone) {
    const auto gone =
        parse_keep_alive(R"({"result":{"header":{"cluster_id":"1","revision":"3","raft_term":"2"},"ID":"55"}})");
    ASSERT_TRUE(gone);
    EXPECT_FALSE(gone->value);
    const auto alive = parse_keep_alive(
        R"({"result":{"header":{"cluster_id":"1","revision":"3","raft_term":"2"},"ID":"55","TTL":"5"}})");
    ASSERT_TRUE(alive);
    EXPECT_EQ(alive->value, std::chrono::seconds(5));
}

TEST(codec, reads_the_addresses_of_all_members) {
    const auto members = parse_members(
        R"({"header":{"cluster_id":"1","raft_term":"2"},"members":[{"ID":"1","name":"a","peerURLs":["http://h:2"],)"
        R"("clientURLs":["http://h:1","http://i:1"]},{"ID":"2","peerURLs":["http://h:4"]}]})");
    ASSERT_TRUE(members);
    EXPECT_EQ(members->value, (std::vector<std::string>{"http://h:1", "http://i:1"}));
}

TEST(codec, chooses_the_path_by_the_version_of_the_whole_cluster) {
    EXPECT_EQ(parse_version(R"({"etcdserver":"3.4.23","etcdcluster":"3.3.0"})"), "3.3.0");
    EXPECT_EQ(parse_version(R"({"etcdserver":"3.4.23","etcdcluster":"not_decided"})"), "3.4.23");
    EXPECT_EQ(api_prefix("3.5.9"), "/v3");
    EXPECT_EQ(api_prefix("3.4.0"), "/v3");
    EXPECT_EQ(api_prefix("4.0.0-rc.1"), "/v3");
    EXPECT_EQ(api_prefix("3.3.27"), "/v3beta");
    EXPECT_EQ(api_prefix("3.2.0"), "/v3alpha");
    for (const char* version : {"3.0.3", "2.3.8", "", "3", "3.4", "3.x.1", "x"})
        EXPECT_FALSE(api_prefix(version)) << version;
}

TEST(codec, reads_what_a_watch_says) {
    const auto created =
        parse_watch_line(R"({"result":{"header":{"cluster_id":"1","revision":"3","raft_term":"2"},"created":true}})");
    ASSERT_TRUE(created);
    EXPECT_TRUE(created->created);
    const auto compacted = parse_watch_line(
        R"({"result":{"header":{"cluster_id":"1","raft_term":"2"},"canceled":true,"compact_revision":"2"}})");
    ASSERT_TRUE(compacted);
    EXPECT_TRUE(compacted->canceled);
    EXPECT_EQ(compacted->compact_revision, 2);
    const auto events = parse_watch_line(
        R"({"result":{"header":{"cluster_id":"1","revision":"5","raft_term":"2"},"events":[{"kv":{"key":"YQ==","create_revision":"2",)"
        R"("mod_revision":"4","version":"1","value":"dg=="}},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"5"}}]}})");
    ASSERT_TRUE(events);
    ASSERT_EQ(events->events.size(), 2U);
    EXPECT_FALSE(events->events[0].removed);
    EXPECT_TRUE(events->events[1].removed);
    EXPECT_EQ(events->events[1].value.mod_revision, 5);
    const auto refused = parse_watch_line(
        R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"x"}})");
    ASSERT_TRUE(refused);
    ASSERT_TRUE(refused->refusal);
    EXPECT_EQ(refused->refusal->code, 14);
}

TEST(codec, refuses_what_etcd_does_not_send) {
    for (const char* body : {"", "[]", "null", "<html>", R"({"header":7})", R"({"kvs":{}})", R"({"kvs":[1]})",
                             R"({"kvs":[{"key":"%%%%"}]})", R"({"header":{"revision":"many"}})",
                             R"({"header":{"revision":"99999999999999999999"}})"})
        EXPECT_FALSE(parse_range(body)) << body;
    EXPECT_FALSE(parse_transaction(R"({"succeeded":"yes"})"));
    EXPECT_FALSE(parse_grant(R"({"header":{"cluster_id":"1"}})"));
}

}  // namespace
}  // namespace pgkeel::etcd
