#include "simulation/machine.hpp"

#include <fmt/format.h>

namespace pgkeel::simulation {

void Machine::end_abruptly() {
    if (state == State::primary || (starts_as_primary && state != State::down)) control = ControlState::in_production;
    if (state == State::standby) control = ControlState::in_archive_recovery;
    state = State::down;
    hung = false;
    senders.clear();
    ++life;
}

Lsn Machine::common_with(const Machine& other, Timeline* on) const {
    // Two histories agree on the timelines that both went through with the same end, and on the first that is left at
    // different points up to the earlier one.
    const auto end_of = [](const Machine& machine, std::size_t i) {
        return i < machine.history.size() ? machine.history[i].lsn : machine.position;
    };
    const auto timeline_of = [](const Machine& machine, std::size_t i) {
        return i < machine.history.size() ? machine.history[i].timeline : machine.timeline;
    };
    Lsn common{};
    for (std::size_t i = 0;; ++i) {
        const Timeline mine = timeline_of(*this, i);
        if (mine != timeline_of(other, i)) break;
        *on = mine;
        common = std::min(end_of(*this, i), end_of(other, i));
        const bool both_go_on = i < history.size() && i < other.history.size();
        if (!both_go_on || history[i].lsn != other.history[i].lsn) break;
    }
    return common;
}

bool Machine::diverged_from(const Machine& other, std::string* why) const {
    Timeline on{};
    const Lsn common = common_with(other, &on);
    const bool diverged = on != timeline || common < position;
    if (diverged && why)
        *why = fmt::format("timeline {} was left at {}, and this node is at {}/{}", on.id, to_string(common),
                           timeline.id, to_string(position));
    return diverged;
}

}  // namespace pgkeel::simulation
