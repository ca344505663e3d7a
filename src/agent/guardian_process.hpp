#pragma once
#include "async/clock.hpp"
#include "async/event.hpp"
#include "async/workers.hpp"
#include "guardian/guardian.hpp"
#include "guardian/page.hpp"
#include "postgres/postmaster.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgkeel::agent {

/// This agent's guardian: started, watched, and started again when it ends or hangs. Its page outlives it, so that the
/// next one goes on with the same orders.
class GuardianProcess {
  public:
    /// Errors: process_failed — the page.
    static Result<std::unique_ptr<GuardianProcess>> create(asio::any_io_executor executor, Clock& clock,
                                                           Workers& workers, std::string data_directory);

    /// Comes back when the first one runs, or could not be started; keeps on trying.
    Task<> start();
    /// What the guardian goes by from now on. The first call also ends the guardians that dead agents have left: until
    /// then they go on with the last orders of theirs, which nobody has to know here.
    void order(const guardian::Orders& orders);
    /// Waits for one that works. Errors: unsafe.
    Task<Result<>> ready(Deadline deadline);
    /// Why there has been none for longer than a restart takes; empty: all is well.
    std::string missing() const;
    /// Of the server that is meant by the next orders. Errors: unsafe — its directory cannot be seen.
    Task<Result<guardian::Orders>> identify(pid_t postmaster) const;

  private:
    GuardianProcess(asio::any_io_executor executor, Clock& clock, Workers& workers, std::string data_directory,
                    guardian::Page page);
    Task<> keep();
    Task<Result<>> start_one();
    Task<Result<>> wait_for_first_word(Instant launched);
    bool works() const { return watch_ != nullptr && greeted_; }
    void look_after();
    void lost(const std::string& why);

    asio::any_io_executor executor_;
    Clock& clock_;
    Workers& workers_;
    std::string data_directory_;
    guardian::Page page_;
    std::vector<guardian::Kin> kin_;  ///< guardians of dead agents that are still on duty
    guardian::Kin child_;
    std::unique_ptr<postgres::ExitWatch> watch_;  ///< while it runs
    bool greeted_ = false;                        ///< it has read its orders
    std::uint64_t fenced_ = 0;                    ///< as last told
    Instant looked_at_{};
    std::optional<Instant> lost_at_;
    std::string why_;
    Event changed_;
    Event started_;
};

}  // namespace pgkeel::agent
