#include "guardian/page.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace pgkeel::guardian {

namespace {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free, "two processes share it");

constexpr std::uint64_t magic = 0x31766e6169647267;  // "grdianv1"

std::uint64_t word_of(Instant when) {
    return static_cast<std::uint64_t>(when.time_since_epoch().count());
}
Instant instant_of(std::uint64_t word) {
    return Instant(Duration(static_cast<Duration::rep>(word)));
}

using Words = std::array<std::uint64_t, 6>;

Words words_of(const Orders& orders) {
    const auto state = static_cast<std::uint64_t>(orders.state) | (orders.ends_with_agent ? 1ULL << 32 : 0);
    return {state,
            word_of(orders.deadline),
            static_cast<std::uint64_t>(orders.postmaster),
            orders.started,
            orders.device,
            orders.inode};
}

Orders orders_of(const Words& words) {
    return {.state = static_cast<State>(words[0] & 0xffffffff),
            .deadline = instant_of(words[1]),
            .ends_with_agent = (words[0] >> 32) != 0,
            .postmaster = static_cast<pid_t>(words[2]),
            .started = words[3],
            .device = words[4],
            .inode = words[5]};
}

}  // namespace

struct Page::Memory {
    Word magic{guardian::magic};
    Word sequence{0};  ///< copy `sequence % 2` is valid
    std::array<std::array<Word, std::tuple_size_v<Words>>, 2> copies{};

    Word alive_at{0};
    Word fenced{0};
    Word fenced_at{0};
    Word abilities{0};
};

Result<Page> Page::create() {
    const int descriptor = memfd_create("pgkeel-guardian", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const auto refuse = [&](const char* step) {
        const int error = errno;
        if (descriptor >= 0) close(descriptor);
        return fail(Errc::process_failed,
                    fmt::format("cannot make the page shared with the guardian: {}: {}", step, std::strerror(error)));
    };
    if (descriptor < 0) return refuse("memfd_create");
    if (ftruncate(descriptor, sizeof(Memory)) != 0) return refuse("ftruncate");
    // Nobody can cut it: a read behind its end would kill the guardian.
    if (fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return refuse("sealing it");
    void* const address = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED) return refuse("mmap");
    return Page(descriptor, new (address) Memory);
}

Result<Page> Page::open(int descriptor) {
    struct stat about{};
    if (fstat(descriptor, &about) != 0 || about.st_size < static_cast<off_t>(sizeof(Memory)))
        return fail(Errc::invalid_input, fmt::format("descriptor {} is no page of a guardian", descriptor),
                    "the agent starts its guardian itself");
    void* const address = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED)
        return fail(Errc::invalid_input, fmt::format("cannot map the guardian's page: {}", std::strerror(errno)));
    auto* const memory = static_cast<Memory*>(address);
    if (memory->magic.load() != magic) {
        munmap(address, sizeof(Memory));
        return fail(Errc::invalid_input, fmt::format("descriptor {} is no page of a guardian", descriptor));
    }
    return Page(descriptor, memory);
}

Page::Page(Page&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), memory_(std::exchange(other.memory_, nullptr)) {}

Page& Page::operator=(Page&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(memory_, other.memory_);
    return *this;
}

Page::~Page() {
    if (memory_ != nullptr) munmap(memory_, sizeof(Memory));
    if (descriptor_ >= 0) close(descriptor_);
}

void Page::write(const Orders& orders) {
    const std::uint64_t next = memory_->sequence.load(std::memory_order_relaxed) + 1;
    auto& copy = memory_->copies[next % 2];
    const Words words = words_of(orders);
    // Who still reads this copy sees by the sequence that it is too late: the fence keeps these writes behind the last
    // change of it.
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < words.size(); ++i) copy[i].store(words[i], std::memory_order_relaxed);
    memory_->sequence.store(next, std::memory_order_release);
}

Orders Page::read() const {
    while (true) {
        const std::uint64_t sequence = memory_->sequence.load(std::memory_order_acquire);
        const auto& copy = memory_->copies[sequence % 2];
        Words words{};
        for (std::size_t i = 0; i < words.size(); ++i) words[i] = copy[i].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        // Changed: written twice meanwhile, so that the writer is not the one that stands still.
        if (memory_->sequence.load(std::memory_order_relaxed) == sequence) return orders_of(words);
    }
}

void Page::tell(const Report& report) {
    memory_->fenced_at.store(word_of(report.fenced_at));
    memory_->fenced.store(report.fenced);
    memory_->abilities.store((report.locked ? 1U : 0U) | (report.realtime ? 2U : 0U) | (report.spared ? 4U : 0U));
    memory_->alive_at.store(word_of(report.alive_at));
}

Report Page::told() const {
    const std::uint64_t abilities = memory_->abilities.load();
    return {.alive_at = instant_of(memory_->alive_at.load()),
            .fenced = memory_->fenced.load(),
            .fenced_at = instant_of(memory_->fenced_at.load()),
            .locked = (abilities & 1) != 0,
            .realtime = (abilities & 2) != 0,
            .spared = (abilities & 4) != 0};
}

}  // namespace pgkeel::guardian
