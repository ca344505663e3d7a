#include "agent/failsafe.hpp"

#include "async/spawn.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

Failsafe::Failsafe(Parts parts, std::string name)
    : parts_(std::move(parts)),
      name_(std::move(name)),
      key_(parts_.store, parts_.keys, name_, parts_.keys.failsafe()) {}

bool Failsafe::extends_lease() const {
    const auto& held = parts_.lease.held();
    return held && extended_at_ != Instant{} && held->renewed_at == extended_at_;
}

bool Failsafe::is_active(const ha::Snapshot& seen) const {
    if (extends_lease()) return true;
    const auto accepted = seen.heartbeat.accepted_at();
    return accepted && !seen.view && parts_.clock.now() - *accepted < seen.settings.ttl;
}

void Failsafe::consider(const ha::Snapshot& seen, const std::string& conn_url, const std::string& api_url,
                        std::map<std::string, Lsn> slots) {
    enabled_ = seen.settings.failsafe_mode && !seen.settings.pause;
    if (enabled_ && seen.lease) wake_.set();
    ttl_ = seen.settings.ttl;
    if (!seen.lease) {
        epoch_ = 0;
        return;
    }
    if (epoch_ != seen.lease->epoch) {
        epoch_ = seen.lease->epoch;
        key_.begin_tenure();
        members_.reset();
        maybe_members_.clear();
        positions_.clear();
        extended_at_ = {};
    }
    call_ = {name_, conn_url, api_url, std::move(slots),
             std::chrono::duration_cast<std::chrono::seconds>(seen.lease->terms.ttl).count()};
    if (!seen.view || writing_ || seen.now < retry_at_ || !key_.knows(seen.view->revision)) return;
    std::optional<ApiUrls> wanted;
    if (seen.settings.failsafe_mode) wanted = members_to_ask(seen, api_url);
    const bool is_there = wanted ? seen.view->failsafe == wanted : seen.view->failsafe_mod_revision == 0;
    // Without the mode there is nothing to be sure of.
    if (is_there && (!wanted || (!key_.in_doubt() && members_ == wanted))) return;
    writing_ = true;
    spawn(parts_.executor, "failsafe key", write_key(std::move(wanted), seen.view->failsafe_mod_revision));
}

Failsafe::ApiUrls Failsafe::members_to_ask(const ha::Snapshot& seen, const std::string& api_url) {
    ApiUrls wanted;
    for (const Member& member : seen.view->members)
        if (!member.api_url.empty()) wanted[member.name] = member.api_url;
    wanted.try_emplace(name_, api_url);
    std::erase_if(missing_since_, [&](const auto& missing) { return wanted.contains(missing.first); });
    if (!seen.view->failsafe) return wanted;
    for (const auto& [name, url] : *seen.view->failsafe) {
        if (wanted.contains(name)) continue;
        const Instant since = missing_since_.try_emplace(name, seen.now).first->second;
        if (seen.now - since < seen.settings.ttl) wanted[name] = url;
    }
    return wanted;
}

Task<> Failsafe::write_key(std::optional<ApiUrls> members, etcd::Revision mod_revision) {
    const std::int64_t epoch = epoch_;
    if (members) maybe_members_.insert(members->begin(), members->end());
    const auto done = co_await key_.write(members ? cluster::write_failsafe(*members) : std::string{}, mod_revision,
                                          epoch, parts_.clock.now() + std::clamp<Duration>(ttl_ / 5, 1s, 3s));
    writing_ = false;
    if (epoch != epoch_) co_return;
    if (!done) {
        log::warning("could not write the key failsafe: {}", done.error().line());
        retry_at_ = parts_.clock.now() + 500ms;
    } else if (*done) {
        members_ = std::move(members);
        maybe_members_.clear();
        wake_.set();
    } else {
        retry_at_ = parts_.clock.now() + 100ms;
    }
}

Task<> Failsafe::run() {
    while (!stopped_) {
        const Instant now = parts_.clock.now();
        const auto& held = parts_.lease.held();
        const bool may = enabled_ && held && held->epoch == epoch_ && members_;
        const Instant due_at = may ? held->renewed_at + held->terms.renew_every * 3 / 2 : now;
        if (may && now >= due_at) co_await ask_everybody();
        if (!may) {
            co_await wake_.wait();
            continue;
        }
        const Duration pause = std::clamp<Duration>(ttl_ / 20, 100ms, 1s);
        co_await parts_.clock.sleep_until(std::max(due_at, parts_.clock.now() + pause));
    }
}

Task<> Failsafe::ask_everybody() {
    const std::int64_t epoch = epoch_;
    ApiUrls others = *members_;
    if (!others.contains(name_)) co_return;
    others.insert(maybe_members_.begin(), maybe_members_.end());
    others.erase(name_);
    const Instant sent = parts_.clock.now();
    const Deadline deadline = std::min(sent + std::clamp<Duration>(ttl_ / 5, 600ms, 2s),
                                       std::max(parts_.lease.held()->demote_at(), sent + 300ms));
    std::vector<Task<>> questions;
    const std::vector<std::pair<std::string, std::string>> list(others.begin(), others.end());
    std::vector<cluster::FailsafeAnswer> answers(list.size());
    for (std::size_t i = 0; i < list.size(); ++i)
        questions.push_back(ask(list[i].first, list[i].second, deadline, answers[i]));
    co_await all_of(std::move(questions));
    std::string refused;
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (!answers[i].accepted) refused += (refused.empty() ? "" : ", ") + list[i].first;
        if (answers[i].position && epoch == epoch_) positions_[list[i].first] = answers[i].position;
    }
    if (refused.empty() && epoch == epoch_) {
        if (!extends_lease())
            log::warning("continue to run as a leader because failsafe mode is enabled and all members are accessible");
        parts_.lease.extend(epoch, sent);
        if (parts_.lease.held() && parts_.lease.held()->renewed_at == sent) extended_at_ = sent;
    } else if (refused != refused_) {
        log::warning("the failsafe mode cannot keep this leader up: no consent of {}", refused);
    }
    if (std::exchange(refused_, refused) != refused || extended_at_ == sent) parts_.wake();
}

Task<> Failsafe::ask(std::string name, std::string api_url, Deadline deadline, cluster::FailsafeAnswer& answer) {
    answer = co_await parts_.peers.ask_failsafe(name, std::move(api_url), call_, deadline);
    if (!answer.accepted) log::debug("failsafe: {} does not agree: {}", name, answer.why);
}

}  // namespace pgkeel::agent
