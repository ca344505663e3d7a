#pragma once
#include "base/cluster_view.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Reading JSON that others wrote: a field of the wrong type is as good as none. Patroni writes numbers as numbers, and
// reads them from texts too; so do we.

namespace pgkeel::cluster {

/// The text as a JSON object; nothing when it is none.
std::optional<boost::json::object> read_object(std::string_view text);

std::string text_of(const boost::json::object& in, std::string_view name);
std::optional<std::uint64_t> number_of(const boost::json::value* value);
Lsn lsn_of(const boost::json::object& in, std::string_view name);
Timeline timeline_of(const boost::json::object& in, std::string_view name);
/// YAML's idea of true: true, 1, "on", "yes" …
bool truth_of(const boost::json::object& in, std::string_view name);
const boost::json::object* object_of(const boost::json::object& in, std::string_view name);

/// Section `tags` as members and status answers publish it; `tags` may be null. See Patroni's documentation, "Tags".
Tags read_tags(const boost::json::object* tags);

}  // namespace pgkeel::cluster
