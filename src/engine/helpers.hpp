#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace pgkeel::engine {

/// A few threads for what takes longer than a loop may: TLS handshakes, PBKDF2, DNS, files. All loops of the process
/// share them; they start with the first job and end with the last loop.
class Helpers {
  public:
    using Job = std::move_only_function<void()>;

    static std::shared_ptr<Helpers> shared();
    Helpers() = default;
    ~Helpers();
    Helpers(const Helpers&) = delete;
    Helpers& operator=(const Helpers&) = delete;

    /// From any thread.
    void run(Job job);

  private:
    void work();

    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<Job> jobs_;
    std::size_t idle_ = 0;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace pgkeel::engine
