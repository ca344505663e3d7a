#include "base/server_state.hpp"

namespace pgkeel {

const char* to_string(ControlState state) {
    switch (state) {
        case ControlState::unknown:
            return "unknown";
        case ControlState::starting_up:
            return "starting up";
        case ControlState::shut_down:
            return "shut down";
        case ControlState::shut_down_in_recovery:
            return "shut down in recovery";
        case ControlState::shutting_down:
            return "shutting down";
        case ControlState::in_crash_recovery:
            return "in crash recovery";
        case ControlState::in_archive_recovery:
            return "in archive recovery";
        case ControlState::in_production:
            return "in production";
    }
    return "unknown";
}

}  // namespace pgkeel
