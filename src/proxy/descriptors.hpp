#pragma once
#include "config/pooler.hpp"

#include <cstdint>
#include <string>

namespace pgkeel::proxy {

/// How many descriptors the limits of the configuration allow to be open at once: clients, servers, and our own.
struct DescriptorNeed {
    std::uint64_t clients = 0;
    std::uint64_t servers = 0;  ///< a lower bound: users come from outside, and each has pools of his own
    std::uint64_t own = 0;
    std::uint64_t total() const { return clients + servers + own; }
};
DescriptorNeed descriptors_needed(const config::PoolerConfig& config);

/// Raises the soft limit of open files to the hard one; the hard one too where that is allowed (root) and needed.
/// \return what to warn of; empty: the limit will do
std::string raise_descriptor_limit(const DescriptorNeed& need);

}  // namespace pgkeel::proxy
