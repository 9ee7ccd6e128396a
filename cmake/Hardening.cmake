# What makes a memory error harder to use. Costs a percent or two; never under
# a sanitizer, which instruments the same places and does it better.
include(CheckPIESupported)
check_pie_supported()
if(TELLTALE_SANITIZE)
  return()
endif()
add_compile_options(-fstack-protector-strong)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  add_compile_options(-fstack-clash-protection -fcf-protection)
endif()
# FORTIFY needs an optimised build; distributions may have set their own level.
if(NOT "${CMAKE_C_FLAGS} $ENV{CFLAGS} $ENV{CPPFLAGS}" MATCHES "_FORTIFY_SOURCE")
  add_compile_definitions($<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
