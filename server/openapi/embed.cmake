# cmake -DOUT=file.c -DIN=components.json -P embed.cmake: the file as an array,
# without its indentation.
file(READ ${IN} text)
string(REGEX REPLACE "\n *" "" text "${text}")
file(WRITE ${OUT}.json "${text}")
file(READ ${OUT}.json hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT} "#include \"server/openapi/openapi.h\"

const char openapi_components[] = {\n${hex}\n};
const size_t openapi_components_len = sizeof(openapi_components);\n")
