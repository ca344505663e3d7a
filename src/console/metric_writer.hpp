#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace pgkeel::console {

struct Label {
    std::string_view name;
    std::string_view value;
};

/// Writes Prometheus' text format. All samples of a metric follow its head.
class MetricWriter {
  public:
    explicit MetricWriter(std::string& out) : out_(out) {}

    /// \param type  "counter", "gauge" or "histogram"
    void head(std::string_view name, std::string_view type, std::string_view help);
    void sample(std::string_view name, std::initializer_list<Label> labels, std::uint64_t value);
    /// Microseconds as seconds, with nothing lost.
    void seconds(std::string_view name, std::initializer_list<Label> labels, std::uint64_t microseconds);
    void gauge(std::string_view name, std::string_view help, std::uint64_t value);

  private:
    void series(std::string_view name, std::initializer_list<Label> labels);

    std::string& out_;
};

/// Microseconds in seconds: "0.0025", "3".
std::string seconds_text(std::uint64_t microseconds);

}  // namespace pgkeel::console
