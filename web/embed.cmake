# cmake -DOUT=file.c -DDIR=folder -P embed.cmake: every file of the folder as
# an http_file. Written only when it changed, so nothing is rebuilt for naught.
file(GLOB files RELATIVE ${DIR} ${DIR}/*)
list(SORT files)
set(arrays)
set(entries)
set(count 0)
foreach(name ${files})
  get_filename_component(extension ${name} LAST_EXT)
  if(extension STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".svg")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "web/static/${name}: no content type known for it; "
                        "add one in web/embed.cmake")
  endif()
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  file(READ ${DIR}/${name} hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(APPEND arrays
    "static const unsigned char file_${count}[] = {\n${hex}\n};\n")
  string(APPEND entries
    "  {\"${path}\", \"${type}\", file_${count}, sizeof(file_${count})},\n")
  math(EXPR count "${count} + 1")
endforeach()
set(text "#include \"web/web.h\"\n\n${arrays}
const http_file web_files[] = {\n${entries}};
const size_t web_file_count = ${count};\n")
file(CONFIGURE OUTPUT ${OUT} CONTENT "${text}" @ONLY)
