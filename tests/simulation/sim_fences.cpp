#include "simulation/sim_fences.hpp"

#include <algorithm>

namespace pgkeel::simulation {

using namespace std::chrono_literals;

namespace {

/// From the deadline to the last backend's end.
constexpr Duration kill_time_max = 200ms;

}  // namespace

std::shared_ptr<Guardians::Guardian> Guardians::add() {
    all_.push_back(std::make_shared<Guardian>());
    return all_.back();
}

void Guardians::ordered(const std::shared_ptr<Guardian>& guardian) {
    std::erase_if(all_, [&](const auto& other) { return other != guardian && !other->agent_lives; });
    watch(guardian);
}

void Guardians::agent_died() {
    for (const auto& guardian : all_) guardian->agent_lives = false;
    std::erase_if(all_, [](const auto& guardian) { return !guardian->armed; });
    for (const auto& guardian : std::vector(all_)) watch(guardian);
}

void Guardians::absent_until(Instant end) {
    absent_since_ = world_.now();
    absent_until_ = end;
}

bool Guardians::armed_in_time() const {
    return std::ranges::any_of(all_, [&](const auto& guardian) {
        return guardian->armed && (!is_due(*guardian) || clock_.now() < guardian->deadline + kill_time_max);
    });
}

void Guardians::watch(const std::shared_ptr<Guardian>& guardian) {
    if (!guardian->armed) return;
    const bool now = is_due(*guardian) || guardian->deadline == Instant::max();
    if (now && !is_due(*guardian)) return;  // nothing but its agent's death can make it due
    world_.surely_at(now ? world_.now() : clock_.true_time(guardian->deadline), [this, weak = std::weak_ptr(guardian)] {
        if (const auto alive = weak.lock()) look(alive);
    });
}

void Guardians::look(const std::shared_ptr<Guardian>& guardian) {
    if (std::ranges::find(all_, guardian) == all_.end() || !is_due(*guardian)) return;
    const Instant back = std::max(world_.now(), absent_until_);
    world_.surely_at(back + world_.random.between(1ms, kill_time_max), [this, weak = std::weak_ptr(guardian)] {
        const auto alive = weak.lock();
        if (!alive || std::ranges::find(all_, alive) == all_.end() || !is_due(*alive)) return;
        if (machine_.running()) {
            world_.note(machine_.name + ": the guardian ends PostgreSQL");
            machine_.end_abruptly();
            killed_();
        }
        if (!alive->agent_lives)
            std::erase(all_, alive);
        else
            look(alive);  // its agent may go on with starting a server
    });
}

void SimFences::renewed(const ha::HeldLease& lease) {
    lease_ = lease;
    if (!mine_->armed) return;
    mine_->deadline = lease.deadline();
    mine_->ends_with_agent = false;
    guardians_.ordered(mine_);
}

Task<Result<>> SimFences::ready() const {
    const Deadline patience = clock_.now() + 1s;
    while (guardians_.missing_for(0s) && clock_.now() < patience) co_await clock_.sleep_for(10ms);
    if (guardians_.missing_for(0s)) co_return fail(Errc::unsafe, "the guardian does not run");
    co_return Result<>{};
}

Task<Result<>> SimFences::arm(pid_t) {
    if (mine_->armed && !mine_->ends_with_agent) co_return Result<>{};
    if (auto works = co_await ready(); !works) co_return works;
    *mine_ = {.armed = true, .deadline = lease_ ? lease_->deadline() : Instant{}};
    guardians_.ordered(mine_);
    co_return Result<>{};
}

Task<Result<>> SimFences::arm_for_bootstrap() {
    if (auto works = co_await ready(); !works) co_return works;
    *mine_ = {.armed = true, .deadline = Instant::max(), .ends_with_agent = true};
    guardians_.ordered(mine_);
    co_return Result<>{};
}

void SimFences::disarm(Disarmed) {
    mine_->armed = false;
    guardians_.ordered(mine_);
}

std::string SimFences::unfit() const {
    return guardians_.missing_for(1s) ? "the guardian does not run" : std::string();
}

}  // namespace pgkeel::simulation
