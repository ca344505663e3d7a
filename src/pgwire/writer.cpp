#include "pgwire/writer.hpp"

#include <array>
#include <cstring>

namespace pgkeel::pgwire {
namespace {

std::array<char, 4> big_endian(std::uint32_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
            static_cast<char>(value)};
}

}  // namespace

void Writer::begin(char type) {
    message_ = size();
    byte(type);
    length_field_ = size();
    int32(0);
}

void Writer::begin_untyped() {
    message_ = length_field_ = size();
    int32(0);
}

void Writer::end(std::uint64_t body_bytes_to_come, std::uint64_t limit) {
    if (failed_) return;
    const std::uint64_t here = size() - length_field_;
    // By subtraction: nothing here can wrap, however much is said to come.
    if (here > limit || body_bytes_to_come > limit - here) return give_up();
    const std::array<char, 4> length = big_endian(static_cast<std::uint32_t>(here + body_bytes_to_come));
    char* field = string_ ? string_->data() + start_ + length_field_ : buffer_.data() + length_field_;
    std::memcpy(field, length.data(), length.size());
    message_ = size();
}

void Writer::int16(std::uint16_t value) {
    const std::array<char, 2> raw{static_cast<char>(value >> 8), static_cast<char>(value)};
    bytes({raw.data(), raw.size()});
}

void Writer::int32(std::uint32_t value) {
    const std::array<char, 4> raw = big_endian(value);
    bytes({raw.data(), raw.size()});
}

void Writer::bytes(std::string_view raw) {
    if (failed_ || raw.empty()) return;
    if (string_) {
        string_->append(raw);
        return;
    }
    if (raw.size() > buffer_.size() - used_) return give_up();
    std::memcpy(buffer_.data() + used_, raw.data(), raw.size());
    used_ += raw.size();
}

void Writer::text(std::string_view value) {
    if (value.contains('\0')) return give_up();
    bytes(value);
    byte('\0');
}

void Writer::text_up_to_nul(std::string_view value) {
    text(value.substr(0, value.find('\0')));
}

void Writer::values(std::span<const std::optional<std::string_view>> all) {
    if (all.size() > 0xffff) return give_up();
    int16(static_cast<std::uint16_t>(all.size()));
    for (const auto& value : all) {
        if (value && value->size() > length_max) return give_up();
        int32(value ? static_cast<std::uint32_t>(value->size()) : 0xffff'ffff);
        if (value) bytes(*value);
    }
}

void Writer::give_up() {
    if (failed_) return;
    failed_ = true;
    if (string_)
        string_->resize(start_ + message_);
    else
        used_ = message_;
}

}  // namespace pgkeel::pgwire
