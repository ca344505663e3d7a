#include "etcd/codec.hpp"

#include "etcd/base64.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <concepts>

namespace pgkeel::etcd {
namespace {

namespace json = boost::json;

std::string decimal(std::int64_t number) {
    return std::to_string(number);
}

/// etcd has no empty key; the zero byte is the first of all.
std::string first_key(const std::string& prefix) {
    return prefix.empty() ? std::string(1, '\0') : prefix;
}

json::object range_fields(const std::string& key, bool prefix) {
    json::object fields;
    fields["key"] = encode_base64(prefix ? first_key(key) : key);
    if (prefix) fields["range_end"] = encode_base64(range_end(key));
    return fields;
}

json::object compare_fields(const Compare& compare) {
    json::object fields;
    fields["key"] = encode_base64(compare.key);
    fields["result"] = "EQUAL";
    switch (compare.target) {
        case Compare::Target::create_revision:
            fields["target"] = "CREATE";
            fields["create_revision"] = decimal(compare.number);
            break;
        case Compare::Target::mod_revision:
            fields["target"] = "MOD";
            fields["mod_revision"] = decimal(compare.number);
            break;
        case Compare::Target::value:
            fields["target"] = "VALUE";
            fields["value"] = encode_base64(compare.text);
            break;
        case Compare::Target::lease:
            fields["target"] = "LEASE";
            fields["lease"] = decimal(compare.number);
            break;
    }
    return fields;
}

json::object operation_fields(const Operation& operation) {
    json::object fields;
    switch (operation.kind) {
        case Operation::Kind::put: {
            json::object put;
            put["key"] = encode_base64(operation.key);
            put["value"] = encode_base64(operation.value);
            if (operation.lease != 0) put["lease"] = decimal(operation.lease);
            fields["request_put"] = std::move(put);
            break;
        }
        case Operation::Kind::remove:
            fields["request_delete_range"] = range_fields(operation.key, operation.prefix);
            break;
        case Operation::Kind::read:
            fields["request_range"] = range_fields(operation.key, operation.prefix);
            break;
    }
    return fields;
}

json::array operations(const std::vector<Operation>& all) {
    json::array array;
    for (const Operation& operation : all) array.emplace_back(operation_fields(operation));
    return array;
}

/// Reads fields and remembers the first thing that was wrong, so that callers ask once, at the end. A missing field is
/// zero.
class Reader {
  public:
    const json::object& object(const json::object& in, std::string_view name) {
        const json::value* value = in.if_contains(name);
        if (value == nullptr || value->is_null()) return nothing();
        return as_object(*value, name);
    }

    const json::object& as_object(const json::value& value, std::string_view name) {
        if (const json::object* object = value.if_object()) return *object;
        complain(name, "an object");
        return nothing();
    }

    const json::array& array(const json::object& in, std::string_view name) {
        static const json::array empty;
        const json::value* value = in.if_contains(name);
        if (value == nullptr || value->is_null()) return empty;
        if (const json::array* array = value->if_array()) return *array;
        complain(name, "an array");
        return empty;
    }

    template <std::integral T>
    T number(const json::object& in, std::string_view name) {
        const json::value* value = in.if_contains(name);
        if (value == nullptr || value->is_null()) return 0;
        if (const json::string* text = value->if_string()) {
            T number = 0;
            const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
            if (error == std::errc{} && end == text->data() + text->size()) return number;
        } else if (value->is_number()) {
            boost::system::error_code error;
            const T number = value->to_number<T>(error);
            if (!error) return number;
        }
        complain(name, "a number");
        return 0;
    }

    bool truth(const json::object& in, std::string_view name) {
        const json::value* value = in.if_contains(name);
        if (value == nullptr || value->is_null()) return false;
        if (const bool* truth = value->if_bool()) return *truth;
        complain(name, "true or false");
        return false;
    }

    std::string text(const json::object& in, std::string_view name) {
        const json::value* value = in.if_contains(name);
        if (value == nullptr || value->is_null()) return {};
        if (const json::string* text = value->if_string()) return {text->data(), text->size()};
        complain(name, "a text");
        return {};
    }

    std::string bytes(const json::object& in, std::string_view name) {
        if (auto decoded = decode_base64(text(in, name))) return *std::move(decoded);
        complain(name, "base64");
        return {};
    }

    Header header(const json::object& in) {
        const json::object& fields = object(in, "header");
        return {number<std::uint64_t>(fields, "cluster_id"), number<std::uint64_t>(fields, "member_id"),
                number<std::int64_t>(fields, "revision"), number<std::uint64_t>(fields, "raft_term")};
    }

