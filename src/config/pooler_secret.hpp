#pragma once
#include <string>
#include <utility>

namespace pgkeel::config {

/// A password as it was configured. It has no formatter and no stream operator, so that it cannot get into a log by
/// mistake; its memory is wiped when it goes.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept : value_(other.value_) { other.wipe(); }
    Secret& operator=(Secret other) noexcept {
        wipe();
        value_.swap(other.value_);
        return *this;
    }
    ~Secret() { wipe(); }

    const std::string& reveal() const { return value_; }
    bool empty() const { return value_.empty(); }
    bool operator==(const Secret& other) const = default;

  private:
    void wipe() noexcept;
    std::string value_;
};

}  // namespace pgkeel::config
