#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgkeel::config {

/// Letters to insert, remove, replace or swap with their neighbour to make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `word` was probably meant to be; nothing when none is near.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace pgkeel::config
