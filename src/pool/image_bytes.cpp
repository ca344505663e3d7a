#include "pool/image_bytes.hpp"

namespace pgkeel::pool {

void ImageWriter::number(std::uint64_t value, std::size_t bytes) {
    while (bytes-- > 0) out_.push_back(static_cast<char>(value >> (8 * bytes)));
}

void ImageWriter::text(std::string_view value) {
    number(value.size(), 4);
    out_.append(value);
}

std::uint64_t ImageReader::number(std::size_t bytes) {
    if (rest_.size() < bytes) {
        refuse();
        return 0;
    }
    std::uint64_t value = 0;
    for (const char byte : rest_.substr(0, bytes)) value = value << 8 | static_cast<unsigned char>(byte);
    rest_.remove_prefix(bytes);
    return value;
}

bool ImageReader::boolean() {
    return up_to(1, 1) != 0;
}

std::string_view ImageReader::text() {
    const std::uint64_t size = number(4);
    if (size > rest_.size()) refuse();
    if (!ok_) return {};
    const std::string_view found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
}

std::string ImageReader::name() {
    const std::string_view found = text();
    if (found.contains('\0')) refuse();
    return ok_ ? std::string(found) : std::string();
}

std::size_t ImageReader::count() {
    const std::uint64_t found = number(4);
    if (found > rest_.size()) refuse();
    return ok_ ? found : 0;
}

std::uint64_t ImageReader::up_to(std::uint64_t most, std::size_t bytes) {
    const std::uint64_t found = number(bytes);
    if (found > most) refuse();
    return ok_ ? found : 0;
}

}  // namespace pgkeel::pool
