#include "lib/backends/s2/answer.h"

#include "lib/json/scan.h"

static bool member(tti_slice json, const char *name,
                   tti_json_value *out_value) {
  tti_slice wanted = tti_slice_of(name);
  tti_json_names names;
  tti_json_names_init(&names, &wanted, 1);
  return tti_json_check_fields(json, &names, out_value, NULL) == TT_OK &&
         out_value->type != TTI_JSON_NONE;
}

static bool number(const tti_json_value *value, uint64_t *out_number) {
  unsigned long long number;
  if (value->type != TTI_JSON_NUMBER || !tti_slice_to_u64(value->text, &number))
    return false;
  *out_number = number;
  return true;
}

bool tti_s2_position(tti_slice body, const char *name, uint64_t *out_seq_num) {
  tti_json_value position, value;
  return member(body, name, &position) && position.type == TTI_JSON_OBJECT &&
         member(position.text, "seq_num", &value) &&
         number(&value, out_seq_num);
}

bool tti_s2_mismatch(tti_slice body, uint64_t *out_seq_num) {
  tti_json_value value;
  return member(body, "seq_num_mismatch", &value) &&
         number(&value, out_seq_num);
}

/* ["seq","7"] */
static bool is_seq_header(tti_slice header, uint64_t *out_seq) {
  tti_json_scan scan;
  tti_json_value name, value;
  unsigned long long seq;
  tti_json_scan_init(&scan, header);
  if (!tti_json_scan_open_array(&scan) || !tti_json_scan_item(&scan) ||
      !tti_json_scan_value(&scan, &name) || !tti_json_scan_item(&scan) ||
      !tti_json_scan_value(&scan, &value) || name.type != TTI_JSON_STRING ||
      value.type != TTI_JSON_STRING ||
      !tti_slice_eq(tti_json_inside(name.text), TTI_SLICE("seq")) ||
      !tti_slice_to_u64(tti_json_inside(value.text), &seq))
    return false;
  *out_seq = seq;
  return true;
}

bool tti_s2_first_seq(tti_slice body, uint64_t *out_seq) {
  tti_json_value records, record, headers, header;
  tti_json_scan scan;
  if (!member(body, "records", &records) || records.type != TTI_JSON_ARRAY)
    return false;
  tti_json_scan_init(&scan, records.text);
  if (!tti_json_scan_open_array(&scan) || !tti_json_scan_item(&scan) ||
      !tti_json_scan_value(&scan, &record) || record.type != TTI_JSON_OBJECT ||
      !member(record.text, "headers", &headers) ||
      headers.type != TTI_JSON_ARRAY)
    return false;
  tti_json_scan_init(&scan, headers.text);
  if (!tti_json_scan_open_array(&scan))
    return false;
  while (tti_json_scan_item(&scan) && tti_json_scan_value(&scan, &header))
    if (header.type == TTI_JSON_ARRAY && is_seq_header(header.text, out_seq))
      return true;
  return false;
}
