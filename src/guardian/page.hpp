#pragma once
#include "base/result.hpp"
#include "guardian/orders.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

namespace pgkeel::guardian {

/// What a guardian tells of itself.
struct Report {
    Instant alive_at{};        ///< when it last read its orders; the epoch: never yet
    std::uint64_t fenced = 0;  ///< how often it has ended a server
    Instant fenced_at{};
    bool locked = false;    ///< its memory cannot be swapped out
    bool realtime = false;  ///< it runs before ordinary processes
    bool spared = false;    ///< the kernel takes others first when memory is short
};

/// The memory that an agent and its guardian share: a file without a name, passed on as a descriptor.
///
/// Each side may be killed or stopped between any two instructions, so there are two copies of the orders: the writer
/// fills the one that is not valid, and then says that it is. A reader always finds a whole one, and never waits.
class Page {
  public:
    /// A new one. Errors: process_failed.
    static Result<Page> create();
    /// The one that `descriptor` refers to. Errors: invalid_input.
    static Result<Page> open(int descriptor);

    Page(Page&& other) noexcept;
    Page& operator=(Page&& other) noexcept;
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;
    ~Page();

    /// By the agent alone.
    void write(const Orders& orders);
    Orders read() const;

    /// By the guardian alone.
    void tell(const Report& report);
    Report told() const;

    int descriptor() const { return descriptor_; }

  private:
    struct Memory;
    Page(int descriptor, Memory* memory) : descriptor_(descriptor), memory_(memory) {}

    int descriptor_ = -1;
    Memory* memory_ = nullptr;
};

}  // namespace pgkeel::guardian