    KeyValue key_value(const json::value& in) {
        const json::object& fields = as_object(in, "kv");
        return {bytes(fields, "key"), bytes(fields, "value"), number<std::int64_t>(fields, "create_revision"),
                number<std::int64_t>(fields, "mod_revision"), number<std::int64_t>(fields, "lease")};
    }

    const std::string& problem() const { return problem_; }

  private:
    static const json::object& nothing() {
        static const json::object empty;
        return empty;
    }
    void complain(std::string_view name, std::string_view expected) {
        if (problem_.empty()) problem_ = fmt::format("'{}' is not {}", name, expected);
    }
    std::string problem_;
};

std::unexpected<Error> not_understood(std::string_view what, std::string_view problem) {
    return fail(Errc::unavailable, fmt::format("etcd's answer to {} cannot be understood: {}", what, problem),
                "is this address really etcd's?");
}

Result<json::object> parse_object(std::string_view what, std::string_view body) {
    boost::system::error_code error;
    json::value value = json::parse({body.data(), body.size()}, error);
    if (error) return not_understood(what, error.message());
    if (!value.is_object()) return not_understood(what, "it is not a JSON object");
    return std::move(value.as_object());
}

/// Parses the body and lets `read` take from it what it needs.
template <class T, class Read>
Result<T> parse(std::string_view what, std::string_view body, Read read) {
    const Result<json::object> object = parse_object(what, body);
    if (!object) return std::unexpected(object.error());
    Reader reader;
    T value = read(reader, *object);
    if (!reader.problem().empty()) return not_understood(what, reader.problem());
    return value;
}

std::optional<Refusal> read_refusal(Reader& reader, const json::object& in) {
    if (!in.contains("error") && !in.contains("message")) return std::nullopt;
    // A call answers {"error": text, "code": n}, a stream {"error": {"grpc_code": n, "message": text}}.
    const json::value* error = in.if_contains("error");
    const bool nested = error != nullptr && error->is_object();
    const json::object& fields = nested ? error->get_object() : in;
    Refusal refusal;
    refusal.code = reader.number<int>(fields, fields.contains("grpc_code") ? "grpc_code" : "code");
    refusal.message = reader.text(fields, fields.contains("message") ? "message" : "error");
    return refusal;
}

}  // namespace

std::string range_end(std::string prefix) {
    while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 255) prefix.pop_back();
    if (prefix.empty()) return std::string(1, '\0');  // etcd's word for "to the last key"
    prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
    return prefix;
}

std::string range_request(const std::string& prefix) {
    return json::serialize(range_fields(prefix, true));
}

std::string transaction_request(const Transaction& transaction) {
    json::array compare;
    for (const Compare& one : transaction.compare) compare.emplace_back(compare_fields(one));
    json::object body;
    body["compare"] = std::move(compare);
    body["success"] = operations(transaction.success);
    body["failure"] = operations(transaction.failure);
    return json::serialize(body);
}

std::string grant_request(std::chrono::seconds ttl) {
    return fmt::format(R"({{"TTL":"{}"}})", ttl.count());
}

std::string lease_request(LeaseId lease) {
    return fmt::format(R"({{"ID":"{}"}})", lease);
}

std::string watch_request(const std::string& prefix, Revision from) {
    json::object create = range_fields(prefix, true);
    if (from != 0) create["start_revision"] = decimal(from);
    create["progress_notify"] = true;
    json::object body;
    body["create_request"] = std::move(create);
    return json::serialize(body);
}

std::string authenticate_request(const std::string& user, const std::string& password) {
    json::object body;
    body["name"] = user;
    body["password"] = password;
    return json::serialize(body);
}

Result<Answer<RangeResult>> parse_range(std::string_view body) {
    return parse<Answer<RangeResult>>("a range", body, [](Reader& reader, const json::object& in) {
        Answer<RangeResult> answer{reader.header(in), {}};
        answer.value.revision = answer.header.revision;
        for (const json::value& value : reader.array(in, "kvs")) answer.value.values.push_back(reader.key_value(value));
        return answer;
    });
}

Result<Answer<TransactionResult>> parse_transaction(std::string_view body) {
    return parse<Answer<TransactionResult>>("a transaction", body, [](Reader& reader, const json::object& in) {
        Answer<TransactionResult> answer{reader.header(in), {}};
        answer.value.revision = answer.header.revision;
        answer.value.succeeded = reader.truth(in, "succeeded");
        for (const json::value& one : reader.array(in, "responses")) {
            const json::object& range = reader.object(reader.as_object(one, "responses"), "response_range");
            for (const json::value& value : reader.array(range, "kvs"))
                answer.value.read.push_back(reader.key_value(value));
        }
        return answer;
    });
}

