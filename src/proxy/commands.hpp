#pragma once
#include "console/command.hpp"
#include "proxy/console_session.hpp"
#include "proxy/world.hpp"

#include <functional>
#include <string>

namespace pgkeel::proxy {

/// The commands that change something. On the first thread, with the others at rest.
class Commands {
  public:
    explicit Commands(World& world) : world_(world), hub_(world.hub()) {}

    struct Outcome {
        CommandResult result;
        /// The answer is due when this is true; empty: now.
        std::function<bool()> wait_for;
    };
    Outcome run(const console::Command& command);

    /// Reads the configuration again. Errors: nothing has changed.
    Result<> reload();
    Result<> set(const std::string& name, const std::string& value);
    Result<> pause(const std::string& database);
    Result<> resume(const std::string& database);
    std::function<bool()> is_paused(const std::string& database);

  private:
    Result<pool::DatabaseRecord*> find(const std::string& name);
    Result<std::vector<pool::DatabaseRecord*>> meant(const std::string& name);
    Result<> reconnect(const std::string& database);
    void close_resting(const std::string& database);
    Result<> kill(const std::string& database);
    Result<> kill_client(std::uint64_t number);
    Result<> enable(const std::string& database, bool enabled);
    std::function<bool()> is_renewed(const std::string& database);
    void carry_out(pool::Orders& orders) { world_.thread(0).worker().carry_out(orders); }
    Instant now() { return world_.thread(0).now(); }

    World& world_;
    pool::Hub& hub_;
};

}  // namespace pgkeel::proxy
