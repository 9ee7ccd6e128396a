# One interface target carries the flags that all our own code is built with.
add_library(telltale_flags INTERFACE)
target_compile_definitions(telltale_flags INTERFACE _GNU_SOURCE
  TELLTALE_VERSION="${PROJECT_VERSION}")
target_compile_options(telltale_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wvla -Wundef -Wwrite-strings -Wformat=2
  -fno-common -fno-omit-frame-pointer)
target_include_directories(telltale_flags INTERFACE
  ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
if(TELLTALE_WERROR)
  target_compile_options(telltale_flags INTERFACE -Werror)
endif()
if(TELLTALE_SANITIZE)
  add_compile_options(-fsanitize=${TELLTALE_SANITIZE})
  add_link_options(-fsanitize=${TELLTALE_SANITIZE})
  if(TELLTALE_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
endif()
# Without it libFuzzer sees no coverage and only shuffles bytes.
if(TELLTALE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# telltale_sources(OUT DIR...): every .c file directly in the folders, unit
# tests (x_test.c) left out.
function(telltale_sources out)
  set(all)
  foreach(dir ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.c)
    list(FILTER found EXCLUDE REGEX "_test\\.c$")
    list(APPEND all ${found})
  endforeach()
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# telltale_unit_tests(LIBS... DIRS dir...): one cmocka program for each
# x_test.c, named after its path, linked with LIBS.
function(telltale_unit_tests)
  cmake_parse_arguments(A "" "" "LIBS;DIRS" ${ARGN})
  if(NOT TELLTALE_TESTS)
    return()
  endif()
  foreach(dir ${A_DIRS})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*_test.c)
    foreach(source ${found})
      file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${source})
      string(REGEX REPLACE "\\.c$" "" name ${name})
      string(REPLACE "/" "-" name ${name})
      add_executable(${name} ${source})
      target_link_libraries(${name} PRIVATE ${A_LIBS} telltale_flags PkgConfig::CMOCKA)
      add_test(NAME ${name} COMMAND ${name})
      set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS unit)
    endforeach()
  endforeach()
endfunction()
