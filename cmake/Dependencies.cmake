# Every outside library in one place. Debian 12 packages; the versions are the ones that were tried.
find_package(Threads REQUIRED)
# Boost is linked statically: its ABI is no concern of an installed pgkeel.
set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PostgreSQL REQUIRED)
# For SASLprep alone.
find_package(ICU 72 REQUIRED COMPONENTS uc data)
find_package(yaml-cpp REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing>=2.3)

add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  # libstdc++ 12 uses its own deprecated get_temporary_buffer in stable_sort
  -Wno-deprecated-declarations)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(PGKEEL_WERROR)
  add_compile_options(-Werror)
endif()
if(PGKEEL_SANITIZE)
  # vptr reads memory through a pipe, and cries wolf in the tests that use up all descriptors.
  add_compile_options(-fsanitize=${PGKEEL_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PGKEEL_SANITIZE})
endif()
# Every symbol is looked up at the start: nothing that is in need later waits for a table on a disk that hangs, and the
# tables of addresses become read-only.
add_link_options(-fuse-ld=lld -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # What is never called, or is there twice, takes no memory and no place in the caches of the processor.
  add_compile_options(-ffunction-sections -fdata-sections)
  add_link_options(-Wl,--gc-sections -Wl,--icf=safe)
endif()

# Asio and Beast are compiled once, in src/async/boost_impl.cpp, instead of in every source that includes them.
add_compile_definitions(
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALL_NO_LIB)
