#include "cli/rotation_claim.hpp"

#include "local/process_id.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace pgkeel::cli {

namespace {

/// Longer than any single step takes.
constexpr std::chrono::seconds claim_ttl{60};
constexpr Duration between_renewals = std::chrono::seconds(5);

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

/// "HOST PID START_TICKS BOOT_ID"
std::string own_name() {
    const auto self = local::identify(getpid());
    return fmt::format("{} {} {} {}", host_name(), getpid(), self ? self->start_ticks : 0, self ? self->boot_id : "?");
}

struct Holder {
    std::string host;
    local::ProcessId process;
};
Holder parse(const std::string& name) {
    std::array<char, 256> host{};
    std::array<char, 64> boot{};
    Holder holder;
    unsigned long long ticks = 0;
    std::sscanf(name.c_str(), "%255s %d %llu %63s", host.data(), &holder.process.pid, &ticks, boot.data());
    holder.host = host.data();
    holder.process.start_ticks = ticks;
    holder.process.boot_id = boot.data();
    return holder;
}

/// Of a process that could be seen from here; containers of one machine have its boot_id, and other names.
bool has_ended(const Holder& holder) {
    const auto self = local::identify(getpid());
    return self && holder.host == host_name() && self->boot_id == holder.process.boot_id &&
           !local::is_alive(holder.process);
}

}  // namespace

Task<Result<>> RotationClaim::take() {
    name_ = own_name();
    auto lease = co_await session_.store().grant(claim_ttl, session_.soon());
    if (!lease) co_return fail("claiming the rotation in etcd", std::move(lease.error()));
    lease_ = *lease;
    const std::string key = session_.admin().keys().rotation_driver();
    std::vector<etcd::Compare> expected{etcd::Compare::absent(key)};
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto done = co_await session_.store().commit(
            {expected, {etcd::Operation::put(key, name_, lease_)}, {etcd::Operation::read(key)}}, session_.soon());
        if (!done) co_return fail("claiming the rotation in etcd", std::move(done.error()));
        if (done->succeeded) {
            renewed_at_ = session_.clock.now();
            co_return Result<>{};
        }
        if (done->read.empty()) continue;
        const Holder holder = parse(done->read.front().value);
        if (attempt == 0 && has_ended(holder)) {
            expected = {etcd::Compare::holds(key, done->read.front().value)};
            continue;
        }
        co_await session_.store().revoke(lease_, session_.soon());
        co_return fail(
            Errc::conflict,
            fmt::format("the passwords of cluster {} are being rotated already, by process {} on {}", session_.scope(),
                        holder.process.pid, holder.host),
            fmt::format("wait for it; if that process is gone, its claim ends within {} s", claim_ttl.count()));
    }
    co_return fail(Errc::conflict, "the rotation was claimed by somebody else at the same moment", "try again");
}

Task<> RotationClaim::renew() {
    if (session_.clock.now() - renewed_at_ < between_renewals) co_return;
    // Without it the next write is refused: nothing has to be done about a failure here.
    if (co_await session_.store().keep_alive(lease_, session_.soon())) renewed_at_ = session_.clock.now();
}

Task<> RotationClaim::release() {
    if (lease_ != 0) co_await session_.store().revoke(std::exchange(lease_, 0), session_.soon());
}

Task<Result<>> RotationClaim::write(cluster::Rotation& rotation, bool remove) {
    const cluster::Keys& keys = session_.admin().keys();
    const std::string value = remove ? std::string() : cluster::write_rotation(rotation);
    etcd::Transaction change{
        {etcd::Compare::unchanged(keys.rotation(), rotation.mod_revision),
         etcd::Compare::holds(keys.rotation_driver(), name_)},
        {remove ? etcd::Operation::remove(keys.rotation()) : etcd::Operation::put(keys.rotation(), value)},
        {}};
    auto done = co_await session_.store().commit(std::move(change), session_.soon());
    if (done && done->succeeded) {
        rotation.mod_revision = remove ? 0 : done->revision;
        co_return Result<>{};
    }
    if (!done && done.error().code != Errc::maybe_done)
        co_return fail("writing the rotation to etcd", std::move(done.error()));
    // Written by the attempt whose answer was lost?
    const auto now = co_await read();
    if (!now) co_return std::unexpected(now.error());
    if (remove && !*now) co_return Result<>{};
    if (!remove && *now && cluster::write_rotation(**now) == value) {
        rotation.mod_revision = (*now)->mod_revision;
        co_return Result<>{};
    }
    co_return fail(Errc::conflict, "somebody else has taken the rotation over", "`pgkeel rotate-credentials` shows it");
}

Task<Result<std::optional<cluster::Rotation>>> RotationClaim::read() {
    const std::string key = session_.admin().keys().rotation();
    const auto range = co_await session_.store().range(key, session_.soon());
    if (!range) co_return fail("reading the rotation from etcd", range.error());
    const auto found = std::ranges::find(range->values, key, &etcd::KeyValue::key);
    if (found == range->values.end()) co_return std::optional<cluster::Rotation>{};
    auto rotation = cluster::read_rotation(*found);
    if (!rotation)
        co_return fail(Errc::invalid_input, fmt::format("etcd key {} holds no rotation that this pgkeel knows", key),
                       "was it written by a newer one?");
    co_return rotation;
}

}  // namespace pgkeel::cli
