#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace pgkeel {

namespace asio = boost::asio;

/// A coroutine of the program's one event loop. Parameters by value, or references whose owner outlives the task.
template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace pgkeel