Result<Answer<LeaseId>> parse_grant(std::string_view body) {
    auto answer = parse<Answer<LeaseId>>("a lease grant", body, [](Reader& reader, const json::object& in) {
        return Answer<LeaseId>{reader.header(in), reader.number<std::int64_t>(in, "ID")};
    });
    if (answer && answer->value == 0) return not_understood("a lease grant", "it names no lease");
    return answer;
}

Result<Answer<std::optional<std::chrono::seconds>>> parse_keep_alive(std::string_view body) {
    using Left = Answer<std::optional<std::chrono::seconds>>;
    // This call is a stream for etcd: its one answer comes as a line with the fields below "result".
    return parse<Left>("a lease renewal", body, [](Reader& reader, const json::object& in) {
        const json::object& result = reader.object(in, "result");
        Left left{reader.header(result), std::nullopt};
        const auto ttl = reader.number<std::int64_t>(result, "TTL");
        if (ttl > 0) left.value = std::chrono::seconds(ttl);
        return left;
    });
}

Result<Header> parse_header_only(std::string_view body) {
    return parse<Header>("a request", body, [](Reader& reader, const json::object& in) { return reader.header(in); });
}

Result<std::string> parse_token(std::string_view body) {
    return parse<std::string>("a login", body,
                              [](Reader& reader, const json::object& in) { return reader.text(in, "token"); });
}

Result<Answer<std::vector<std::string>>> parse_members(std::string_view body) {
    using Members = Answer<std::vector<std::string>>;
    return parse<Members>("the member list", body, [](Reader& reader, const json::object& in) {
        Members members{reader.header(in), {}};
        for (const json::value& member : reader.array(in, "members"))
            for (const json::value& url : reader.array(reader.as_object(member, "members"), "clientURLs"))
                if (const json::string* text = url.if_string()) members.value.emplace_back(text->data(), text->size());
        return members;
    });
}

Result<std::string> parse_version(std::string_view body) {
    return parse<std::string>("a question for its version", body, [](Reader& reader, const json::object& in) {
        std::string cluster = reader.text(in, "etcdcluster");
        const bool agreed = !cluster.empty() && cluster != "not_decided";
        return agreed ? cluster : reader.text(in, "etcdserver");
    });
}

Result<std::string> api_prefix(std::string_view version) {
    std::array<int, 3> parts{};
    const char* at = version.data();
    const char* const end = at + version.size();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto [next, error] = std::from_chars(at, end, parts[i]);
        if (error != std::errc{} || (i < 2 && (next == end || *next != '.')))
            return not_understood("a question for its version", fmt::format("'{}' is not a version", version));
        at = i < 2 ? next + 1 : next;
    }
    if (parts < std::array{3, 0, 4})
        return fail(Errc::unavailable,
                    fmt::format("etcd is of version {}, and 3.0.4 is the oldest that can be used", version),
                    "upgrade etcd");
    if (parts < std::array{3, 3, 0}) return "/v3alpha";
    if (parts < std::array{3, 4, 0}) return "/v3beta";
    return "/v3";
}

std::optional<Refusal> parse_refusal(std::string_view body) {
    const Result<json::object> object = parse_object("a request", body);
    if (!object) return std::nullopt;
    Reader reader;
    auto refusal = read_refusal(reader, *object);
    return reader.problem().empty() ? refusal : std::nullopt;
}

Result<WatchMessage> parse_watch_line(std::string_view line) {
    return parse<WatchMessage>("a watch", line, [](Reader& reader, const json::object& in) {
        WatchMessage message;
        message.refusal = read_refusal(reader, in);
        const json::object& result = reader.object(in, "result");
        message.header = reader.header(result);
        message.created = reader.truth(result, "created");
        message.canceled = reader.truth(result, "canceled");
        message.compact_revision = reader.number<std::int64_t>(result, "compact_revision");
        message.cancel_reason = reader.text(result, "cancel_reason");
        for (const json::value& one : reader.array(result, "events")) {
            const json::object& event = reader.as_object(one, "events");
            const json::value* value = event.if_contains("kv");
            message.events.push_back(
                {reader.text(event, "type") == "DELETE", value ? reader.key_value(*value) : KeyValue{}});
        }
        return message;
    });
}

}  // namespace pgkeel::etcd
