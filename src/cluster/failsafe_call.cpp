#include "cluster/json_reading.hpp"
#include "cluster/peer.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace pgkeel::cluster {

std::string write_failsafe_call(const FailsafeCall& call) {
    boost::json::object slots;
    for (const auto& [name, position] : call.slots) slots[name] = position.bytes;
    boost::json::object out{{"name", call.name}, {"conn_url", call.conn_url}, {"api_url", call.api_url}};
    out["slots"] = std::move(slots);
    if (call.ttl_seconds != 0) out["ttl"] = call.ttl_seconds;
    return boost::json::serialize(out);
}

std::optional<FailsafeCall> read_failsafe_call(std::string_view text) {
    const auto in = read_object(text);
    if (!in) return std::nullopt;
    FailsafeCall call;
    call.name = text_of(*in, "name");
    call.conn_url = text_of(*in, "conn_url");
    call.api_url = text_of(*in, "api_url");
    if (const boost::json::object* slots = object_of(*in, "slots"))
        for (const auto& slot : *slots)
            if (const auto position = number_of(&slot.value())) call.slots[std::string(slot.key())] = Lsn{*position};
    call.ttl_seconds =
        static_cast<std::int64_t>(std::min<std::uint64_t>(number_of(in->if_contains("ttl")).value_or(0), 86400));
    if (call.name.empty()) return std::nullopt;
    return call;
}

}  // namespace pgkeel::cluster
