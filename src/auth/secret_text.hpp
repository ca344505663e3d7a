#pragma once
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string_view>
#include <vector>

#include <fmt/core.h>

namespace pgkeel::auth {

/// Overwrites memory in a way that the compiler keeps.
void wipe(void* memory, std::size_t bytes) noexcept;

/// Overwrites what it gives back.
template <class T>
struct WipingAllocator {
    using value_type = T;
    WipingAllocator() = default;
    template <class U>
    WipingAllocator(const WipingAllocator<U>&) noexcept {}
    T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
    void deallocate(T* memory, std::size_t count) noexcept {
        wipe(memory, count * sizeof(T));
        std::allocator<T>().deallocate(memory, count);
    }
    bool operator==(const WipingAllocator&) const = default;
};

/// Bytes that nobody may see: a password, a hash that opens the same doors, the text of a verifier. Cannot be printed,
/// and every memory it held is overwritten. A vector, because a short std::string keeps its bytes inside itself, where
/// a move leaves them behind.
class SecretText {
  public:
    SecretText() = default;
    explicit SecretText(std::string_view text) : bytes_(text.begin(), text.end()) {}

    /// The bytes; valid until this object changes. For the wire and for hashing only.
    std::string_view reveal() const { return {bytes_.data(), bytes_.size()}; }
    bool empty() const { return bytes_.empty(); }
    std::size_t size() const { return bytes_.size(); }

    void append(std::string_view text) { bytes_.insert(bytes_.end(), text.begin(), text.end()); }
    void push_back(char c) { bytes_.push_back(c); }

  private:
    std::vector<char, WipingAllocator<char>> bytes_;
};

/// Compares without telling by its time where, or whether in length, the two differ.
bool same_secret(std::string_view a, std::string_view b);

std::ostream& operator<<(std::ostream&, const SecretText&) = delete;

}  // namespace pgkeel::auth

template <>
struct fmt::formatter<pgkeel::auth::SecretText> {
    formatter() = delete;
};
