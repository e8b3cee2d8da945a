// From the chosen values to the typed columns of a conversion, with every check of FAULTS rows 28,
// 31, 32 and 36 to 42.
#pragma once

#include "conversion/fault.h"
#include "conversion/mapping_impl.h"
#include "conversion/notes.h"
#include "conversion/parameter_table.h"
#include "postback/conversion.h"

namespace postback::conversion {

// Sets the columns of *out, or raises a fault: what decides about money (conversion_id, amounts)
// must be right; anything else that is not leaves its column empty with a note.
void fill_columns(const Mapping::Impl& mapping, const ParameterTable& table, Conversion* out,
                  Notes* notes, Fault* fault);

// For a row of quarantine: sets the conversion_id if there is one single valid text.
void fill_conversion_id_if_readable(const Mapping::Impl& mapping, const ParameterTable& table,
                                    Conversion* out);

}  // namespace postback::conversion
