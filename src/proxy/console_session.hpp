#pragma once
#include "console/session.hpp"
#include "pool/client.hpp"
#include "pool/surroundings.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pgkeel::proxy {

class World;

/// What a command has come to.
struct CommandResult {
    std::optional<console::Table> table;
    std::optional<pgwire::backend::Report> error;
};

/// The admin console of one client. Its commands run on the first thread, while all others rest.
class ConsoleSession final : public pool::Console {
  public:
    ConsoleSession(World& world, pool::Client& client);

    std::vector<pool::Setting> greeting() const override;
    void message(char type, std::string_view body) override;
    bool busy() const override { return busy_; }
    void interrupt() override;
    /// Of the command that ran.
    void answer(CommandResult result);

  private:
    void run_next();
    void send();

    World& world_;
    pool::Client& client_;
    console::Session session_;
    std::string out_;
    bool busy_ = false, close_ = false;
};

}  // namespace pgkeel::proxy
